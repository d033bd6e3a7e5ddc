// A job's history on the chain, newest last, with the transactions where the chain has an explorer.
import { clean, moment } from "/static/format.js";
import { html, useState } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { Card, Empty, Waiting, stateWord, useAsk, useNotices } from "/static/parts.js";

const SHOWN_FIRST = 12;

export function TimelineCard({ job }) {
  const isPosted = job.state !== "NONE";
  const timeline = useAsk(isPosted ? `/jobs/${job.job_id}/timeline` : null);
  const [isWhole, setWhole] = useState(false);
  useNotices((notice) => notice.kind === "chain", timeline.reload, 800);
  const { answer } = timeline;
  if (!isPosted) return html`<${Card} id="timeline" title="Timeline"><${Empty}>It is not on the chain yet. Sealing the files and posting take some seconds; its steps are listed here.</></>`;
  if (!answer) return html`<${Card} id="timeline" title="Timeline"><${Waiting} of=${timeline} what="The node looks the job’s history up." again=${timeline.reload} /></>`;
  const all = [...answer.moments].reverse();
  const shown = isWhole ? all : all.slice(0, SHOWN_FIRST);
  return html`<${Card} id="timeline" title="Timeline">
    ${all.length === 0 ? html`<${Empty}>Nothing has happened on the chain yet. Posting takes a few blocks.</>` : html`<ol class="timeline" reversed>${shown.map((each, i) => html`<${Moment} key=${all.length - i} moment=${each} before=${all[i + 1]} />`)}</ol>`}
    ${all.length > shown.length && html`<button type="button" onClick=${() => setWhole(true)}>Show ${all.length - shown.length} earlier</button>`}
  </>`;
}

function Moment({ moment: { time_s, block, sentence, state, transaction, link, event }, before }) {
  const isTurn = !before || before.state !== state;
  return html`<li class=${isTurn ? "turn" : ""}>
    <p>${isTurn && html`<strong title=${state}>${stateWord(state)}. </strong>`}<span title=${event}>${capital(clean(sentence) || (isTurn ? "" : clean(event)))}</span></p>
    <p class="hint">${moment(time_s)} · block ${block}${transaction && html` · ${link
      ? html`<a href=${link} target="_blank" rel="noopener noreferrer">transaction<${Icon} name="external" size=${13} /></a>`
      : html`<span title=${transaction}>transaction <code>${transaction.slice(0, 10)}…</code></span>`}`}</p>
  </li>`;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
