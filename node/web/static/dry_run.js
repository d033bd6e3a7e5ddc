// A dry run: the job on this machine, in the sandbox, before any money moves.
import { send } from "/static/api.js";
import { Chart } from "/static/chart.js";
import { bytes, clean, cleanOutput, duration, number } from "/static/format.js";
import { html, useEffect, useRef, useState } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { Card, Facts, Trouble } from "/static/parts.js";

const SECONDS = 20;
const CHARACTERS_MOST = 100_000;
const POINTS_MOST = 4000;

export function DryRunCard({ draftId, metric, onEstimate, onResult }) {
  const [run, setRun] = useState(null);
  const [isRunning, setRunning] = useState(false);
  const [problem, setProblem] = useState(null);
  const stop = useRef(null);
  const box = useRef(null);
  useEffect(() => () => stop.current?.abort(), [draftId]);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [run?.text]);
  const start = async () => {
    const made = { text: "", series: new Map(), result: null };
    stop.current = new AbortController();
    setProblem(null);
    setRunning(true);
    setRun({ ...made });
    try {
      const response = await send("POST", `/drafts/${draftId}/dry-run`, { body: { seconds: SECONDS, metric: metric || null }, signal: stop.current.signal });
      for await (const line of lines(response.body)) {
        fold(made, line);
        setRun({ ...made });
      }
      if (made.result) onResult(made.result);
      else setProblem({ sentence: "The dry run broke off before it had a result. Try it again." });
    } catch (error) {
      if (error.name !== "AbortError") setProblem(error);
    }
    setRunning(false);
  };
  const result = run?.result;
  const series = [...(run?.series.values() || [])].slice(0, 3);
  return html`<${Card} id="dry-run" title="Dry run" note=${`Runs the job for ${SECONDS} seconds on this machine, in the same sandbox as a worker’s. It costs nothing, and shows whether the job starts and what a step takes.`}
    acts=${isRunning ? html`<button type="button" onClick=${() => stop.current.abort()}>Stop</button>` : html`<button type="button" onClick=${start}><${Icon} name="play" size=${18} />${run ? "Try again" : "Try it"}</button>`}>
    ${problem && html`<${Trouble} problem=${problem} />`}
    ${isRunning && html`<p class="waiting" role="status">The job runs. What it prints comes here.</p>`}
    ${result && html`<div class=${`result ${verdictOf(result)}`} role="status"><${Icon} name=${verdictOf(result) === "good" ? "check" : "warning"} /><p>${clean(result.text)}</p></div>
      <${Facts} of=${[["It ran for", duration(result.seconds ?? 0)], result.step_s !== null && result.step_s !== undefined && ["A step takes", `${number(result.step_s, 3)} s`], result.peak_memory_bytes && ["Memory at most", bytes(result.peak_memory_bytes)], ...Object.entries(result.values).map(([name, value]) => [`${clean(name)} of its model`, number(value)])]} />
      ${result.estimated_s && html`<button type="button" class="quiet small" onClick=${() => onEstimate(result.estimated_s)}>Use ${duration(result.estimated_s)} as the estimated training time</button>`}`}
    ${series.length > 0 && html`<${Chart} label="What the dry run logged" height=${160} lines=${series.map((line, i) => ({ label: line.name, colour: `s${i + 1}`, xs: line.xs.slice(), ys: line.ys.slice() }))} formatX=${(x) => number(x, 6)} formatY=${(y) => number(y, 4)} />
      <ul class="legend">${series.map((line, i) => html`<li key=${line.name}><span class=${`swatch s${i + 1}`}></span>${clean(line.name)} <span class="legend-value">${number(line.ys.at(-1))}</span></li>`)}</ul>`}
    ${run?.text && html`<pre class="output short" tabindex="0" role="region" aria-label="What the dry run printed" ref=${box}>${cleanOutput(run.text)}</pre>`}
  </>`;
}

/** Green is only what went to its end. */
function verdictOf(result) {
  if (!result.is_working) return "bad";
  return result.has_ended === false ? "half" : "good";
}

function fold(made, line) {
  if (line.kind === "output") made.text = (made.text + line.text).slice(-CHARACTERS_MOST);
  else if (line.kind === "result") {
    made.result = line;
    // What predict() wrote before it failed comes with the result; what the training wrote is here already.
    const tail = (line.tail || "").trimEnd();
    if (tail && !made.text.trimEnd().endsWith(tail)) made.text += `${made.text && "\n"}${tail}\n`;
  }
  else {
    for (const [name, value] of Object.entries(line.values)) {
      if (!made.series.has(name)) made.series.set(name, { name, xs: [], ys: [] });
      const { xs, ys } = made.series.get(name);
      if (xs.length >= POINTS_MOST || (xs.length && line.step <= xs.at(-1))) continue;
      xs.push(line.step);
      ys.push(value);
    }
  }
}

/** The events of a stream that answers a POST, which EventSource cannot ask for. */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part.startsWith("data:")) yield JSON.parse(part.slice(5));
  }
}
