// Which page is shown: the browser's own addresses, so that links, the back button and reloading work.
import { useEffect, useState } from "/static/html.js";

const listeners = new Set();

function place() {
  return { path: location.pathname.replace(/\/+$/, "") || "/", query: Object.fromEntries(new URLSearchParams(location.search)) };
}

function tell() {
  for (const listener of [...listeners]) listener(place());
}

addEventListener("popstate", tell);

/** Go to another page of ours. */
export function go(to, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  if (!replace) scrollTo(0, 0);
  tell();
}

export function usePlace() {
  const [now, setNow] = useState(place);
  useEffect(() => {
    listeners.add(setNow);
    return () => listeners.delete(setNow);
  }, []);
  return now;
}

/** Links to our own pages are followed here; with a modifier key, or another button, by the browser. */
export function followLinks(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname.startsWith("/api/") || link.pathname.startsWith("/static/") || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
