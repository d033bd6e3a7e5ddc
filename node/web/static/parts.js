// What all pages are put together from.
import { get } from "/static/api.js";
import { chainNow, useTick } from "/static/clock.js";
import { UNIT, clean, duration, exactTokens, shortAccount, tokens } from "/static/format.js";
import { html, useCallback, useEffect, useRef, useState } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { listen } from "/static/events.js";

/** This node, once it has said who it is; shared by all pages. */
export const self = { account: null, roles: [] };

/**
 * The answer to a question, asked again when it changes or on reload; an older answer stays until the new one is here.
 * A question that is on its way is heard to its end, however often a reload is wanted meanwhile: one more follows then.
 */
export function useAsk(path, query = {}) {
  const key = path === null ? null : `${path}?${JSON.stringify(query)}`;
  const [state, setState] = useState({ key: null, answer: null, problem: null });
  const again = useRef(null);
  useEffect(() => {
    if (path === null) return undefined;
    const stop = new AbortController();
    let isAsking = false;
    let isWanted = false;
    const ask = async () => {
      isWanted = true;
      if (isAsking) return;
      isAsking = true;
      while (isWanted && !stop.signal.aborted) {
        isWanted = false;
        try {
          const answer = await get(path, query, stop.signal);
          setState({ key, answer, problem: null });
        } catch (problem) {
          if (problem.name !== "AbortError") setState((old) => ({ key, answer: old.key === key ? old.answer : null, problem }));
        }
      }
      isAsking = false;
    };
    again.current = ask;
    ask();
    return () => {
      again.current = null;
      stop.abort();
    };
  }, [key]);
  const reload = useCallback(() => again.current?.(), []);
  return { answer: state.answer, problem: state.problem, reload };
}

