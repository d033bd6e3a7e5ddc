// The account's money: where it is, what moves it, and everything that moved it.
import { post, requestId } from "/static/api.js";
import { UNIT, asNumber, clean, duration, exactTokens, moment, parseTokens, plural, shortId, tokens } from "/static/format.js";
import { html, useRef, useState } from "/static/html.js";
import { Amount, Card, Copy, Empty, Facts, Field, PageHead, Pager, Said, Table, Waiting, useAsk, useDeed, useNotices, useTitle } from "/static/parts.js";

const SIZE = 25;

export function WalletPage() {
  useTitle("Wallet");
  const wallet = useAsk("/wallet");
  const [page, setPage] = useState(1);
  const history = useAsk("/wallet/history", { page, size: SIZE });
  const reload = () => {
    wallet.reload();
    history.reload();
  };
  useNotices((notice) => ["chain", "account", "sent"].includes(notice.kind), reload, 1000);
  const { answer } = wallet;
  return html`<${PageHead} title="Wallet">${answer && html`<p class="job-line"><code class="breaks">${answer.account}</code><${Copy} text=${answer.account} what="the account’s address" /></p>`}</>
    <div class="stack">
      ${answer ? html`<${Balances} wallet=${answer} /><${Deeds} wallet=${answer} onDone=${reload} />` : html`<${Card} title="Balances"><${Waiting} of=${wallet} what="The node asks the chain for the balances." again=${wallet.reload} /></>`}
      <${History} history=${history} page=${page} onPage=${setPage} />
    </div>`;
}

function Balances({ wallet }) {
  const parts = [
    ["Wallet", wallet.wallet_wei, "outside of the market"],
    ["Free", wallet.free_wei, "in the market, bound by nothing"],
    ["Promised", wallet.promised_wei, "free, about to be locked by jobs"],
    ["Locked", wallet.escrow_wei, "as escrow and bonds of open jobs"],
    ["Staked", wallet.staked_wei, `${plural(wallet.seats, "seat")}, ${wallet.busy_seats} busy${wallet.leaving_seats ? `, ${wallet.leaving_seats} leaving` : ""}`],
  ];
  // Promised tokens are free ones, too: they are counted once.
  const drawn = parts.map(([name, wei], i) => asNumber(i === 1 ? (BigInt(wei) - BigInt(wallet.promised_wei)).toString() : wei)).map((value) => Math.max(0, value));
  const total = BigInt(wallet.wallet_wei) + BigInt(wallet.free_wei) + BigInt(wallet.escrow_wei) + BigInt(wallet.staked_wei);
  const sum = drawn.reduce((a, b) => a + b, 0) || 1;
  let left = 0;
  return html`<${Card} title="Balances" id="balances">
    <p class="sum"><strong class="num">${tokens(total.toString(), 2)}</strong> <span class="unit">${UNIT} in all</span> <span class="hint">and ${tokens(wallet.coin_wei)} of the chain’s coin, for its fees</span></p>
    <div class="share"><svg preserveAspectRatio="none" viewBox="0 0 1000 14" aria-hidden="true">${drawn.map((value, i) => {
      const width = (value / sum) * 1000;
      left += width;
      return html`<rect class=${`part-${i + 1}`} x=${left - width} y="0" width=${width} height="14" />`;
    })}</svg></div>
    <div class="share-key-wrap"><${Key} parts=${parts} /></div>
  </>`;
}

function Key({ parts }) {
  return html`<dl class="facts share-key">${parts.map(([name, wei, note]) => html`<div key=${name}><dt>${name}</dt><dd><${Amount} wei=${wei} decimals=${2} /><small>${note}</small></dd></div>`)}</dl>`;
}

function Deeds({ wallet, onDone }) {
  const free = BigInt(wallet.free_wei) - BigInt(wallet.promised_wei);
  return html`<${Card} title="Move tokens" id="move" note="Each of these is a transaction of this node: it takes a few blocks, and a little of the chain’s coin.">
    <div class="deeds">
      <${Move} id="deposit" label="Deposit into the market" path="/wallet/deposit" most=${BigInt(wallet.wallet_wei)} hint="Jobs, bids and stakes take their tokens from there. The node also does it by itself when it needs some." onDone=${onDone} />
      <${Move} id="withdraw" label="Withdraw to the wallet" path="/wallet/withdraw" most=${free > 0n ? free : 0n} hint="What is free and promised to nothing can leave the market at once." onDone=${onDone} />
      ${wallet.is_validator && html`<${Stake} id="stake" label="Take seats" path="/seats/stake" most=${null} wallet=${wallet} hint=${`A seat binds ${tokens(wallet.seat_stake_wei)} ${UNIT}. Chance draws validators by their seats, and pays for each report.`} onDone=${onDone} />`}
      ${(wallet.is_validator || wallet.seats > 0) && html`<${Stake} id="unstake" label="Give seats up" path="/seats/unstake" most=${Math.max(0, wallet.seats - wallet.leaving_seats)} wallet=${wallet} hint=${`The stake comes back ${duration(wallet.unbonding_s)} later, and a busy seat’s not before its job ends.`} onDone=${onDone} />`}
    </div>
  </>`;
}

/**
 * One request a deed, however often it is sent: a name stands for what was asked under it until the node has said what
 * became of that. An answer that was lost, or a failure of the node (5xx), leaves open whether something moved.
 */
