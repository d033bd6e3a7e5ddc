// All jobs: found, filtered, each with what it waits for.
import { UNIT, clean, metric, moment, number, plural, shortId, tokens } from "/static/format.js";
import { html, useEffect, useRef, useState } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { Badge, Choice, Countdown, Empty, PageHead, Pager, Waiting, isOver, useAsk, useNotices, useTitle } from "/static/parts.js";
import { go } from "/static/router.js";

const SIZE = 25;
const STATES = [["", "All"], ["open", "Open"], ["paid", "Paid"], ["failed", "Failed"]];
const ROLES = [["any", "This node’s"], ["user", "Posted"], ["worker", "Bid on"], ["validator", "Tested"], ["market", "Whole market"]];
const PART = { user: "you posted it", worker: "you bid on it", validator: "you test it" };
const WANTED = new Set(["chain", "ended", "failed", "sealed", "waits"]);
const TYPING_MS = 250;

function write(query) {
  const values = new URLSearchParams(Object.entries(query).filter(([name, value]) => value && !(name === "page" && value === "1")));
  const text = values.toString();
  go(`/jobs${text ? `?${text}` : ""}`, { replace: true });
}

export function JobsPage({ query }) {
  useTitle("Jobs");
  const { state = "", role = "any", q = "", page = "1" } = query;
  const [typed, setTyped] = useState(q);
  const asked = { state, role: role === "market" ? null : role, q, page, size: SIZE };
  const jobs = useAsk("/jobs", asked);
  useNotices((notice) => WANTED.has(notice.kind), jobs.reload, 600);
  const change = (values) => write({ state, role, q, page: "1", ...values });
  const latest = useRef(change);
  latest.current = change;
  const written = useRef(q);
  useEffect(() => {
    if (typed === q) return undefined;
    const timer = setTimeout(() => {
      written.current = typed;
      latest.current({ q: typed });
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    // What a link asks for is shown in the field; what was typed since the field itself asked stays.
    if (q === written.current) return;
    written.current = q;
    setTyped(q);
  }, [q]);
  const { answer } = jobs;
  return html`<${PageHead} title="Jobs" beside=${html`<a class="button primary" href="/submit"><${Icon} name="submit" />Submit a job</a>`} />
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <div class="search"><${Icon} name="search" size=${18} />
        <input type="search" aria-label="Find jobs by name, metric, state or id" placeholder="Name, metric, state or id" maxlength="200" value=${typed} onInput=${(event) => setTyped(event.target.value)} />
      </div>
      <${Choice} label="State" options=${STATES} value=${state} onChoose=${(value) => change({ state: value })} />
      <label class="select">Whose
        <select value=${role} onChange=${(event) => change({ role: event.target.value })}>
          ${ROLES.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
        </select>
      </label>
    </form>
    ${answer === null ? html`<${Waiting} of=${jobs} what="The node looks its jobs up." again=${jobs.reload} />` : html`
      <p class="found" role="status">${answer.total === 0 ? "" : plural(answer.total, "job")}</p>
      ${answer.total === 0 ? html`<${Nothing} asked=${{ state, role, q }} />` : html`<ul class="job-list">${answer.jobs.map((job) => html`<${Row} key=${job.job_id} job=${job} />`)}</ul>`}
      <${Pager} page=${answer.page} size=${answer.size} total=${answer.total} onPage=${(number) => change({ page: String(number) })} />
    `}`;
}

function Nothing({ asked: { state, role, q } }) {
  if (q || state) {
    return html`<${Empty} act=${html`<a class="button" href=${`/jobs?role=${role}`}>Show all of them</a>`}>No job fits. Look for fewer words, or in every state.</>`;
  }
  if (role === "market") {
    return html`<${Empty} act=${html`<a class="button primary" href="/submit">Submit a job</a>`}>Nobody has posted a job on this market yet, or the node has not read it from the chain. Yours can be the first.</>`;
  }
  return html`<${Empty} act=${html`<div class="acts"><a class="button primary" href="/submit">Submit a job</a><a class="button" href="/jobs?role=market">Look at the whole market</a></div>`}>
    This node has no part in any job yet. Submit a script or a notebook, and workers bid for training it; a worker or validator gets its part as soon as a job is posted.</>`;
}

function Row({ job }) {
  const hasEnded = isOver(job);
  return html`<li class=${`job-row ${hasEnded ? "over" : ""}`}>
    <div class="job-main">
      <h2><a href=${`/jobs/${job.job_id}`}>${clean(job.name) || "A job without a name"}</a></h2>
      <p class="job-reason">${clean(job.reason)}${job.reason && "."}</p>
      ${job.problem && html`<p class="job-problem"><${Icon} name="warning" size=${16} />${clean(job.problem)}</p>`}
      <p class="job-id"><code>${shortId(job.job_id)}</code>${job.posted_at !== null && html` · <span>${moment(job.posted_at)}</span>`}${job.roles.map((role) => html` · <span key=${role}>${PART[role]}</span>`)}</p>
    </div>
    <dl class="job-facts">
      <div class="job-state"><dt class="unseen">State</dt><dd><${Badge} job=${job} />${!hasEnded && html`<${Countdown} deadline=${job.deadline} />`}</dd></div>
      ${job.metric && html`<div><dt>${clean(job.metric)}</dt><dd>${job.metric_value === null ? "" : html`<strong>${metric(job.metric_value)}</strong> `}<small>${job.metric_value === null ? "threshold " : "of "}${number(job.threshold)}</small></dd></div>`}
      ${job.reserve_wei !== null && html`<div><dt>${job.price_wei === null ? "Reserve" : "Price"}</dt><dd><strong>${tokens(job.price_wei ?? job.reserve_wei, 2)}</strong> <small>${UNIT}</small></dd></div>`}
    </dl>
  </li>`;
}
