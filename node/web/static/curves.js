// The curves of a job: one chart for each thing that is measured, with training and validation together, growing live.
import { address, get } from "/static/api.js";
import { Chart, savePicture, smoothed } from "/static/chart.js";
import { listen } from "/static/events.js";
import { clean, count, duration, number } from "/static/format.js";
import { html, useEffect, useMemo, useRef, useState } from "/static/html.js";
import { Card, Choice, Empty, Table } from "/static/parts.js";

const ASK_PAUSE_MS = 4000;
const DRAW_PAUSE_MS = 200;
const CHARTS_FIRST = 4;
const LINES_MOST = 12;
const BUCKETS_LEAST = 10;
const SPANS = [["all", "All"], ["half", "Last half"], ["tenth", "Last tenth"]];
const PARTS = { half: 1 / 2, tenth: 1 / 10 };
const TRAIN = /^(train(ing)?|tr)[/_.-]|[/_.-](train(ing)?|tr)$/i;
const VALIDATION = /^(val(id(ation)?)?|eval|test|dev)[/_.-]|[/_.-](val(id(ation)?)?|eval|test|dev)$/i;
const SYSTEM = "system/";

function isSystem(name) {
  return name.startsWith(SYSTEM);
}

/** What a series measures, whichever data it was measured on. */
function familyOf(name) {
  if (isSystem(name)) return name;
  return name.replace(TRAIN, "").replace(VALIDATION, "").toLowerCase() || name;
}

/** Families in the order in which people look for them: the loss first. */
function familiesOf(names) {
  const families = new Map();
  for (const name of names) {
    const family = familyOf(name);
    families.set(family, [...(families.get(family) || []), name]);
  }
  const rank = (family) => (family.includes("loss") ? 0 : /acc|f1|auc|r2|score/.test(family) ? 1 : 2);
  return [...families].sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b));
}

function colourOf(name, index, names) {
  if (isSystem(name)) return "s6";
  if (TRAIN.test(name)) return "s1";
  if (VALIDATION.test(name)) return "s2";
  return names.length === 1 ? "s1" : `s${((index + 2) % 6) + 1}`;
}

/** The names of a job's series; asked again when a new one is heard of. */
export function useNames(jobId) {
  const [names, setNames] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    let timer = null;
    const known = new Set();
    const ask = () => {
      timer = null;
      get(`/jobs/${jobId}/series`, { buckets: 10 }).then(
        (answer) => {
          answer.names.forEach((name) => known.add(name));
          setNames(answer.names);
          setProblem(null);
        },
        setProblem,
      );
    };
    const stop = listen((notice) => {
      const isNew = notice.kind === "points" && notice.points.some(([, , name]) => !known.has(name));
      if ((isNew || notice.kind === "watching") && !timer) timer = setTimeout(ask, 1000);
    });
    ask();
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [jobId]);
  return [names, problem];
}

/**
 * The curves of some names in a window, thinned out by the node, with what came since. A window that somebody dragged
 * over stays as it is; the last part of a curve moves on with it.
 */
function useCurves(jobId, names, axis, span, zoom, buckets) {
  const held = useRef([]);
  const [version, redraw] = useState(0);
  useEffect(() => {
    if (!buckets) return undefined;
    let stopped = false;
    let asking = null;
    let askedAt = 0;
    let drawing = null;
    const draw = () => {
      drawing = null;
      redraw((n) => n + 1);
    };
    const isMoving = !zoom && span !== "all";
    const series = async (first, last, most) => (await get(`/jobs/${jobId}/series`, { name: names, axis, first, last, buckets: most })).curves;
    const firstOf = async () => {
      const whole = (await series(undefined, undefined, BUCKETS_LEAST)).flatMap((curve) => curve.xs);
      const [first, last] = [Math.min(...whole), Math.max(...whole)];
      return whole.length ? last - (last - first) * PARTS[span] : undefined;
    };
    const ask = async () => {
      asking = null;
      askedAt = Date.now();
      try {
        const first = isMoving ? await firstOf() : zoom?.[0];
        const curves = await series(first, zoom?.[1], buckets);
        if (stopped) return;
        held.current = curves.map((curve) => ({ name: curve.name, count: curve.count, xs: curve.xs, ys: curve.values }));
        redraw((n) => n + 1);
      } catch {
        // What was drawn before stays; the next notice asks again.
      }
    };
    const askSoon = () => {
      asking ??= setTimeout(ask, Math.max(0, askedAt + ASK_PAUSE_MS - Date.now()));
    };
    const stop = listen((notice) => {
      if (notice.kind === "watching" || notice.kind === "dropped") askSoon();
      if (notice.kind !== "points" || notice.job_id !== jobId || zoom) return;
      let longest = 0;
      for (const [step, time, name, value] of notice.points) {
        const curve = held.current.find((each) => each.name === name);
        if (!curve) {
          if (names.includes(name)) askSoon();
          continue;
        }
        const x = axis === "step" ? step : time;
        if (curve.xs.length && x <= curve.xs[curve.xs.length - 1]) {
          askSoon(); // a training that began again, or a step that is logged twice: the node knows what to show of it
          continue;
        }
        curve.xs.push(x);
        curve.ys.push(value);
        curve.count += 1;
        longest = Math.max(longest, curve.xs.length);
      }
      if (longest > 2 * buckets || (longest && isMoving)) askSoon();
      drawing ??= setTimeout(draw, DRAW_PAUSE_MS);
    });
    ask();
    return () => {
      stopped = true;
      stop();
      clearTimeout(asking);
      clearTimeout(drawing);
    };
  }, [jobId, names.join(), axis, span, zoom?.join(), buckets]);
  return [held.current, version];
}

