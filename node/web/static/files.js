// Choosing files and folders: by dropping them, or with the browser's own dialogs.
import { bytes, clean, plural } from "/static/format.js";
import { html, useRef, useState } from "/static/html.js";
import { Icon } from "/static/icons.js";

const HIDDEN = /(^|\/)(\.|__pycache__\/|node_modules\/|__MACOSX\/)/;

/** What somebody chose, as [{ path, file }], without hidden files. The chosen folder's own name begins each path: the node takes it away. */
function tidy(files) {
  const wanted = files.filter(({ path }) => !HIDDEN.test(path.slice(path.indexOf("/") + 1)));
  return { files: wanted, left_out: files.length - wanted.length };
}

async function readEntry(entry, path) {
  if (entry.isFile) return [{ path, file: await new Promise((done, failed) => entry.file(done, failed)) }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) return found;
    for (const each of some) for (const file of await readEntry(each, `${path}/${each.name}`)) found.push(file);
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  for (const entry of entries) for (const file of await readEntry(entry, entry.name)) found.push(file);
  return found;
}

/** A field for files: chosen is { files, left_out } or null. */
export function FilePicker({ id, label, hint, problem: said, accept, chosen, known, onChoose }) {
  const [isOver, setOver] = useState(false);
  const [unread, setUnread] = useState("");
  const fileInput = useRef(null);
  const folderInput = useRef(null);
  const problem = unread || said;
  const take = (files) => {
    setUnread("");
    if (files.length) onChoose(tidy(files));
  };
  const drop = async (event) => {
    event.preventDefault();
    setOver(false);
    try {
      take(await dropped(event.dataTransfer));
    } catch {
      setUnread("The browser could not read what was dropped: look whether all of it can be opened, and drop it again.");
    }
  };
  const picked = (event) => {
    take([...event.target.files].map((file) => ({ path: file.webkitRelativePath || file.name, file })));
    event.target.value = "";
  };
  const size = chosen ? chosen.files.reduce((sum, { file }) => sum + file.size, 0) : 0;
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  return html`<div class=${`field picker ${problem ? "wrong" : ""}`} role="group" aria-labelledby=${`${id}-label`} aria-describedby=${described}>
    <p class="legend" id=${`${id}-label`}>${label}</p>
    <div class=${`drop ${isOver ? "over" : ""} ${chosen || known ? "full" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${drop}>
      ${chosen || known ? html`<p class="chosen"><${Icon} name=${(chosen ? chosen.files.length : known.files) > 1 ? "folder" : "file"} />
          <span><strong>${chosen ? nameOf(chosen) : known.names.slice(0, 2).map(clean).join(", ") + (known.files > 2 ? " …" : "")}</strong><small>${chosen ? `${plural(chosen.files.length, "file")}, ${bytes(size)}${chosen.left_out ? `; ${chosen.left_out} hidden left out` : ""}` : `${plural(known.files, "file")}, ${bytes(known.size_bytes)}, uploaded`}</small></span></p>`
        : html`<p class="drop-words"><${Icon} name="folder" size=${24} /><span>Drop a folder or files here</span></p>`}
      <div class="acts">
        <button type="button" class="small" onClick=${() => fileInput.current.click()}>${chosen || known ? "Other file" : "Choose a file"}<span class="unseen"> for ${label}</span></button>
        <button type="button" class="small" onClick=${() => folderInput.current.click()}>${chosen || known ? "Other folder" : "Choose a folder"}<span class="unseen"> for ${label}</span></button>
      </div>
      <input ref=${fileInput} id=${id} class="unseen" type="file" tabindex="-1" aria-hidden="true" accept=${accept} multiple onChange=${picked} />
      <input ref=${folderInput} id=${`${id}-folder`} class="unseen" type="file" tabindex="-1" aria-hidden="true" webkitdirectory onChange=${picked} />
    </div>
    ${problem && html`<p class="field-problem" id=${`${id}-problem`} role="alert">${clean(problem)}</p>`}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

function nameOf({ files }) {
  const first = files[0];
  if (!first) return "nothing that can be used";
  if (files.length === 1) return clean(first.path);
  const root = first.path.slice(0, first.path.indexOf("/") + 1);
  return clean(root && files.every(({ path }) => path.startsWith(root)) ? root.slice(0, -1) : `${first.path} and others`);
}
