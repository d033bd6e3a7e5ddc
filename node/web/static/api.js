// Asks the node. Every failure becomes a Problem with one sentence that says what to do.

const PREFIX = "/api/v1";

export class Problem extends Error {
  constructor(kind, sentence, field = null, status = 0) {
    super(sentence);
    this.kind = kind;
    this.sentence = sentence;
    this.field = field;
    this.status = status;
  }

  /** The node is older than this page, or its part is not built in: the page shows the rest. */
  get isMissingPart() {
    return this.status === 404 && this.sentence.includes("openapi.json");
  }
}

const listeners = new Set();
let access = "unknown";

/** Hear whether the node lets us in: "open", "locked" (no cookie), "away" (no answer). */
export function onAccess(listener) {
  listeners.add(listener);
  listener(access);
  return () => listeners.delete(listener);
}

function note(now) {
  if (now === access) return;
  access = now;
  for (const listener of listeners) listener(now);
}

export function address(path, query = {}) {
  const values = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") values.append(name, each);
    }
  }
  const text = values.toString();
  return PREFIX + path + (text ? `?${text}` : "");
}

export async function send(method, path, { query, body, form, signal } = {}) {
  let response;
  try {
    response = await fetch(address(path, query), {
      method,
      signal,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    note("away");
    throw new Problem("away", "The node does not answer: it has stopped, or is starting. This page asks again by itself.");
  }
  if (!response.ok) throw problemOf(response.status, await response.json().catch(() => ({})));
  note("open");
  return response;
}

/** What the node said instead of an answer. */
export function problemOf(status, said) {
  note(status === 401 ? "locked" : "open");
  return new Problem(said.kind || "failed", said.sentence || `The node answered with the status ${status}.`, said.field ?? null, status);
}

export const get = async (path, query, signal) => (await send("GET", path, { query, signal })).json();
export const post = async (path, body = undefined) => (await send("POST", path, { body })).json();
export const patch = async (path, body) => (await send("PATCH", path, { body })).json();
export const remove = async (path) => (await send("DELETE", path)).json();

/** A name for a request, so that one that is sent twice is carried out once. */
export function requestId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (each) => each.toString(16).padStart(2, "0")).join("");
}
