// The last look before money moves: exactly what is locked, what can be lost, and when the rest is back.
import { UNIT, clean, dayAndTime, duration, number, plural, tokens } from "/static/format.js";
import { html } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { Amount, Card, Facts, Trouble } from "/static/parts.js";

// The node names the parts and the ways to go by one word each.
const WORDS = {
  reserve: "Reserve", fees: "Validators’ fees", bond: "Your bond", paid: "A model passes", rejected: "No model passes",
  no_bids: "Nobody bids", keys_late: "Your node is away at the hand-over", tests_late: "Your node is away before the test",
  aborted: "The job breaks off", appeals: "Appeals of your node are lost", gas: "Gas",
};

function words(what) {
  return WORDS[what] || clean(what).replace(/_/g, " ").replace(/^./, (letter) => letter.toUpperCase());
}

export function ReviewCard({ review, hasFailed, isPosting, problem, onPost, onBack }) {
  const held = BigInt(review.free_wei) + BigInt(review.wallet_wei);
  // Too few tokens are said once, by the node if it says so.
  const others = review.problems;
  const mayPost = review.is_payable && others.length === 0 && !isPosting;
  return html`<div class="stack">
    <${Card} title=${`Review: ${clean(review.name) || "your job"}`} id="review" kind="review">
      <p>A model with ${clean(review.metric)} ${number(review.threshold)} is paid. ${plural(review.seats, "validator")} test it.</p>
      <div class="locked"><div><p class="legend">Locked when you post</p><p class="big-number"><${Amount} wei=${review.escrow_wei} /></p></div>
        <div><p class="legend">Lost at most</p><p class="big-number"><${Amount} wei=${review.escrow_wei} /></p>${BigInt(review.most_lost_wei) > BigInt(review.escrow_wei) && html`<small>or ${tokens(review.most_lost_wei, 2)} ${UNIT}, if your node appeals against a verdict, with tokens that you have left, and loses each time</small>`}</div>
        <div><p class="legend">All the rest is back by</p><p class="big-number">${dayAndTime(review.back_by)}</p><small>if nobody appeals; usually much sooner</small></div></div>
      <h3>What is locked, and when it comes back</h3>
      <${Parts} parts=${review.parts} />
      <h3>What you can lose, and how</h3>
      <${Parts} parts=${review.losses} />
      <details class="values"><summary>How long each part may take at most</summary><${Facts} of=${review.windows.map((window) => [words(window.what), duration(window.seconds)])} /></details>
      <p class="hint">This account holds ${tokens(held.toString(), 2)} ${UNIT}: ${tokens(review.free_wei, 2)} free in the market, and ${tokens(review.wallet_wei, 2)} in the wallet, which the node moves by itself as needed.${review.promised_wei && BigInt(review.promised_wei) > 0n ? ` Other jobs of this node are about to lock ${tokens(review.promised_wei, 2)} of it.` : ""}</p>
      ${!review.is_payable && others.length === 0 && html`<${Trouble} problem=${{ sentence: `This account holds too little: ${tokens(review.escrow_wei, 2)} ${UNIT} are locked. Send it tokens, or lower the reserve.` }} />`}
      ${others.map((each) => html`<${Trouble} key=${each.field} problem=${{ sentence: each.sentence }} />`)}
      ${hasFailed && html`<p class="banner">The dry run of this job failed. Posted as it is, no model of it would pass, and the validators’ fees would be lost.</p>`}
      ${problem && html`<${Trouble} problem=${problem} />`}
      <div class="acts">
        <button type="button" class="primary large" disabled=${!mayPost} onClick=${onPost}><${Icon} name="check" />${isPosting ? "Is being posted …" : "Sign and post"}</button>
        <button type="button" disabled=${isPosting} onClick=${onBack}>Change something</button>
      </div>
    </>
  </div>`;
}

function Parts({ parts }) {
  return html`<ul class="parts">${parts.map((part) => html`<li key=${part.what}><div><strong>${words(part.what)}</strong><p class="hint">${clean(part.sentence)}</p></div>${part.what !== "gas" && html`<${Amount} wei=${part.amount_wei} />`}</li>`)}</ul>`;
}
