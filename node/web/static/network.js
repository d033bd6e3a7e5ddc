// Whom this node knows, what it transfers, and how it follows the chain.
import { bytes, clean, count, duration, plural, shortId } from "/static/format.js";
import { html } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { Account, Card, Copy, Empty, Facts, PageHead, Table, Waiting, useAsk, useEvery, useTitle } from "/static/parts.js";

const AGAIN_MS = 2000;
const LATE_S = 120;
const HEARD = [["published", "Sent"], ["delivered", "Accepted"], ["ignored", "Ignored"], ["rejected", "Rejected"], ["duplicate", "Heard twice"], ["dropped", "Dropped"], ["banned", "From banned peers"], ["failures", "Failed"]];

export function NetworkPage() {
  useTitle("Network");
  const network = useAsk("/network");
  useEvery(network.reload, AGAIN_MS);
  const { answer } = network;
  if (!answer) return html`<${PageHead} title="Network" /><${Waiting} of=${network} what="The node looks around." again=${network.reload} />`;
  return html`<${PageHead} title="Network" />
    <div class="stack">
      <${Health} network=${answer} />
      <div class="pair"><${Chain} chain=${answer.chain} /><${Messages} heard=${answer.heard} topics=${answer.topics} /></div>
      <${Transfers} transfers=${answer.transfers} />
      <${Peers} peers=${answer.peers} addresses=${answer.addresses} now=${answer.chain.block_time_s + answer.chain.behind_s} />
    </div>`;
}

function Health({ network: { chain, peers, topics } }) {
  const said = [
    chain.behind_s < LATE_S
      ? [true, `It follows the chain: its newest block is number ${count(chain.block)}, ${duration(chain.behind_s)} old.`]
      : [false, `Its newest block is ${duration(chain.behind_s)} old. Look whether ${clean(chain.rpc)} answers and is in step with its chain, and whether this machine’s clock is right.`],
    peers.length > 0
      ? [true, `It is connected to ${plural(peers.length, "peer")}.`]
      : [false, "It has no peers, so no job or bid reaches it. Check its internet access and the addresses in [gossip] bootstrap, and look into its log."],
    peers.length > 0 && topics.length === 0 && [false, "None of its peers listens to the market’s topics: they may be of another network."],
  ].filter(Boolean);
  return html`<${Card} title="Health" id="health"><ul class="health">${said.map(([isGood, text]) => html`<li class=${isGood ? "" : "bad"} key=${text.slice(0, 12)}><${Icon} name=${isGood ? "check" : "warning"} /><span>${text}</span></li>`)}</ul></>`;
}

function Chain({ chain }) {
  return html`<${Card} title="Chain" id="chain"><${Facts} of=${[
    ["Newest block", count(chain.block), `${duration(chain.behind_s)} ago`],
    ["Chain’s number", String(chain.chain_id)],
    ["Asked at", html`<span class="breaks">${clean(chain.rpc)}</span>`],
    ["Market’s contract", html`<span class="job-line"><${Account} account=${chain.market} /><${Copy} text=${chain.market} what="the market’s address" /></span>`],
  ]} /></>`;
}

function Messages({ heard, topics }) {
  const known = HEARD.filter(([name]) => name in heard);
  return html`<${Card} title="Messages since the start" id="messages">
    <${Facts} of=${known.map(([name, text]) => [text, count(heard[name])])} />
    ${topics.length > 0 && html`<details class="values"><summary>${plural(topics.length, "topic")}</summary><${Table} label="Topics" columns=${[["Topic"], ["Peers that listen", "num"]]} rows=${topics.map((topic) => ({ key: topic.name, cells: [html`<code class="breaks">${clean(topic.name)}</code>`, topic.peers] }))} /></details>`}
  </>`;
}

function Transfers({ transfers }) {
  const [down, up] = [transfers.reduce((sum, each) => sum + each.down_bytes_s, 0), transfers.reduce((sum, each) => sum + each.up_bytes_s, 0)];
  const note = transfers.length ? `All together ${bytes(down)} a second down, ${bytes(up)} a second up.` : "";
  return html`<${Card} title="Transfers" id="transfers" note=${note}>
    ${transfers.length === 0 ? html`<${Empty}>Nothing is fetched or served now. Data and models appear here while a job needs them.</>` : html`<${Table} label="Transfers" columns=${[["What", "nowrap"], ["Job", "nowrap"], ["Progress", "nowrap"], ["Down", "num nowrap"], ["Up", "num nowrap"], ["Peers", "num"]]}
      rows=${transfers.map((each, i) => ({ key: `${each.job_id}-${each.name}-${i}`, cells: [
        html`<span class="kind">${clean(each.name) || "A file"}</span><br /><small>${each.doing === "fetching" ? "is fetched" : "is served"}</small>`,
        each.job_id ? html`<a href=${`/jobs/${each.job_id}`}><code>${shortId(each.job_id)}</code></a>` : "",
        html`${bytes(each.done_bytes)} of ${bytes(each.total_bytes)}<progress class="progress" aria-label=${`Progress of ${clean(each.name) || "a file"}`} max=${Math.max(1, each.total_bytes)} value=${each.done_bytes}></progress>`,
        `${bytes(each.down_bytes_s)}/s`, `${bytes(each.up_bytes_s)}/s`, each.peers,
      ] }))} />`}
  </>`;
}

function Peers({ peers, addresses, now }) {
  return html`<${Card} title=${plural(peers.length, "peer")} id="peers">
    ${peers.length === 0 ? html`<${Empty}>Nobody is connected. A new node finds its first peers within a minute.</>` : html`<${Table} label="Peers" columns=${[["Peer", "nowrap"], ["Account", "nowrap"], ["Connected for", "nowrap"], ["Address", "wide"]]}
      rows=${peers.map((peer) => ({ key: peer.peer_id, cells: [
        html`<code title=${clean(peer.peer_id)}>…${clean(peer.peer_id.slice(-12))}</code>`, html`<${Account} account=${peer.account} />`, duration(now - peer.connected_since_s),
        html`<span class="breaks" title=${clean(peer.addresses.join("\n"))}>${clean((peer.addresses[0] ?? "").replace(/\/p2p\/.*/, ""))}</span>${peer.addresses.length > 1 && html` <small>and ${peer.addresses.length - 1} more</small>`}`,
      ] }))} />`}
    <details class="values"><summary>This node’s own addresses</summary>${addresses.length === 0 ? html`<p class="hint">It has none that others could use.</p>` : html`<ul>${addresses.map((each) => html`<li key=${each}><code class="breaks">${clean(each)}</code> <${Copy} text=${each} what="the address" /></li>`)}</ul>`}</details>
  </>`;
}
