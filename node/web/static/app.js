// The application's frame: navigation, the node's state, the theme, and the page that the address names.
import { onAccess } from "/static/api.js";
import { head, noteHead, useTick } from "/static/clock.js";
import { watch } from "/static/events.js";
import { clean, count } from "/static/format.js";
import { html, render, useEffect, useRef, useState } from "/static/html.js";
import { Icon } from "/static/icons.js";
import { JobsPage } from "/static/jobs.js";
import { Empty, PageHead, Waiting, self, useAsk, useEvery } from "/static/parts.js";
import { followLinks, usePlace } from "/static/router.js";

const PLACES = [
  ["jobs", "/jobs", "Jobs"],
  ["submit", "/submit", "Submit"],
  ["operator", "/operator", "Operator"],
  ["network", "/network", "Network"],
  ["wallet", "/wallet", "Wallet"],
];
// The first page is drawn before the others are fetched.
const LATER = {
  job: () => import("/static/job.js").then((module) => module.JobPage),
  submit: () => import("/static/submit.js").then((module) => module.SubmitPage),
  operator: () => import("/static/operator.js").then((module) => module.OperatorPage),
  network: () => import("/static/network.js").then((module) => module.NetworkPage),
  wallet: () => import("/static/wallet.js").then((module) => module.WalletPage),
};

function Later({ name, ...rest }) {
  const [Page, setPage] = useState(null);
  const [hasFailed, setFailed] = useState(false);
  useEffect(() => {
    let isWanted = true;
    LATER[name]().then((page) => isWanted && setPage(() => page), () => isWanted && setFailed(true));
    return () => (isWanted = false);
  }, [name]);
  if (hasFailed) return html`<${Empty}>This part of the page did not arrive. Reload the page once the node answers.</>`;
  return Page && html`<${Page} ...${rest} />`;
}

function pageOf({ path, query }) {
  const [, first = "", second = ""] = path.split("/");
  if (first === "" || (first === "jobs" && !second)) return html`<${JobsPage} query=${query} />`;
  if (first === "jobs") return html`<${Later} key=${second} name="job" jobId=${second} />`;
  if (LATER[first]) return html`<${Later} key=${first} name=${first} query=${query} part=${second} />`;
  return html`<${PageHead} title="There is no such page"/><${Empty}>Choose one from the navigation.</>`;
}

const THEMES = { auto: ["light", "Theme: as the system has it"], light: ["dark", "Theme: light"], dark: ["auto", "Theme: dark"] };
const THEME_ICON = { auto: "auto", light: "sun", dark: "moon" };

function ThemeSwitch() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme || "auto");
  const [next, label] = THEMES[theme];
  const choose = () => {
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // It holds for this visit, then.
    }
    setTheme(next);
    dispatchEvent(new Event("themechange"));
  };
  return html`<button type="button" class="icon-button" aria-label=${`${label}. Change it.`} title=${label} onClick=${choose}>
    <${Icon} name=${THEME_ICON[theme]} />
  </button>`;
}

function NodeState({ status, access }) {
  useTick(1000);
  const isThere = access === "open";
  const block = head.block ?? status?.block;
  const sentence = isThere ? `Block ${count(block ?? 0)}` : access === "away" ? "No answer" : "…";
  return html`<div class=${`node-state ${isThere ? "there" : ""}`}>
    <span class="node-name">${clean(status?.name ?? "")}</span>
    <span class="node-block">${sentence}${isThere && status ? ` · ${status.peers} ${status.peers === 1 ? "peer" : "peers"}` : ""}</span>
  </div>`;
}

function Navigation({ path }) {
  return html`<nav class="places" aria-label="Pages of this node">
    <ul>${PLACES.map(([name, to, text]) => {
      const isHere = path.startsWith(to) || (name === "jobs" && path === "/");
      return html`<li key=${name}><a href=${to} aria-current=${isHere ? "page" : undefined}><${Icon} name=${name} /><span>${text}</span></a></li>`;
    })}</ul>
  </nav>`;
}

function Locked() {
  return html`<main class="alone" id="main">
    <img src="/static/icon.svg" alt="" width="48" height="48" />
    <h1>This page is locked</h1>
    <p>Only a browser that was let in may see this node: the page can move its money.</p>
    <p>Run this on the machine where the node runs. It opens the page, or prints an address that lets one browser in.</p>
    <pre><code>morphware dashboard</code></pre>
    <p class="hint">Give it <code>--data-folder</code> if the node has a data folder of its own. An address works once and within a minute; the browser is then let in for thirty days.</p>
    <button type="button" onClick=${() => location.reload()}>Try again</button>
  </main>`;
}

function App() {
  const place = usePlace();
  const [access, setAccess] = useState("unknown");
  const status = useAsk("/status");
  const network = useAsk("/network");
  const main = useRef(null);
  useEffect(() => onAccess(setAccess), []);
  const isJob = place.path.startsWith("/jobs/");
  useEffect(() => access === "open" && watch(isJob ? place.path.split("/")[2] : null), [access === "open", isJob && place.path]);
  const before = useRef(place.path);
  useEffect(() => {
    // Who goes on with the keyboard, or listens, is at the new page's beginning; the first page leaves the focus alone.
    if (before.current !== place.path) main.current?.focus({ preventScroll: true });
    before.current = place.path;
  }, [place.path]);
  useEffect(() => {
    if (network.answer) noteHead(network.answer.chain.block, network.answer.chain.block_time_s, network.answer.chain.behind_s);
  }, [network.answer]);
  useEvery(status.reload, access === "open" ? 15000 : 3000);
  if (status.answer) Object.assign(self, { account: status.answer.account, roles: status.answer.roles });
  if (access === "locked") return html`<${Locked} />`;
  return html`<div class="frame" onClick=${followLinks}>
    <a class="skip" href="#main">To the content</a>
    <header class="bar">
      <a class="brand" href="/jobs"><img src="/static/icon.svg" alt="" width="26" height="26" /><span>Morphware</span></a>
      <${Navigation} path=${place.path} />
      <div class="bar-end"><${NodeState} status=${status.answer} access=${access} /><${ThemeSwitch} /></div>
    </header>
    <main id="main" ref=${main} tabindex="-1">
      ${access === "away" && html`<p class="banner" role="alert">The node does not answer: it has stopped, or is starting. What you see is what it said last; the page asks again by itself.</p>`}
      ${status.answer || status.problem ? pageOf(place) : html`<${Waiting} of=${status} what="The node is asked." />`}
    </main>
  </div>`;
}

render(html`<${App} />`, document.getElementById("app"));
