// The chain's time, and the node's. Deadlines are the chain's, and a browser's clock may be wrong: it is never asked.
import { listen } from "/static/events.js";
import { useEffect, useState } from "/static/html.js";

const BEHIND_MOST_S = 60;

let chainTime = null;
let nodeTime = null;
let heardAt = 0;
export const head = { block: null };

/** The node's newest block, and how old it was by the node's clock when it said so. */
export function noteHead(block, timestamp, behind) {
  // Blocks reach us late, as those that may still change are left alone; a chain that stands still has no later time.
  chainTime = timestamp + (behind >= 0 && behind < BEHIND_MOST_S ? behind : 0);
  nodeTime = timestamp + behind;
  heardAt = performance.now();
  head.block = block;
}

listen((notice) => {
  if (notice.kind === "block") noteHead(notice.number, notice.timestamp, notice.time_s - notice.timestamp);
});

/** Seconds since the epoch by the chain, or null before it is known. */
export function chainNow() {
  return chainTime === null ? null : chainTime + (performance.now() - heardAt) / 1000;
}

/** Seconds since the epoch by the node's clock, by which it says since when something is so; null before it is known. */
export function nodeNow() {
  return nodeTime === null ? null : nodeTime + (performance.now() - heardAt) / 1000;
}

/** Draws again every so often. */
export function useTick(every_ms = 1000) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), every_ms);
    return () => clearInterval(timer);
  }, [every_ms]);
}