export function CurvesCard({ job, names, problem, isLive }) {
  const [isLog, setLog] = useState(false);
  const [weight, setWeight] = useState(0);
  const [axis, setAxis] = useState("step");
  const [span, setSpan] = useState("all");
  const [isAll, setAll] = useState(false);
  const families = useMemo(() => familiesOf((names || []).filter((name) => !isSystem(name))), [names]);
  if (names === null || families.length === 0) {
    const why = problem && !problem.isMissingPart ? problem.sentence : problem
      ? "This node does not offer curves yet. They come with a newer version of Morphware."
      : isLive
        ? "No curve yet. As soon as the job prints a line like “loss: 0.12”, calls morphware.log, or writes TensorBoard files, its curve grows here."
        : "This job has logged no numbers. A job that prints “loss: 0.12” or calls morphware.log is shown as curves.";
    return html`<${Card} id="curves" title="Curves"><${Empty}>${why}</></>`;
  }
  const shown = isAll ? families : families.slice(0, CHARTS_FIRST);
  return html`<${Card} id="curves" title="Curves" acts=${html`<a class="button small" download href=${address(`/jobs/${job.job_id}/series.csv`)}>CSV</a>`}>
    <div class="chart-tools">
      <${Choice} label="Horizontal axis" options=${[["step", "Steps"], ["time", "Time"]]} value=${axis} onChoose=${setAxis} />
      <${Choice} label="Vertical scale" options=${[["linear", "Linear"], ["log", "Log"]]} value=${isLog ? "log" : "linear"} onChoose=${(value) => setLog(value === "log")} />
      <${Choice} label="How much of it" options=${SPANS} value=${span} onChoose=${setSpan} />
      <label class="slider">Smoothing <input type="range" min="0" max="0.98" step="0.02" value=${weight} onInput=${(event) => setWeight(Number(event.target.value))} /><output>${weight.toFixed(2)}</output></label>
    </div>
    <div class="charts">${shown.map(([family, members]) => html`<${Panel} key=${family} family=${family} names=${members} job=${job} isLog=${isLog} weight=${weight} axis=${axis} span=${span} />`)}</div>
    ${families.length > shown.length && html`<button type="button" onClick=${() => setAll(true)}>Show ${families.length - shown.length} more</button>`}
  </>`;
}

// What the worker's node measures, by the series' names: title, and how a value is written.
const SYSTEM_KNOWN = [
  [/cpu/, "Processor", (value) => `${number(value, 3)}\u202f%`],
  [/gpu_?mem/, "Graphics memory", mebibytes],
  [/gpu/, "Graphics processor", (value) => `${number(value, 3)}\u202f%`],
  [/mem/, "Memory", mebibytes],
  [/disk/, "Disk", mebibytes],
];

function mebibytes(value) {
  return value < 1024 ? `${number(value, 3)}\u202fMiB` : `${number(value / 1024, 3)}\u202fGiB`;
}

function systemSeries(name) {
  const [, title, unit] = SYSTEM_KNOWN.find(([pattern]) => pattern.test(name)) || [null, clean(name), (value) => number(value, 4)];
  return { title, unit };
}

export function SystemCard({ job, names }) {
  const found = (names || []).filter(isSystem);
  if (found.length === 0) return null;
  return html`<${Card} id="system" title="What it uses of the machine">
    <div class="charts small">${found.map((name) => html`<${Panel} key=${name} family=${name} title=${systemSeries(name).title} names=${[name]} job=${job} axis="time" span="all" weight=${0} height=${140} formatY=${systemSeries(name).unit} />`)}</div>
  </>`;
}

