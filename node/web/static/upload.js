// Sends a job's files to the node, and says how far it is. fetch() cannot tell of an upload's progress.
import { Problem, address, problemOf } from "/static/api.js";

/** parts: { program: [{ path, file }], … }; kept: { base, keep }, what stays of an earlier draft. Resolves to the draft. */
export function upload(parts, kept, onProgress, signal) {
  const form = new FormData();
  for (const [field, files] of Object.entries(parts)) for (const { path, file } of files) form.append(field, file, path);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("/drafts", kept));
    request.responseType = "text";
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Problem("away", "The upload broke off: the node may have stopped, or refused so large a file. Try again."));
    request.onabort = () => reject(new Problem("aborted", "The upload was stopped."));
    request.onload = () => {
      let said = {};
      try {
        said = JSON.parse(request.responseText);
      } catch {
        // An answer without a sentence: its status has to do.
      }
      if (request.status >= 200 && request.status < 300) resolve(said);
      else reject(problemOf(request.status, said));
    };
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
