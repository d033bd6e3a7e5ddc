// The auction: sealed until it closes, then every bid on one axis, with the price that the winner is paid.
import { UNIT, asNumber, number, plural, shortAccount, tokens } from "/static/format.js";
import { html } from "/static/html.js";
import { Account, Amount, Card, Empty, Table, self } from "/static/parts.js";
import { Dots } from "/static/pictures.js";

const BEFORE_OPENING = new Set(["NONE", "BIDDING"]);
const ROWS_MOST = 16;
const KINDS = { winner: "won", second: "sets the price", bid: "bid", decoy: "decoy", shut: "stayed shut" };

/** Opened bids by price with what became of each, then those that stayed shut. */
function judged(job) {
  const opened = job.bids.filter((bid) => bid.is_opened).sort((a, b) => (BigInt(a.price_wei) < BigInt(b.price_wei) ? -1 : 1));
  const authentic = opened.filter((bid) => bid.is_authentic);
  const winner = job.winner && authentic.find((bid) => bid.bidder === job.winner.account && bid.price_wei === job.winner.bid_wei);
  const second = job.price_wei !== null && authentic.find((bid) => bid !== winner && bid.price_wei === job.price_wei);
  const kindOf = (bid) => (bid === winner ? "winner" : bid === second ? "second" : bid.is_authentic ? "bid" : "decoy");
  return [...opened.map((bid) => ({ ...bid, kind: kindOf(bid) })), ...job.bids.filter((bid) => !bid.is_opened).map((bid) => ({ ...bid, kind: "shut" }))];
}

export function AuctionCard({ job }) {
  if (job.state === "NONE") return null;
  const isSealed = BEFORE_OPENING.has(job.state) && job.outcome === "NONE";
  const isOpening = job.state === "REVEALING";
  if (isSealed || (isOpening && !job.bids.some((bid) => bid.is_opened))) {
    return html`<${Card} id="auction" title="Auction">
      <p class="big-number">${plural(job.bids.length, "sealed bid")}</p>
      <p class="note">${job.bids.length === 0
        ? "Workers that can run this job bid until the deadline. Nobody sees a price before all bids are opened together."
        : "Nobody can read a price before all bids are opened together, and decoys among them hide how many workers bid. Then the lowest one wins, and is paid what the second lowest asked."}</p>
    </>`;
  }
  if (job.bids.length === 0) return html`<${Card} id="auction" title="Auction"><${Empty}>Nobody bid on this job.</></>`;
  const bids = judged(job);
  const shown = bids.slice(0, ROWS_MOST);
  const reserve = asNumber(job.reserve_wei);
  const prices = bids.filter((bid) => bid.is_opened).map((bid) => asNumber(bid.price_wei));
  const drawn = [...prices.filter((price) => price > 0), reserve];
  const [least, most] = [Math.min(...drawn), Math.max(...drawn)];
  const isLog = most / least > 12; // decoys are anywhere below the reserve, and would squeeze the bids together
  const lines = [{ value: reserve, text: `reserve ${tokens(job.reserve_wei, 2)}`, kind: "limit" }];
  if (job.price_wei !== null) lines.push({ value: asNumber(job.price_wei), text: `price ${tokens(job.price_wei)}`, kind: "price" });
  const rows = shown.map((bid) => ({
    key: `${bid.bidder}-${bid.sequence}`,
    label: bid.bidder === self.account ? "this node" : shortAccount(bid.bidder),
    title: bid.bidder,
    value: bid.is_opened ? Math.max(asNumber(bid.price_wei), isLog ? least * 0.8 : 0) : null,
    note: bid.is_opened ? `${tokens(bid.price_wei)}${bid.kind === "bid" ? "" : ` · ${KINDS[bid.kind]}`}` : "stayed shut: its bond burns",
    kind: bid.kind,
  }));
  const decoys = bids.filter((bid) => bid.kind === "decoy").length;
  const words = job.winner ? `The lowest bid won with ${tokens(job.winner.bid_wei)} ${UNIT}; the price is ${tokens(job.price_wei)} ${UNIT}.` : "No bid won.";
  return html`<${Card} id="auction" title="Auction" note=${`${words} ${decoys ? `${plural(decoys, "decoy")} hid how many workers bid.` : ""}`}>
    <${Dots} label=${`Bids on an axis of prices. ${words}`} rows=${rows} lines=${lines} isLog=${isLog} low=${isLog ? least * 0.8 : 0} high=${isLog ? most * 1.25 : most * 1.04} formatTick=${(tick) => number(tick, 4)} />
    <details class="values"><summary>All bids as a table</summary>
      <${Table} label="Bids" columns=${[["Bidder"], [`Bid (${UNIT})`, "num"], ["What became of it"]]}
        rows=${bids.map((bid) => ({ key: `${bid.bidder}-${bid.sequence}`, cells: [html`<${Account} account=${bid.bidder} />`, html`<${Amount} wei=${bid.price_wei} unit=${false} decimals=${6} />`, KINDS[bid.kind]] }))} />
    </details>
  </>`;
}
