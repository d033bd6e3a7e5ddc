// A worker's or validator's page: what it does now, what it offers, what it earned and lost.
import { patch, post } from "/static/api.js";
import { Chart } from "/static/chart.js";
import { nodeNow } from "/static/clock.js";
import { UNIT, asNumber, clean, dayAndTime, duration, number, plural, shortId, tokens } from "/static/format.js";
import { html, useMemo, useState } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { Amount, Card, Choice, Countdown, Empty, PageHead, Said, Table, Waiting, useAsk, useDeed, useEvery, useNotices, useTitle } from "/static/parts.js";

const ROLE = { user: "end user", worker: "worker", validator: "validator" };
const WORKED = { worker: "Jobs that it bid on", validator: "Jobs that it tested" };
const AGAIN_MS = 10000;
const DAY_S = 86400;
const WANTED = new Set(["chain", "account", "training", "trained", "frozen", "thawed", "evaluating", "ended", "paused", "resumed", "availability", "policy"]);

export function OperatorPage() {
  useTitle("Operator");
  const operator = useAsk("/operator");
  useNotices((notice) => WANTED.has(notice.kind), operator.reload, 1000);
  useEvery(operator.reload, AGAIN_MS);
  const { answer } = operator;
  if (!answer) return html`<${PageHead} title="Operator" /><${Waiting} of=${operator} what="The node looks up what it does." again=${operator.reload} />`;
  const works = answer.roles.filter((role) => role !== "user");
  if (works.length === 0) {
    return html`<${PageHead} title="Operator" /><${Empty}>This node is an end user only: it takes no work. Start it with the role “worker” to train models for others, or “validator” to test them, and it earns tokens. <code>morphware run --role worker</code></>`;
  }
  return html`<${PageHead} title="Operator"><p>This node is a ${works.map((role) => ROLE[role]).join(" and a ")}.</p></>
    <div class="stack">
      <${Availability} operator=${answer} onDone=${operator.reload} />
      <${Duties} duties=${answer.duties} works=${works} />
      ${answer.offers.length > 0 && html`<${Offers} offers=${answer.offers} onDone=${operator.reload} />`}
      <${Earnings} days=${answer.earnings} />
      <${Slashes} slashes=${answer.slashes} />
    </div>`;
}

function Availability({ operator, onDone }) {
  const deed = useDeed();
  const act = (path, body) => deed.run(async () => {
    const done = await post(path, body);
    onDone();
    return done.sentence;
  });
  const isWorker = operator.roles.includes("worker");
  return html`<section class=${`card available ${operator.is_available ? "" : "no"}`} aria-label="Whether it takes jobs">
    <div class="available-row">
      <div role="status"><p class="big-number">${operator.is_paused ? (operator.is_frozen ? "Paused, and training stands still" : "Paused") : operator.is_available ? "Takes jobs" : "Takes no jobs now"}</p><p>${clean(operator.availability)}</p>
        <p class="hint">${[
          isWorker && `${operator.occupied} of ${plural(operator.capacity, "place")} for training taken`,
          operator.roles.includes("validator") && `${operator.busy_seats} of ${plural(operator.seats, "seat")} busy`,
        ].filter(Boolean).join(" · ")}</p></div>
      <div class="acts">
        ${operator.is_paused
          ? html`<button type="button" class="primary" disabled=${deed.isRunning} onClick=${() => act("/operator/resume")}><${Icon} name="play" />Resume</button>
              ${isWorker && !operator.is_frozen && html`<button type="button" disabled=${deed.isRunning} onClick=${() => act("/operator/pause", { freeze: true })}>Stop training, too</button>`}`
          : html`<button type="button" class="primary" disabled=${deed.isRunning} onClick=${() => act("/operator/pause", { freeze: false })}><${Icon} name="pause" />Pause</button>
              ${isWorker && html`<button type="button" disabled=${deed.isRunning} onClick=${() => act("/operator/pause", { freeze: true })}>Pause and stop training</button>`}`}
      </div>
    </div>
    <${Said} sentence=${deed.problem ? deed.problem.sentence : deed.said} kind=${deed.problem ? "bad" : "good"} />
    <p class="hint">A pause takes no new jobs; what this node has promised is still done, as silence costs a bond or a stake. ${isWorker && " Training that stands still keeps its memory, and goes on by itself when only the time is left that it needs."}</p>
  </section>`;
}

