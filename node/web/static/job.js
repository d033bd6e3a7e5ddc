// One job: what happens now and why, then its curves, its auction, its committee, its money and its history.
import { address } from "/static/api.js";
import { AuctionCard } from "/static/auction.js";
import { CommitteeCard } from "/static/committee.js";
import { CurvesCard, SystemCard, useNames } from "/static/curves.js";
import { clean, dayAndTime, duration, metric, number, shortId } from "/static/format.js";
import { html } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { MoneyCard } from "/static/money.js";
import { OutputCard } from "/static/output.js";
import { Account, Amount, Badge, Card, Copy, Countdown, Facts, PageHead, Waiting, isOver, stateWord, useAsk, useNotices, useTitle } from "/static/parts.js";
import { TimelineCard } from "/static/timeline.js";

const STEPS = [
  ["Posted", ["NONE"]],
  ["Auction", ["BIDDING", "REVEALING"]],
  ["Hand-over", ["AWARDED", "KEYED", "KEY_DISPUTE"]],
  ["Training", ["TRAINING"]],
  ["Testing", ["SEED", "KEYING", "X_DISPUTE", "VCOMMIT", "DISCLOSE", "VREVEAL", "DRAWING"]],
  ["Verdict", ["TALLIED", "CLAIMABLE", "INSPECT"]],
  ["Closed", ["CLOSED"]],
];
const WANTED = new Set(["chain", "ended", "failed", "waits", "sealed", "fetched"]);
const ID = /^[0-9a-f]{64}$/;

export function JobPage({ jobId }) {
  const isId = ID.test(jobId);
  const asked = useAsk(isId ? `/jobs/${jobId}` : null);
  useNotices((notice) => WANTED.has(notice.kind), asked.reload, 500);
  const job = asked.answer;
  useTitle(job ? clean(job.name) || "A job" : "A job");
  const back = html`<p class="back"><a href="/jobs"><${Icon} name="back" size=${16} />All jobs</a></p>`;
  if (!isId) return html`${back}<${PageHead} title="This is no job’s address" /><p class="empty">A job’s id has 64 hexadecimal digits. Choose one from the list.</p>`;
  if (!job) return html`${back}<${PageHead} title="A job" /><${Waiting} of=${asked} what="The node looks the job up." again=${asked.reload} />`;
  return html`${back}<${Job} job=${job} />`;
}

function Job({ job }) {
  const hasEnded = isOver(job);
  const isLive = !hasEnded;
  const [names, problem] = useNames(job.job_id);
  const hasBegun = !["NONE", "BIDDING", "REVEALING"].includes(job.state);
  const hasCurves = hasBegun || (names || []).length > 0;
  return html`<${PageHead} title=${clean(job.name) || "A job without a name"} beside=${html`<${Downloads} job=${job} />`}>
      <p class="job-line"><${Badge} job=${job} /><code title=${job.job_id}>${shortId(job.job_id)}</code><${Copy} text=${job.job_id} what="the job’s id" />${job.posted_at !== null && html`<span>posted ${dayAndTime(job.posted_at)}</span>`}</p>
    </>
    <div class="stack">
      <${Now} job=${job} />
      <${Terms} job=${job} />
      ${hasCurves && html`<${CurvesCard} job=${job} names=${names} problem=${problem} isLive=${isLive} />`}
      ${hasCurves && html`<${SystemCard} job=${job} names=${names} />`}
      ${hasCurves && html`<${OutputCard} job=${job} isLive=${isLive} />`}
      <div class="pair"><${AuctionCard} job=${job} /><${CommitteeCard} job=${job} /></div>
      <${MoneyCard} job=${job} />
      <${TimelineCard} job=${job} />
    </div>`;
}

/** Where the job stands: the state, why, until when, and what happens if nobody does anything. */
function Now({ job }) {
  const hasEnded = isOver(job);
  const at = STEPS.findIndex(([, states]) => states.includes(job.state));
  const reached = hasEnded ? STEPS.length - 1 : at;
  return html`<section class=${`card now ${hasEnded ? (job.outcome === "PAID" ? "good" : "ended") : "live"}`} aria-label="Where the job stands">
    <ol class="steps">${STEPS.map(([name], i) => html`<li key=${name} class=${i < reached ? "done" : i === reached ? "here" : ""} aria-current=${i === reached ? "step" : undefined}><span>${name}</span></li>`)}</ol>
    <div role="status">
      <p class="now-reason">${hasEnded ? html`<strong>${stateWord(job.outcome)}.</strong> ` : ""}${sentence(job.reason)}</p>
      ${job.problem && html`<p class="job-problem"><${Icon} name="warning" size=${16} />${sentence(job.problem)}</p>`}
    </div>
    ${!hasEnded && job.deadline !== null && html`<p class="now-next"><span class="now-clock"><${Countdown} deadline=${job.deadline} /></span><span><strong>If nobody does anything until then:</strong> ${sentence(job.next) || "the next state begins."}</span></p>`}
  </section>`;
}

function sentence(text) {
  const shown = clean(text).trim();
  return shown && shown[0].toUpperCase() + shown.slice(1) + (/[.!?]$/.test(shown) ? "" : ".");
}

function Terms({ job }) {
  if (job.metric === "") return null;
  const name = clean(job.metric);
  return html`<${Card} title="Terms" id="terms"><${Facts} of=${[
    [`${name}, threshold`, job.threshold === null ? "–" : number(job.threshold), job.baseline !== null && `paid in part from ${number(job.baseline)}`],
    job.metric_value !== null && [`${name}, found`, metric(job.metric_value)],
    ["Reserve", html`<${Amount} wei=${job.reserve_wei} />`, "the most that the winner is paid"],
    job.price_wei !== null && ["Price", html`<${Amount} wei=${job.price_wei} />`, "the second lowest bid"],
    job.paid_wei !== null && job.paid_wei !== job.price_wei && ["Paid", html`<${Amount} wei=${job.paid_wei} />`],
    job.fee_wei !== null && ["Validator’s fee", html`<${Amount} wei=${job.fee_wei} />`, "for each report"],
    job.estimated_s !== null && ["Estimated training", duration(job.estimated_s)],
    ["End user", html`<${Account} account=${job.user} />`],
    job.winner && ["Winner", html`<${Account} account=${job.winner.account} />`],
    job.burned_wei && BigInt(job.burned_wei) > 0n && ["Burned", html`<${Amount} wei=${job.burned_wei} />`],
    job.split && ["Data", `${job.split.chunks} chunks`, job.split.tested.length ? `chance drew ${job.split.tested.join(", ")} for the test` : `${job.split.test_chunks} are drawn for the test after the award`],
  ]} /></>`;
}

function Downloads({ job }) {
  return html`${job.model_path && html`<a class="button primary" download href=${address(`/jobs/${job.job_id}/model`)} title=${`Also in ${job.model_path}`}><${Icon} name="download" />Model</a>`}
    ${job.state !== "NONE" && html`<a class="button" download=${`morphware-${job.job_id.slice(0, 8)}.json`} href=${address(`/jobs/${job.job_id}/record`)} title="What this node knows of the job, signed by its account"><${Icon} name="download" />Signed record</a>`}`;
}
