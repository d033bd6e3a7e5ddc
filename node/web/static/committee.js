// The committee's rounds: each report on the metric's axis, with the threshold, the median, and who stayed silent.
import { UNIT, clean, metric, number, plural, shortAccount, tokens } from "/static/format.js";
import { html } from "/static/html.js";
import { Account, Amount, Card, Empty, Table, self } from "/static/parts.js";
import { Dots } from "/static/pictures.js";

const BEFORE_TESTS = new Set(["NONE", "BIDDING", "REVEALING", "AWARDED", "KEYED", "KEY_DISPUTE", "TRAINING"]);
const VERDICTS = { PASS: "The model meets the threshold.", FAIL: "The model misses the threshold.", NONE: "", NO_MODEL: "The model could not be had.", NO_TEST: "The model could not be tested." };

function roundsOf(job) {
  const rounds = new Map();
  for (const report of job.reports) rounds.set(report.round, [...(rounds.get(report.round) || []), report]);
  return [...rounds].sort(([a], [b]) => a - b);
}

function isSlashed(report) {
  return report.slash_wei !== null && BigInt(report.slash_wei) > 0n;
}

function kindOf(report, isEnded) {
  if (isSlashed(report)) return "slashed";
  if (typeof report.metric === "number") return "report";
  return report.metric === null && isEnded ? "silent" : "waits";
}

function noteOf(report, isEnded) {
  const slash = isSlashed(report) ? ` · lost ${tokens(report.slash_wei, 2)} ${UNIT}` : "";
  if (report.metric !== null) return metric(report.metric) + slash;
  if (isEnded || slash) return `stayed silent${slash}`;
  return report.is_committed ? "has committed to its report" : "tests, or waits for its keys";
}

export function CommitteeCard({ job }) {
  const hasEnded = job.outcome !== "NONE";
  if (job.reports.length === 0) {
    if (job.state === "NONE" || job.state === "BIDDING" || hasEnded) return null;
    const why = BEFORE_TESTS.has(job.state)
      ? "Nobody is drawn yet. Once a model is handed in, chance draws validators, who test it on data that the worker never saw."
      : "The committee is being drawn by a block’s hash that nobody could know when the model was handed in.";
    return html`<${Card} id="committee" title="Committee"><${Empty}>${why}</></>`;
  }
  const rounds = roundsOf(job);
  const extra = [];
  for (const appeal of job.appeals) extra.push(`${appeal.appellant === self.account ? "This node" : shortAccount(appeal.appellant)} appealed to ${appeal.seats} seats, with a bond of ${tokens(appeal.bond_wei)} ${UNIT}.`);
  if (job.audit) extra.push(`A random audit tested the model again: ${plural(job.audit.seats, "validator")}.`);
  for (const each of job.unheard) extra.push(`${each.appellant ? "An appeal" : "An audit"} was not heard, as no committee could be drawn for it.`);
  return html`<${Card} id="committee" title="Committee" note=${[VERDICTS[job.verdict] ?? clean(job.verdict), ...extra].filter(Boolean).join(" ")}>
    <div class="stack">${rounds.map(([round, reports], i) => html`<${Round} key=${round} job=${job} number=${i + 1} of=${rounds.length} reports=${reports} isEnded=${hasEnded || i < rounds.length - 1} />`)}</div>
    <details class="values"><summary>All reports as a table</summary>
      <${Table} label="Reports" columns=${[["Round", "num"], ["Validator"], [clean(job.metric) || "Metric", "num"], [`Fee (${UNIT})`, "num"], [`Slash (${UNIT})`, "num"]]}
        rows=${job.reports.map((report) => ({ key: `${report.round}-${report.validator}`, cells: [report.round + 1, html`<${Account} account=${report.validator} />`, report.metric === null ? noteOf(report, hasEnded) : metric(report.metric), html`<${Amount} wei=${report.fee_wei} unit=${false} />`, html`<${Amount} wei=${report.slash_wei} unit=${false} />`] }))} />
    </details>
  </>`;
}

function Round({ job, number: place, of, reports, isEnded }) {
  const values = reports.map((report) => report.metric).filter((value) => typeof value === "number").sort((a, b) => a - b);
  const median = values.length ? values[Math.floor((values.length - 1) / 2)] : null;
  const everything = [...values, job.threshold].filter((value) => value !== null);
  let low = Math.min(...everything);
  let high = Math.max(...everything);
  const margin = (high - low || Math.abs(high) * 0.02 || 1) * 0.35;
  low -= margin;
  high += margin;
  const lines = [];
  if (job.threshold !== null) lines.push({ value: job.threshold, text: `threshold ${number(job.threshold)}`, kind: "limit" });
  if (median !== null) lines.push({ value: median, text: `median ${number(median)}`, kind: "price" });
  const spread = values.length > 1 ? `The spread is ${number(values.at(-1) - values[0], 3)}, from ${number(values[0])} to ${number(values.at(-1))}.` : "";
  const heard = values.length ? `${values.length} of ${plural(reports.length, "report")}.` : `${plural(reports.length, "validator")} drawn; no report is open yet.`;
  const rows = reports.map((report) => ({
    key: report.validator,
    label: report.validator === self.account ? "this node" : shortAccount(report.validator),
    title: report.validator,
    value: typeof report.metric === "number" ? report.metric : null,
    note: noteOf(report, isEnded),
    kind: kindOf(report, isEnded),
  }));
  return html`<div>
    ${of > 1 && html`<h3>Round ${place}</h3>`}
    <p class="hint">${heard} ${spread}</p>
    <${Dots} label=${`Reports of round ${place}. ${heard} ${spread} ${median === null ? "" : `The median is ${number(median)}.`}`} rows=${rows} lines=${lines} low=${low} high=${high} formatTick=${(tick) => number(tick, 4)} />
  </div>`;
}