function Duties({ duties, works }) {
  const now = nodeNow();
  return html`<${Card} title="What it does now" id="duties">
    ${duties.length === 0 ? html`<${Empty}>It has nothing to do. As soon as it wins a job or is drawn into a committee, its work is listed here with its deadline.</>` : html`<${Table} label="What it does now" columns=${[["Job", "wide"], ["As", "nowrap"], ["Does", "wide"], ["For", "nowrap"], ["Deadline in", "nowrap"]]}
      rows=${duties.map((duty) => ({ key: `${duty.job_id}-${duty.role}`, cells: [
        html`<a href=${`/jobs/${duty.job_id}`}>${clean(duty.name) || shortId(duty.job_id)}</a>`, ROLE[duty.role], clean(duty.doing),
        duty.since_s === null || now === null ? "" : html`${duration(now - duty.since_s)}${duty.estimated_s ? html` <small>of about ${duration(duty.estimated_s)}</small>` : ""}`,
        html`<${Countdown} deadline=${duty.deadline} />`,
      ] }))} />`}
    <p>${works.map((role, i) => html`${i > 0 && " · "}<a href=${`/jobs?role=${role}`}>${WORKED[role]}</a>`)}</p>
  </>`;
}

const SECTIONS = { worker: "Price and machine", idle: "When it works, and when the machine is yours alone" };

function sectionOf(offer) {
  return offer.name.includes(".") ? offer.name.split(".")[0] : "";
}

function Offers({ offers, onDone }) {
  return html`<${Card} title="What it offers" id="offers" note="What you change here holds at once and after a restart, before the configuration’s value.">
    ${[...new Set(offers.map(sectionOf))].map((section) => html`<div key=${section} class="offers">
      ${SECTIONS[section] && html`<h3>${SECTIONS[section]}</h3>`}
      ${offers.filter((offer) => sectionOf(offer) === section).map((offer) => html`<${Offer} key=${offer.name} offer=${offer} onDone=${onDone} />`)}
    </div>`)}
  </>`;
}

const CHOICES = { true: "yes", false: "no" };

function Offer({ offer, onDone }) {
  const [text, setText] = useState(null);
  const deed = useDeed();
  const shown = text ?? offer.value;
  const isChanged = text !== null && text !== offer.value;
  const save = (value) => deed.run(async () => {
    await patch("/operator/offers", { offers: { [offer.name]: value } });
    setText(null);
    onDone();
    return value === null ? "It is the configuration’s value again." : "Saved.";
  });
  const id = `offer-${offer.name}`;
  const title = clean(offer.name).replace(/^[^.]*\./, "").replace(/_(s|gib|percent)$/, "").replace(/_/g, " ").replace(/^./, (letter) => letter.toUpperCase()).replace(/^Gpu\b/, "GPU");
  const isOwn = offer.origin !== "the configuration" && offer.origin !== "default" && !offer.origin.endsWith(".toml");
  const attributes = { id, value: shown, "aria-describedby": `${id}-hint`, "aria-invalid": deed.problem ? "true" : undefined, onInput: (event) => setText(event.target.value) };
  const input = offer.choices.length > 0
    ? html`<select ...${attributes}>${offer.choices.map((each) => html`<option value=${each}>${CHOICES[each] ?? clean(each)}</option>`)}</select>`
    : html`<input ...${attributes} maxlength="1000" autocomplete="off" />`;
  return html`<form class=${`offer field ${deed.problem ? "wrong" : ""}`} noValidate onSubmit=${(event) => { event.preventDefault(); save(shown); }}>
    <div><label for=${id}>${title}</label><p class="hint" id=${`${id}-hint`}>${clean(offer.sentence)}</p></div>
    <div><div class="offer-edit">${offer.unit ? html`<div class="with-unit">${input}<span aria-hidden="true">${clean(offer.unit)}</span></div>` : input}
      <button type="submit" disabled=${!isChanged || deed.isRunning}>Save</button></div>
      ${deed.problem ? html`<p class="field-problem" role="alert">${clean(deed.problem.sentence)}</p>` : (isOwn || deed.said) && html`<p class="hint">${isOwn ? html`From ${clean(offer.origin)}. <button type="button" class="quiet small" onClick=${() => save(null)}>Go back to the configuration’s</button>` : ""} ${deed.said}</p>`}
    </div>
  </form>`;
}

