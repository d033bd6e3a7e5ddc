// The node's notices, as one stream for the whole page: the pages listen to it, and it is opened again when it breaks.
import { address, get } from "/static/api.js";

const KINDS = [
  "watching", "block", "chain", "account", "points", "output", "training", "trained", "frozen", "thawed", "evaluating",
  "sealed", "signed", "sending", "sent", "refused", "transfer", "fetched", "waits", "ended", "failed", "paused", "resumed",
  "availability", "policy", "dropped",
];
const RETRY_MS = 2000;

const listeners = new Set();
let source = null;
let watched = null;
let retry = 0;

/** Hear every notice; one with kind "watching" says that the stream is open (again): ask for what was missed. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Which job's notices to hear: one job's, or (null) those of all. */
export function watch(jobId) {
  if (source && watched === jobId) return;
  watched = jobId;
  open();
}

function open() {
  clearTimeout(retry);
  source?.close();
  const opened = new EventSource(address("/events", { job: watched }));
  source = opened;
  for (const kind of KINDS) opened.addEventListener(kind, hear);
  opened.onerror = () => {
    if (source !== opened) return;
    opened.close();
    // Why it broke is found out by a question, whose answer the whole page hears (locked, away).
    retry = setTimeout(() => get("/health").then(open, () => (retry = setTimeout(open, RETRY_MS))), RETRY_MS);
  };
}

function hear(event) {
  let notice;
  try {
    notice = JSON.parse(event.data);
  } catch {
    return;
  }
  for (const listener of [...listeners]) listener(notice);
}
