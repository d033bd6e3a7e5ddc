// Where a job's money came from and went, drawn as streams, and listed.
import { UNIT, asNumber, count, plural, tokens } from "/static/format.js";
import { html } from "/static/html.js";
import { Amount, Card, Empty, Table, Waiting, partyName, useAsk, useNotices, useWidth } from "/static/parts.js";

const LABEL = 176;
const GAP = 16;
const LEAST = 5;
const TALL = 220;

/** The job's money, with what this node's transactions cost. */
export function MoneyCard({ job }) {
  const isPosted = job.state !== "NONE";
  const receipt = useAsk(isPosted ? `/jobs/${job.job_id}/receipt` : null);
  useNotices((notice) => ["chain", "sent", "ended"].includes(notice.kind), receipt.reload, 1500);
  const { answer } = receipt;
  if (!isPosted) return html`<${Card} id="money" title="Money"><${Empty}>Nothing has moved: the escrow is locked when the job is posted.</></>`;
  if (!answer) return html`<${Card} id="money" title="Money"><${Waiting} of=${receipt} what="The node adds up what moved." again=${receipt.reload} /></>`;
  const gas = answer.costs.reduce((sum, cost) => sum + cost.gas, 0);
  const note = answer.moves.length === 0 ? "" : answer.is_final ? "All of it has moved; nothing is locked any more." : "The job is still open: this is what has moved so far, and what is locked.";
  return html`<${Card} id="money" title="Money" note=${note}>
    ${answer.moves.length === 0 ? html`<${Empty}>Nothing has moved yet. The escrow is locked when the job is posted, and every amount is listed here as it moves.</>` : html`
      <${Streams} moves=${answer.moves} />
      <${Table} label="Who paid whom" columns=${[["From", "nowrap"], ["To", "nowrap"], [`Amount (${UNIT})`, "num"], ["For", "wide"]]}
        rows=${answer.moves.map((move, i) => ({ key: i, cells: [partyName(move.payer), partyName(move.payee), html`<${Amount} wei=${move.amount_wei} unit=${false} decimals=${6} />`, move.what] }))} />`}
    ${answer.costs.length > 0 && html`<details class="values"><summary>What this node’s ${plural(answer.costs.length, "transaction")} cost: ${count(gas)} gas</summary>
      <${Table} label="Transactions of this node" columns=${[["Call"], ["As"], ["Gas", "num"], ["Fee (coin)", "num"]]}
        rows=${answer.costs.map((cost, i) => ({ key: i, cells: [cost.call, cost.role, count(cost.gas), html`<${Amount} wei=${cost.fee_wei} unit=${false} isCoin decimals=${8} />`] }))} />
    </details>`}
  </>`;
}

/** Streams from payers on the left to payees on the right, as thick as their amounts. */
function Streams({ moves }) {
  const [frame, width] = useWidth();
  // What is locked comes back for the most part, and would dwarf what is paid: it is drawn while nothing is paid yet.
  const valued = moves.map((move) => ({ ...move, value: asNumber(move.amount_wei) })).filter((move) => move.value > 0 && move.payer !== move.payee);
  const isLock = (move) => move.kind === "locked" || move.kind === "returned";
  const paid = valued.filter((move) => !isLock(move));
  const drawn = paid.length ? paid : valued.filter((move) => move.kind === "locked");
  if (drawn.length === 0) return null;
  const total = drawn.reduce((sum, move) => sum + move.value, 0);
  const scale = TALL / total;
  const thick = (value) => Math.max(1.5, value * scale);
  const sides = [columnOf(drawn, "payer", thick), columnOf(drawn, "payee", thick)];
  const height = Math.max(...sides.map((side) => side.height));
  const label = Math.min(LABEL, width * 0.31);
  const [left, right] = [label, width - label];
  const middle = (left + right) / 2;
  const words = drawn.map((move) => `${partyName(move.payer)} to ${partyName(move.payee)}: ${tokens(move.amount_wei)} ${UNIT}`).join("; ");
  return html`<div class="picture streams" ref=${frame}>${width > 0 && html`<svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${`Streams of money. ${words}`}>
    ${drawn.map((move, i) => {
      const [from, to] = [sides[0].take(move), sides[1].take(move)];
      const size = thick(move.value);
      const path = `M${left + 6},${from} C${middle},${from} ${middle},${to} ${right - 6},${to} v${size} C${middle},${to + size} ${middle},${from + size} ${left + 6},${from + size} z`;
      return html`<path key=${i} class=${`stream ${move.kind === "burned" || move.kind === "lost" ? "burned" : ""}`} d=${path}><title>${`${move.what}: ${tokens(move.amount_wei)} ${UNIT}`}</title></path>`;
    })}
    ${sides.map((side, i) => side.parties.map((party) => html`<g key=${`${i}${party.name}`}>
      <rect class="party" x=${i ? right - 6 : left} y=${party.top} width="6" height=${party.size} rx="2" />
      <text x=${i ? right + 8 : left - 8} y=${party.top + party.size / 2 + 4} text-anchor=${i ? "start" : "end"}>${partyName(party.name)}<tspan class="sum" dx="7">${tokens(party.wei.toString(), 4)}</tspan></text>
    </g>`))}
  </svg>`}</div>`;
}

function columnOf(moves, side, thick) {
  const sums = new Map();
  for (const move of moves) {
    const sum = sums.get(move[side]) || { size: 0, wei: 0n };
    sums.set(move[side], { size: sum.size + thick(move.value), wei: sum.wei + BigInt(move.amount_wei) });
  }
  let top = 6;
  const parties = [...sums].map(([name, { size, wei }]) => {
    const party = { name, wei, size: Math.max(LEAST, size), top, next: top };
    top += Math.max(LEAST, size) + GAP;
    return party;
  });
  const take = (move) => {
    const party = parties.find((each) => each.name === move[side]);
    const at = party.next;
    party.next += thick(move.value);
    return at;
  };
  return { parties, height: top, take };
}