/** What came in each day; roles are added up, or one of them alone. */
function Earnings({ days }) {
  const [role, setRole] = useState("all");
  const roles = [...new Set(days.map((day) => day.role))];
  const [lines, sum] = useMemo(() => {
    const byDay = new Map();
    let total = 0n;
    for (const each of days) {
      if (role !== "all" && each.role !== role) continue;
      const day = Math.floor(Date.parse(`${each.day}T00:00:00Z`) / 1000 / DAY_S);
      byDay.set(day, (byDay.get(day) || 0) + asNumber(each.amount_wei));
      total += BigInt(each.amount_wei);
    }
    const known = [...byDay.keys()].sort((a, b) => a - b);
    const xs = known.length ? Array.from({ length: Math.min(400, known.at(-1) - known[0] + 1) }, (_, i) => known.at(-1) - Math.min(399, known.at(-1) - known[0]) + i) : [];
    return [[{ label: "Earned", colour: "s1", xs, ys: xs.map((x) => byDay.get(x) ?? 0) }], total];
  }, [days, role]);
  if (days.length === 0) return html`<${Card} title="Earnings" id="earnings"><${Empty}>Nothing yet. What this node is paid for training and testing is added up here by day.</></>`;
  const dayText = (x) => (Number.isInteger(x) ? new Date(x * DAY_S * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short", timeZone: "UTC" }) : "");
  const [{ xs, ys }] = lines;
  return html`<${Card} title="Earnings" id="earnings" acts=${roles.length > 1 && html`<${Choice} label="Whose earnings" options=${[["all", "All"], ...roles.map((each) => [each, `As ${ROLE[each]}`])]} value=${role} onChoose=${setRole} />`}>
    <p class="sum"><strong class="num">${tokens(sum.toString(), 2)}</strong> <span class="unit">${UNIT} on ${plural(xs.length, "day")}</span></p>
    <${Chart} isBars label=${`Earnings by day: ${tokens(sum.toString(), 2)} ${UNIT} in all.`} lines=${lines} height=${200} formatX=${dayText} formatY=${(value) => number(value, 4)} range=${xs.length ? [xs[0] - 0.6, xs.at(-1) + 0.6] : undefined} />
    <details class="values"><summary>By day</summary><${Table} label="Earnings by day" columns=${[["Day (UTC)"], ["As"], [`Amount (${UNIT})`, "num"]]} rows=${[...days].reverse().filter((day) => role === "all" || day.role === role).slice(0, 120).map((day) => ({ key: `${day.day}-${day.role}`, cells: [day.day, ROLE[day.role], html`<${Amount} wei=${day.amount_wei} unit=${false} sign />`] }))} /></details>
  </>`;
}

function Slashes({ slashes }) {
  return html`<${Card} title="Penalties" id="slashes">
    ${slashes.length === 0 ? html`<${Empty}>None. A penalty would be listed here with its reason.</>` : html`<${Table} label="Penalties" columns=${[["When", "nowrap"], ["Job", "nowrap"], ["Why", "wide"], [`Lost (${UNIT})`, "num"]]}
      rows=${slashes.map((slash, i) => ({ key: i, cells: [dayAndTime(slash.time_s), html`<a href=${`/jobs/${slash.job_id}`}><code>${shortId(slash.job_id)}</code></a>`, clean(slash.sentence), html`<span class="minus"><${Amount} wei=${slash.amount_wei} unit=${false} /></span>`] }))} />`}
  </>`;
}