function useOnce(path, onDone) {
  const named = useRef({ what: null, request_id: null });
  const deed = useDeed();
  const run = (body) => deed.run(async () => {
    const what = JSON.stringify(body);
    if (named.current.what !== what) named.current = { what, request_id: requestId() };
    try {
      const done = await post(path, { ...body, request_id: named.current.request_id });
      named.current = { what: null, request_id: null };
      onDone();
      return done.sentence;
    } catch (problem) {
      if (problem.status >= 400 && problem.status < 500) named.current = { what: null, request_id: null };
      throw problem;
    }
  });
  return { ...deed, run };
}

function Move({ id, label, path, most, hint, onDone }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState("");
  const deed = useOnce(path, onDone);
  const submit = async (event) => {
    event.preventDefault();
    const wei = parseTokens(text);
    if (wei === null || wei === "0") return setWrong("Give an amount of tokens, like 12.5.");
    if (BigInt(wei) > most) return setWrong(`At most ${exactTokens(most)} ${UNIT} can be moved.`);
    setWrong("");
    if (await deed.run({ amount_wei: wei })) setText("");
    return undefined;
  };
  const problem = wrong || (deed.problem && deed.problem.sentence);
  return html`<form class="deed" onSubmit=${submit} noValidate>
    <${Field} id=${id} label=${label} unit=${UNIT} hint=${hint} problem=${problem}>${(attributes) => html`<input ...${attributes} inputmode="decimal" autocomplete="off" value=${text} onInput=${(event) => setText(event.target.value)} />`}</>
    <div class="acts"><button type="submit" disabled=${deed.isRunning}>${deed.isRunning ? "Waits for the chain …" : label.split(" ")[0]}</button>
      <button type="button" class="quiet" disabled=${most === 0n} onClick=${() => setText(exactTokens(most))}>All of it</button></div>
    <${Said} sentence=${deed.said} />
  </form>`;
}

function Stake({ id, label, path, most, wallet, hint, onDone }) {
  const [text, setText] = useState("1");
  const [wrong, setWrong] = useState("");
  const deed = useOnce(path, onDone);
  const submit = (event) => {
    event.preventDefault();
    const seats = Number(text);
    if (!Number.isInteger(seats) || seats < 1 || seats > 1024) return setWrong("Give a number of seats, like 1.");
    if (most !== null && seats > most) return setWrong(most > 0 ? `At most ${plural(most, "seat")} can be given up.` : "There is no seat that could be given up.");
    setWrong("");
    return deed.run({ seats });
  };
  const seats = Number(text);
  const cost = Number.isInteger(seats) && seats > 0 && seats <= 1024 ? `${tokens((BigInt(wallet.seat_stake_wei) * BigInt(seats)).toString(), 2)} ${UNIT}` : "seats";
  return html`<form class="deed" onSubmit=${submit} noValidate>
    <${Field} id=${id} label=${label} unit=${cost} hint=${hint} problem=${wrong || (deed.problem && deed.problem.sentence)}>${(attributes) => html`<input ...${attributes} inputmode="numeric" autocomplete="off" value=${text} onInput=${(event) => setText(event.target.value)} />`}</>
    <div class="acts"><button type="submit" disabled=${deed.isRunning}>${deed.isRunning ? "Waits for the chain …" : id === "stake" ? "Stake" : "Unstake"}</button></div>
    <${Said} sentence=${deed.said} />
  </form>`;
}

/** What is paid from an escrow left the free balance earlier, when it was locked. */
function isOfLocked(entry) {
  return BigInt(entry.amount_wei) === 0n && BigInt(entry.net_wei) !== 0n;
}

function History({ history, page, onPage }) {
  const { answer } = history;
  if (!answer) return html`<${Card} title="History" id="history"><${Waiting} of=${history} what="The node looks the history up." again=${history.reload} /></>`;
  if (answer.total === 0) return html`<${Card} title="History" id="history"><${Empty}>Nothing has moved this account’s money in the market yet. Deposit some tokens, or submit a job, and it is listed here.</></>`;
  return html`<${Card} title="History" id="history" note="What changed the free balance in the market, newest first.">
    <${Table} label="History of the account" columns=${[["When", "nowrap"], ["What", "nowrap"], ["", "wide"], ["Job", "nowrap"], [`Amount (${UNIT})`, "num"]]}
      rows=${answer.entries.map((entry, i) => ({ key: `${page}-${i}`, cells: [
        html`<span title=${`block ${entry.block}`}>${moment(entry.time_s)}</span>`,
        html`<span class="kind">${clean(entry.kind).replace(/_/g, " ")}</span>`,
        html`${clean(entry.sentence)} ${entry.link && html`<a href=${entry.link} target="_blank" rel="noopener noreferrer">transaction</a>`}`,
        entry.job_id ? html`<a href=${`/jobs/${entry.job_id}`}><code>${shortId(entry.job_id)}</code></a>` : "",
        isOfLocked(entry) ? html`<span class="none"><${Amount} wei=${entry.net_wei} sign unit=${false} /> <small>of what was locked</small></span>` : html`<span class=${BigInt(entry.amount_wei) === 0n ? "none" : BigInt(entry.amount_wei) < 0n ? "minus" : "plus"}><${Amount} wei=${entry.amount_wei} sign unit=${false} /></span>`,
      ] }))} />
    <${Pager} page=${answer.page} size=${answer.size} total=${answer.total} onPage=${onPage} />
  </>`;
}
