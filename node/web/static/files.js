// Choosing files and folders: by dropping them, or with the browser's own dialogs.
import { bytes, clean, plural } from "/static/format.js";
import { html, useRef, useState } from "/static/html.js";
import { Icon } from "/static/icons.js";

const FILES_MOST = 20_000;
const HIDDEN = /(^|\/)(\.|__pycache__\/|node_modules\/|__MACOSX\/)/;

/** What somebody chose, as [{ path, file }]: a folder's files by their path inside of it, without hidden ones. */
function tidy(files) {
  const wanted = files.filter(({ path }) => !HIDDEN.test(path));
  return { files: wanted.slice(0, FILES_MOST), left_out: files.length - Math.min(wanted.length, FILES_MOST) };
}

/** The first folder of all paths is the one that was chosen: its name is not part of what is inside. */
function inside(path) {
  return path.split("/").slice(1).join("/");
}

async function readEntry(entry, path) {
  if (entry.isFile) return [{ path, file: await new Promise((done, failed) => entry.file(done, failed)) }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0 || found.length > FILES_MOST) return found;
    for (const each of some) found.push(...(await readEntry(each, path ? `${path}/${each.name}` : each.name)));
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 1 && entries[0].isDirectory) return readEntry(entries[0], "");
  const found = [];
  for (const entry of entries) found.push(...(await readEntry(entry, entry.name)));
  return found;
}

/** A field for files: chosen is { files, left_out } or null. */
export function FilePicker({ id, label, hint, problem, accept, isFolder, chosen, known, onChoose }) {
  const [isOver, setOver] = useState(false);
  const fileInput = useRef(null);
  const folderInput = useRef(null);
  const take = (files) => files.length && onChoose(tidy(files));
  const drop = async (event) => {
    event.preventDefault();
    setOver(false);
    take(await dropped(event.dataTransfer));
  };
  const picked = (event, isWhole) => {
    take([...event.target.files].map((file) => ({ path: isWhole ? inside(file.webkitRelativePath) : file.name, file })));
    event.target.value = "";
  };
  const size = chosen ? chosen.files.reduce((sum, { file }) => sum + file.size, 0) : 0;
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  return html`<div class=${`field picker ${problem ? "wrong" : ""}`} role="group" aria-labelledby=${`${id}-label`} aria-describedby=${described}>
    <p class="legend" id=${`${id}-label`}>${label}</p>
    <div class=${`drop ${isOver ? "over" : ""} ${chosen || known ? "full" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${drop}>
      ${chosen || known ? html`<p class="chosen"><${Icon} name=${(chosen ? chosen.files.length : known.files) > 1 ? "folder" : "file"} />
          <span><strong>${chosen ? nameOf(chosen) : known.names.slice(0, 2).map(clean).join(", ") + (known.files > 2 ? " …" : "")}</strong><small>${chosen ? `${plural(chosen.files.length, "file")}, ${bytes(size)}${chosen.left_out ? `; ${chosen.left_out} hidden left out` : ""}` : `${plural(known.files, "file")}, ${bytes(known.size_bytes)}, uploaded`}</small></span></p>`
        : html`<p class="drop-words"><${Icon} name=${isFolder ? "folder" : "file"} size=${24} /><span>Drop ${isFolder ? "a folder or files" : "it"} here</span></p>`}
      <div class="acts">
        <button type="button" class="small" onClick=${() => fileInput.current.click()}>${chosen || known ? "Other file" : "Choose a file"}<span class="unseen"> for ${label}</span></button>
        ${isFolder && html`<button type="button" class="small" onClick=${() => folderInput.current.click()}>${chosen || known ? "Other folder" : "Choose a folder"}<span class="unseen"> for ${label}</span></button>`}
      </div>
      <input ref=${fileInput} id=${id} class="unseen" type="file" tabindex="-1" aria-hidden="true" accept=${accept} multiple=${isFolder} onChange=${(event) => picked(event, false)} />
      ${isFolder && html`<input ref=${folderInput} id=${`${id}-folder`} class="unseen" type="file" tabindex="-1" aria-hidden="true" webkitdirectory onChange=${(event) => picked(event, true)} />`}
    </div>
    ${problem && html`<p class="field-problem" id=${`${id}-problem`} role="alert">${clean(problem)}</p>`}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

function nameOf({ files }) {
  const first = files[0];
  if (!first) return "nothing that can be used";
  const root = first.file.webkitRelativePath.split("/")[0];
  return clean(files.length > 1 && root ? root : files.length > 1 ? `${first.path} and others` : first.path);
}