/** Calls back soon after a notice that is wanted, and again when the stream was interrupted; not more often than so. */
export function useNotices(isWanted, act, pause_ms = 400) {
  const latest = useRef({});
  latest.current = { isWanted, act };
  useEffect(() => {
    let timer = null;
    let hasBegun = false;
    const stop = listen((notice) => {
      const isAgain = notice.kind === "watching" && hasBegun;
      hasBegun = true;
      if (timer || !(isAgain || notice.kind === "dropped" || latest.current.isWanted(notice))) return;
      timer = setTimeout(() => {
        timer = null;
        latest.current.act();
      }, pause_ms);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
}

/** Calls back every so often while the page can be seen. */
export function useEvery(act, every_ms) {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    const timer = setInterval(() => document.hidden || latest.current(), every_ms);
    return () => clearInterval(timer);
  }, [every_ms]);
}

/** The width of an element in pixels, as it changes. */
export function useWidth() {
  const ref = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    if (ref.current) observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

export function useTitle(title) {
  useEffect(() => {
    document.title = title ? `${title} · Morphware` : "Morphware";
  }, [title]);
}

export function PageHead({ title, children, beside }) {
  return html`<header class="page-head">
    <div><h1>${title}</h1>${children}</div>
    ${beside && html`<div class="page-acts">${beside}</div>`}
  </header>`;
}

export function Card({ title, note, acts, children, kind = "", id, level = 2 }) {
  const heading = title && html`<${`h${level}`} id=${id && `${id}-title`}>${title}</>`;
  return html`<section class=${`card ${kind}`} id=${id} aria-labelledby=${id && title ? `${id}-title` : undefined}>
    ${(title || acts) && html`<div class="card-head">${heading}${acts && html`<div class="card-acts">${acts}</div>`}</div>`}
    ${note && html`<p class="note">${note}</p>`}
    ${children}
  </section>`;
}

/** A part that has nothing to show says what to do. */
export function Empty({ children, act }) {
  return html`<div class="empty"><p>${children}</p>${act}</div>`;
}

/** A question that is on its way, or failed. */
export function Waiting({ of, what, again }) {
  if (of.problem) return html`<${Trouble} problem=${of.problem} again=${again} />`;
  return html`<p class="waiting" role="status">${what}</p>`;
}

export function Trouble({ problem, again }) {
  if (problem.isMissingPart) {
    return html`<p class="empty">This node does not offer this part yet. It comes with a newer version of Morphware.</p>`;
  }
  return html`<div class="trouble" role="alert"><${Icon} name="warning" /><p>${clean(problem.sentence)}</p>
    ${again && html`<button type="button" class="quiet" onClick=${again}>Ask again</button>`}
  </div>`;
}

export function Said({ sentence, kind = "good" }) {
  return html`<p class=${`said ${kind}`} role="status">${sentence && html`<${Icon} name=${kind === "good" ? "check" : "warning"} />`}<span>${clean(sentence)}</span></p>`;
}

/** An amount with its unit; the tooltip has every decimal. Fees are in the chain’s coin. */
export function Amount({ wei, decimals = 4, sign = false, unit = true, isCoin = false }) {
  if (wei === null || wei === undefined) return html`<span class="none">–</span>`;
  const plus = sign && BigInt(wei) > 0n ? "+" : "";
  return html`<span class="amount" title=${`${exactTokens(wei)} ${isCoin ? "of the chain’s coin" : UNIT}`}>${plus}${tokens(wei, decimals)}${unit && html`<span class="unit">${"\u202f"}${UNIT}</span>`}</span>`;
}

const PARTY = { user: "the end user", winner: "the winner", market: "the market", burned: "burned", audits: "the audit pool" };

export function partyName(name) {
  if (!name) return "–";
  if (name === self.account) return "this node";
  return PARTY[name] || (name.startsWith("0x") ? shortAccount(name) : clean(name));
}

export function Account({ account }) {
  if (!account) return html`<span class="none">–</span>`;
  const isSelf = account === self.account;
  return html`<span class=${`account ${isSelf ? "own" : ""}`} title=${account}>${isSelf ? "this node" : shortAccount(account)}</span>`;
}

const GOOD = new Set(["PAID"]);
const BAD = new Set(["REJECTED", "USER_FAULT", "WORKER_FAULT", "MUTUAL_ABORT", "NOT_POSTED"]);
const WORDS = {
  NONE: "Being posted", BIDDING: "Bidding", REVEALING: "Opening bids", AWARDED: "Awarded", KEYED: "Data handed over",
  KEY_DISPUTE: "Dispute about keys", TRAINING: "Training", SEED: "Drawing committee", KEYING: "Handing out keys",
  X_DISPUTE: "Dispute about model", VCOMMIT: "Testing", DISCLOSE: "Disclosing keys", VREVEAL: "Opening reports",
  TALLIED: "Verdict open to appeal", DRAWING: "Drawing committee", CLAIMABLE: "Model's key due", INSPECT: "Last look",
  CLOSED: "Closed", PAID: "Paid", REJECTED: "Rejected", NO_BIDS: "No bids", CANCELLED: "Taken back",
  USER_FAULT: "End user's fault", WORKER_FAULT: "Worker's fault", MUTUAL_ABORT: "Broken off",
  INCONCLUSIVE: "Inconclusive", NOT_POSTED: "Not posted",
};

/** A state as people say it; the protocol's own word is in the tooltip. */
export function stateWord(state) {
  return WORDS[state] || clean(state);
}

export function isOver(job) {
  return job.outcome !== "NONE";
}

export function Badge({ job, state }) {
  const shown = state || (isOver(job) ? job.outcome : job.state);
  const kind = GOOD.has(shown) ? "good" : BAD.has(shown) ? "bad" : (job ? isOver(job) : false) ? "plain" : "busy";
  return html`<span class=${`badge ${kind}`} title=${shown}>${stateWord(shown)}</span>`;
}

const COPIED = { label: "Copied", icon: "check" };
const REFUSED = { label: "The browser refused: mark the text and copy it by hand", icon: "warning" };

/** Until a deadline of the chain. */
export function Countdown({ deadline, before = "" }) {
  useTick(1000);
  const now = chainNow();
  if (deadline === null || deadline === undefined || now === null) return null;
  const left = deadline - now;
  return html`<span class="countdown">${left > 0 ? `${before}${duration(left)}` : "the deadline has passed"}</span>`;
}

/** Copies a text, and says whether the browser let it. */
export function Copy({ text, what }) {
  const [said, setSaid] = useState(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid(COPIED);
    } catch {
      setSaid(REFUSED);
    }
    setTimeout(() => setSaid(null), 1500);
  };
  const label = said?.label ?? `Copy ${what}`;
  return html`<button type="button" class="icon-button" aria-label=${label} title=${label} onClick=${copy}>
    <${Icon} name=${said?.icon ?? "copy"} size=${16} />
  </button>`;
}

export function Facts({ of }) {
  return html`<dl class="facts">${of.filter(Boolean).map(([name, value, note]) => html`<div key=${name}><dt>${name}</dt><dd>${value}${note && html`<small>${note}</small>`}</dd></div>`)}</dl>`;
}

/** A table that scrolls sideways inside its card where it is too wide. Columns: [title, kind]. */
export function Table({ label, columns, rows }) {
  return html`<div class="table-wrap" tabindex="0" role="region" aria-label=${label}>
    <table><thead><tr>${columns.map(([title, kind]) => html`<th scope="col" class=${kind || ""}>${title}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.key}>${row.cells.map((cell, i) => html`<td class=${columns[i][1] || ""}>${cell}</td>`)}</tr>`)}</tbody>
    </table>
  </div>`;
}

/** A labelled field with its hint and its problem beneath. ``children`` gets the attributes of the input. */
export function Field({ id, label, hint, problem, unit, children }) {
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ") || undefined;
  const input = children({ id, name: id, "aria-describedby": described, "aria-invalid": problem ? "true" : undefined });
  return html`<div class=${`field ${problem ? "wrong" : ""}`}>
    <label for=${id}>${label}</label>
    ${unit ? html`<div class="with-unit">${input}<span aria-hidden="true">${unit}</span></div>` : input}
    ${problem && html`<p class="field-problem" id=${`${id}-problem`}>${clean(problem)}</p>`}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/** A choice of few, as buttons side by side. Options: [value, text]. */
export function Choice({ label, options, value, onChoose }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(([each, text]) => html`<button type="button" key=${each} aria-pressed=${each === value} onClick=${() => onChoose(each)}>${text}</button>`)}
  </div>`;
}

export function Pager({ page, size, total, onPage }) {
  const pages = Math.max(1, Math.ceil(total / size));
  if (pages === 1) return null;
  return html`<nav class="pager" aria-label="Pages">
    <button type="button" disabled=${page <= 1} onClick=${() => onPage(page - 1)}>Newer</button>
    <span>Page ${page} of ${pages}</span>
    <button type="button" disabled=${page >= pages} onClick=${() => onPage(page + 1)}>Older</button>
  </nav>`;
}

/** Runs a request of a form: whether it runs, what it said, and what went wrong. */
export function useDeed() {
  const [state, setState] = useState({ isRunning: false, said: "", problem: null });
  const run = async (deed) => {
    setState({ isRunning: true, said: "", problem: null });
    try {
      const said = await deed();
      setState({ isRunning: false, said: said ?? "", problem: null });
      return true;
    } catch (problem) {
      setState({ isRunning: false, said: "", problem });
      return false;
    }
  };
  return { ...state, run };
}
