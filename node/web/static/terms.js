// The form of what a job offers: from what the job says of itself, with what recent auctions paid beside the price.
import { UNIT, clean, count, duration, exactTokens, parseTokens, plural, tokens } from "/static/format.js";
import { html, useEffect, useState } from "/static/html.js";
import { Choice, Field, useAsk } from "/static/parts.js";

const MIB = 1 << 20;
const ASK_PAUSE_MS = 400;

/** The form's first values, as text: what the job says, else what is usual. */
export function firstValues(draft) {
  const said = draft.suggested || {};
  const isSplit = Boolean(draft.uploads.data);
  return {
    name: said.name ?? "",
    metric: said.metric ?? draft.metrics[0] ?? "",
    threshold: said.threshold === null || said.threshold === undefined ? "" : String(said.threshold),
    reserve_wei: said.reserve_wei ? exactTokens(said.reserve_wei) : "",
    estimated_s: String(Number(((said.estimated_s ?? 600) / 60).toFixed(2))),
    seats: "5",
    baseline: "",
    fee_wei: "",
    training_s: "",
    testing_s: "",
    bidding_s: "",
    memory_bytes: said.memory_bytes ? String(Math.ceil(said.memory_bytes / MIB)) : "",
    disk_bytes: "",
    privacy: "sealed",
    chunks: isSplit ? "10" : "",
    test_chunks: isSplit ? "2" : "",
  };
}

const number = (text) => (/^\s*-?\d+([.,]\d+)?([eE][+-]?\d+)?\s*$/.test(text) ? Number(text.replace(",", ".")) : NaN);
const MINUTES = new Set(["estimated_s", "training_s", "testing_s", "bidding_s"]);
const WHOLE = new Set(["seats", "chunks", "test_chunks"]);

/** [terms, problems by field]: what is wrong with a field is said before the node is asked. */
export function readValues(values) {
  const terms = { name: values.name.trim(), privacy: values.privacy };
  const problems = {};
  if (values.metric) terms.metric = values.metric;
  else problems.metric = "Choose what is measured.";
  for (const field of ["threshold", "baseline"]) {
    if (values[field].trim() === "") {
      if (field === "threshold") problems.threshold = "Give what the model has to reach, like 0.9.";
      continue;
    }
    const value = number(values[field]);
    if (Number.isFinite(value)) terms[field] = value;
    else problems[field] = "Give a number, like 0.9.";
  }
  for (const field of ["reserve_wei", "fee_wei"]) {
    if (values[field].trim() === "") {
      if (field === "reserve_wei") problems.reserve_wei = "Give the most that you would pay, like 20.";
      continue;
    }
    const wei = parseTokens(values[field]);
    if (wei === null) problems[field] = "Give an amount of tokens, like 12.5.";
    else terms[field] = wei;
  }
  for (const field of MINUTES) {
    if (values[field].trim() === "") continue;
    const seconds = Math.round(number(values[field]) * 60);
    if (seconds >= 1) terms[field] = seconds;
    else problems[field] = "Give a number of minutes, like 10 or 0.5.";
  }
  for (const field of ["memory_bytes", "disk_bytes"]) {
    if (values[field].trim() === "") continue;
    const size = Math.round(number(values[field])) * MIB;
    if (size >= MIB) terms[field] = size;
    else problems[field] = "Give a number of MiB, like 2048.";
  }
  for (const field of WHOLE) {
    if (values[field].trim() === "") continue;
    const value = number(values[field]);
    if (Number.isInteger(value) && value >= 0) terms[field] = value;
    else problems[field] = "Give a whole number.";
  }
  if (terms.seats !== undefined && terms.seats % 2 === 0) problems.seats = `${terms.seats} validators could tie. Give an odd number, like ${terms.seats + 1}.`;
  return [terms, problems];
}

const ADVANCED = ["baseline", "fee_wei", "training_s", "testing_s", "bidding_s", "memory_bytes", "disk_bytes", "privacy"];

