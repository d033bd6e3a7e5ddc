// What the job writes, as it writes it.
import { get } from "/static/api.js";
import { bytes, cleanOutput } from "/static/format.js";
import { html, useEffect, useRef, useState } from "/static/html.js";
import { listen } from "/static/events.js";
import { Card, Empty } from "/static/parts.js";

const CHARACTERS_MOST = 300_000;
const PAUSE_MS = 500;

/** The end of a job's output, and whether the beginning of it is left out. */
function useOutput(jobId) {
  const [text, setText] = useState("");
  const [state, setState] = useState({ hasAsked: false, problem: null, isCut: false, dropped: 0 });
  useEffect(() => {
    let after = -1;
    let raw = "";
    let isCut = false;
    let dropped = 0;
    let timer = null;
    let stopped = false;
    const ask = async () => {
      try {
        for (;;) {
          const { pieces, dropped_bytes = 0 } = await get(`/jobs/${jobId}/output`, { after });
          dropped = dropped_bytes;
          if (stopped) return;
          if (pieces.length === 0) break;
          after = pieces.at(-1).sequence;
          raw += pieces.map((piece) => piece.text).join("");
          if (raw.length > CHARACTERS_MOST) {
            raw = raw.slice(raw.indexOf("\n", raw.length - CHARACTERS_MOST) + 1);
            isCut = true;
          }
        }
        setText(cleanOutput(raw));
        setState({ hasAsked: true, problem: null, isCut, dropped });
      } catch (problem) {
        if (!stopped) setState({ hasAsked: true, problem, isCut, dropped });
      }
      timer = null;
    };
    const stop = listen((notice) => {
      const isOurs = notice.kind === "output" && notice.job_id === jobId;
      if ((isOurs || notice.kind === "watching" || notice.kind === "dropped") && !timer) timer = setTimeout(ask, PAUSE_MS);
    });
    timer = setTimeout(ask, 0);
    return () => {
      stopped = true;
      stop();
      clearTimeout(timer);
    };
  }, [jobId]);
  return { text, ...state };
}

export function OutputCard({ job, isLive }) {
  const { text, hasAsked, problem, isCut, dropped } = useOutput(job.job_id);
  const [isFollowed, setFollowed] = useState(true);
  const box = useRef(null);
  useEffect(() => {
    if (isFollowed && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, isFollowed]);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    setFollowed(scrollHeight - scrollTop - clientHeight < 24);
  };
  let why = "The node looks the output up.";
  if (problem) why = problem.isMissingPart ? "This node does not keep output yet. It comes with a newer version of Morphware." : problem.sentence;
  else if (hasAsked) why = isLive ? "Nothing yet. What the job prints on the winner’s machine appears here line by line." : "This job printed nothing that reached this node.";
  return html`<${Card} id="output" title="Output" acts=${text && html`<label class="check small"><input type="checkbox" checked=${isFollowed} onChange=${(event) => setFollowed(event.target.checked)} />Follow the end</label>`}>
    ${isCut && html`<p class="note">Only the end is shown; <code>morphware logs</code> prints all that is kept.</p>`}
    ${dropped > 0 && html`<p class="note">It wrote more than a node keeps: the first ${bytes(dropped)} are gone.</p>`}
    ${text ? html`<pre class="output" tabindex="0" role="region" aria-label="What the job printed" ref=${box} onScroll=${scrolled}>${text}</pre>` : html`<${Empty}>${why}</>`}
  </>`;
}
