// Our own line icons, 20 by 20, in the colour of the text beside them.
import { html } from "/static/html.js";

const PATHS = {
  jobs: "M4 5.5h12M4 10h12M4 14.5h7",
  submit: "M10 14V4.5m0 0L6.2 8.3M10 4.5l3.8 3.8M4 15.5h12",
  operator: "M3.5 5h13v7.5h-13zM7.5 16h5M10 12.5V16",
  network: "M10 6.2v3.3m0 0-4.2 4m4.2-4 4.2 4M10 3.2a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM4.8 13.3a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3Zm10.4 0a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3Z",
  wallet: "M3.5 6.5v8.5h13V6.5zm0 0L13 3.5v3m.2 4.2h.1",
  sun: "M10 6.7a3.3 3.3 0 1 0 0 6.6 3.3 3.3 0 0 0 0-6.6ZM10 2.5v1.2m0 12.6v1.2M2.5 10h1.2m12.6 0h1.2M4.7 4.7l.9.9m8.8 8.8.9.9m0-10.6-.9.9m-8.8 8.8-.9.9",
  moon: "M16.2 11.7A6.5 6.5 0 0 1 8.3 3.8a6.5 6.5 0 1 0 7.9 7.9Z",
  auto: "M10 3.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm0 0v13m2.5-12v11m2.4-9.2v7.4",
  download: "M10 4v8.5m0 0 3.5-3.5M10 12.5 6.5 9M4 16h12",
  copy: "M7 7h9v9H7zM13 7V4H4v9h3",
  check: "m4.5 10.5 3.7 3.7 7.3-8",
  warning: "M10 7.5v3.8m0 2.4v.1M10 3.2 2.8 16.2h14.4z",
  file: "M5.5 3h6l3.5 3.5V17h-9.5zm6 0v3.5H15",
  folder: "M3 5.5h5l1.5 2H17v8H3z",
  back: "M12.5 4.5 7 10l5.5 5.5",
  external: "M8 5H4.5v10.5H15V12M11 4.5h4.5V9m0-4.5L9 11",
  pause: "M7 5v10m6-10v10",
  play: "M6.5 4.5v11l9-5.5z",
  search: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4Zm3.7 8.7L16 16",
};

export function Icon({ name, size = 20 }) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 20 20" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
}