export function TermsForm({ draft, values, problems, onChange }) {
  const set = (field) => (event) => onChange({ ...values, [field]: event.target.value });
  const text = (field, label, { hint, unit, mode = "decimal", ...rest } = {}) => html`<${Field} id=${field} label=${label} hint=${hint} unit=${unit} problem=${problems[field]}>
    ${(attributes) => html`<input ...${attributes} ...${rest} inputmode=${mode} autocomplete="off" value=${values[field]} onInput=${set(field)} />`}</>`;
  const hasAdvancedProblem = ADVANCED.some((field) => problems[field]);
  const [isOpen, setOpen] = useState(false);
  return html`<div class="stack">
    <div class="fields">
      ${text("name", "Name", { mode: "text", maxlength: 200, hint: "Everybody on the market can read it." })}
      <${Field} id="metric" label="What is measured" problem=${problems.metric} hint="Validators compute it from the model’s predictions.">
        ${(attributes) => html`<select ...${attributes} value=${values.metric} onChange=${set("metric")}>${[...new Set([...draft.metrics, values.metric].filter(Boolean))].map((each) => html`<option value=${each}>${clean(each)}</option>`)}</select>`}</>
      ${text("threshold", "Threshold", { hint: "Only a model that reaches it is paid. For a loss: the most that it may be." })}
      ${text("estimated_s", "Estimated training time", { unit: "minutes", hint: "Bidders price it. A guess is enough; the dry run helps." })}
    </div>
    <div class="fields">
      ${text("reserve_wei", "Reserve", { unit: UNIT, hint: "The most that you pay for training. What the auction does not need comes back." })}
      <${Estimate} minutes=${values.estimated_s} seats=${values.seats} />
      ${text("seats", "Validators", { mode: "numeric", hint: "How many test the model. An odd number; more are harder to fool, and cost more." })}
      ${draft.uploads.data && html`${text("chunks", "Chunks of the data", { mode: "numeric", hint: "Into how many the rows are cut." })}${text("test_chunks", "Chunks for the test", { mode: "numeric", hint: "How many of them chance draws for testing, after the award." })}`}
    </div>
    <details open=${isOpen || hasAdvancedProblem} onToggle=${(event) => setOpen(event.target.open)}><summary>Advanced</summary>
      <div class="fields">
        ${text("baseline", "Pay in part from", { hint: "A model between this and the threshold is paid its share. Empty: all or nothing." })}
        ${text("fee_wei", "Fee of a validator", { unit: UNIT, hint: "For each report. Empty: the usual one." })}
        ${text("bidding_s", "Time for bids", { unit: "minutes", hint: "Empty: as long as the market gives bidders to open their bids." })}
        ${text("training_s", "Longest training", { unit: "minutes", hint: "What a bid may ask for at most. Empty: three times the estimate, and at least a minute." })}
        ${text("testing_s", "Longest test", { unit: "minutes", hint: "Empty: as long as the estimate, and at least a minute and what the market gives for opening reports." })}
        ${text("memory_bytes", "Memory", { unit: "MiB", mode: "numeric", hint: `What a worker’s machine must have. ${draft.suggested ? `What the job says, or is usual: ${count(Math.ceil(draft.suggested.memory_bytes / MIB))} MiB.` : ""}` })}
        ${text("disk_bytes", "Disk", { unit: "MiB", mode: "numeric", hint: "Empty: 4096." })}
        <div class="field"><p class="legend" id="privacy-label">Who can read the data</p><${Choice} label="Who can read the data" options=${[["sealed", "Only the parties"], ["public", "Everybody"]]} value=${values.privacy} onChoose=${(value) => onChange({ ...values, privacy: value })} />
          <p class="hint">Code and data travel sealed; only the winner and the drawn validators get keys.</p></div>
      </div>
    </details>
  </div>`;
}

/** What recent auctions paid for so long a training. */
function Estimate({ minutes, seats }) {
  const [seconds, setSeconds] = useState(null);
  const [asked, setAsked] = useState(null);
  useEffect(() => {
    const timer = setTimeout(() => {
      const value = Math.round(number(minutes) * 60);
      setSeconds(value >= 1 ? value : null);
      setAsked(/^(1|3|5|7|9|11)$/.test(seats.trim()) ? Number(seats) : null);
    }, ASK_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [minutes, seats]);
  const { answer, problem } = useAsk(seconds === null ? null : "/estimate", { estimated_s: seconds, seats: asked });
  if (problem || !answer) return html`<div class="estimate"><p class="legend">What recent auctions paid</p><p class="hint">${problem ? (problem.isMissingPart ? "This node cannot say yet." : clean(problem.sentence)) : "Give an estimated training time."}</p></div>`;
  return html`<div class="estimate" role="status"><p class="legend">What recent auctions paid</p>
    ${answer.middle_wei !== null && html`<p class="estimate-range"><span>${tokens(answer.low_wei, 2)}</span><strong>${tokens(answer.middle_wei, 2)}</strong><span>${tokens(answer.high_wei, 2)} ${UNIT}</span></p>`}
    <p class="hint">${clean(answer.sentence)}</p>
    ${asked !== null && answer.least_reserve_wei !== null && html`<p class="hint">With ${plural(asked, "validator")} the market takes a reserve of ${tokens(answer.least_reserve_wei)} to ${tokens(answer.most_reserve_wei)} ${UNIT}: so much do their stakes vouch for.</p>`}
    ${answer.recent.length > 0 && html`<details class="values"><summary>${plural(answer.recent.length, "auction")}</summary><ul class="recent">${answer.recent.slice(0, 8).map((each) => html`<li key=${each.job_id}><a href=${`/jobs/${each.job_id}`} target="_blank" rel="noopener">${tokens(each.price_wei, 2)} ${UNIT}</a> for ${duration(each.estimated_s)}, ${plural(each.bids, "bid")}</li>`)}</ul></details>`}
  </div>`;
}