function Panel({ family, title, names: all, job, isLog, weight, axis, span, height, formatY = (value) => number(value, 4) }) {
  const names = all.slice(0, LINES_MOST);
  const [hidden, setHidden] = useState([]);
  const [zoom, setZoom] = useState(null);
  const [hover, setHover] = useState(null);
  const [width, setWidth] = useState(0);
  const plot = useRef(null);
  const buckets = width ? Math.min(2000, Math.max(100, Math.ceil(width / 50) * 50)) : 0;
  const [curves, version] = useCurves(job.job_id, names, axis, span, zoom, buckets);
  useEffect(() => setZoom(null), [axis, span]);
  const lines = useMemo(() => linesOf(), [version, hidden.join(), weight, axis]);
  const bold = lines.filter((line) => !line.faint);
  const formatX = (x) => (axis === "step" ? (Math.abs(x) >= 1e5 ? `${number(x / 1000, 4)}k` : number(x, 6)) : duration(x));
  const at = (line) => (hover === null ? line.ys.length - 1 : nearest(line.xs, hover));
  const heading = title || clean(family);

  function linesOf() {
    const made = [];
    names.forEach((name, index) => {
      const curve = curves.find((each) => each.name === name);
      if (!curve || hidden.includes(name) || curve.ys.length === 0) return;
      const base = { label: clean(name), colour: colourOf(name, index, names), xs: curve.xs.slice() };
      if (weight > 0) made.push({ ...base, ys: curve.ys.slice(), faint: true });
      made.push({ ...base, ys: weight > 0 ? smoothed(curve.ys, weight) : curve.ys.slice() });
    });
    return made;
  }
  return html`<figure class="panel" role="group" aria-label=${heading}>
    <div class="panel-head"><h3>${heading}</h3>
      ${zoom && html`<button type="button" class="quiet small" onClick=${() => setZoom(null)}>${span === "all" ? "Whole curve" : SPANS.find(([each]) => each === span)[1]}</button>`}
      <button type="button" class="quiet small" aria-label=${`PNG: save the chart of ${heading} as a picture`} onClick=${() => plot.current && savePicture(plot.current, heading, bold, clean(family).replace(/[^\w.-]+/g, "-"))}>PNG</button>
    </div>
    <${Chart} label=${`${heading}: ${summary(bold, formatY)}`} lines=${lines} isLog=${isLog} formatX=${formatX} formatY=${formatY} height=${height || (width < 420 ? 200 : 240)}
      onZoom=${setZoom} onReset=${() => setZoom(null)} onHover=${setHover} onWidth=${setWidth} plotRef=${plot} />
    <ul class="legend">${names.map((name, index) => {
      const line = bold.find((each) => each.label === clean(name));
      const place = line ? at(line) : -1;
      const swatch = html`<span class=${`swatch ${colourOf(name, index, names)}`}></span><span class="legend-name">${clean(name)}</span>`;
      return html`<li key=${name}>${names.length === 1 ? html`<span class="legend-only">${swatch}</span>` : html`<button type="button" aria-pressed=${!hidden.includes(name)} title="Show or hide" onClick=${() => setHidden(hidden.includes(name) ? hidden.filter((each) => each !== name) : [...hidden, name])}>${swatch}</button>`}
        ${line && place >= 0 && html`<span class="legend-value">${formatY(line.ys[place])}<small> at ${formatX(line.xs[place])}</small></span>`}</li>`;
    })}</ul>
    <details class="values"><summary>Values</summary>
      <${Table} label=${`Values of ${heading}`} columns=${[["Series"], ["Points", "num"], ["Last", "num"], ["Least", "num"], ["Most", "num"]]}
        rows=${bold.map((line) => {
          const known = line.ys.filter((y) => Number.isFinite(y));
          const curve = curves.find((each) => clean(each.name) === line.label);
          return { key: line.label, cells: [line.label, count(curve?.count ?? 0), formatY(line.ys.at(-1)), formatY(least(known)), formatY(-least(known.map((y) => -y)))] };
        })} />
    </details>
  </figure>`;
}

function least(values) {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

function summary(lines, formatY) {
  return lines.map((line) => `${line.label} is ${formatY(line.ys.at(-1))} at last`).join(", ") || "no values yet";
}

/** The place of the value nearest to x, in values that grow. */
function nearest(xs, x) {
  let low = 0;
  let high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && x - xs[low - 1] < xs[low] - x ? low - 1 : low;
}
