// How amounts, times and strangers' texts are written.

export const UNIT = "MWT";
const TOKEN = 10n ** 18n;

/** Wei as tokens, rounded to so many decimals as the command line rounds them; the exact amount is in the tooltip. */
export function tokens(wei, decimals = 4) {
  if (wei === null || wei === undefined) return "–";
  let value = BigInt(wei);
  const sign = value < 0n ? "−" : "";
  if (value < 0n) value = -value;
  const isSome = value > 0n;
  const least = 10n ** BigInt(18 - decimals);
  value = ((value + least / 2n) / least) * least;
  const whole = (value / TOKEN).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const rest = (value % TOKEN).toString().padStart(18, "0").slice(0, decimals).replace(/0+$/, "");
  if (isSome && value === 0n) return `${sign}<\u202f0.${"0".repeat(decimals - 1)}1`;
  return sign + whole + (rest ? `.${rest}` : "");
}

/** All decimals, for tooltips and for fields. */
export function exactTokens(wei) {
  const value = BigInt(wei);
  const absolute = value < 0n ? -value : value;
  const rest = (absolute % TOKEN).toString().padStart(18, "0").replace(/0+$/, "");
  return `${value < 0n ? "-" : ""}${absolute / TOKEN}${rest ? `.${rest}` : ""}`;
}

/** A typed amount of tokens as wei, or null if it is none. */
export function parseTokens(text) {
  const found = /^\s*(\d{1,12})(?:[.,](\d{1,18}))?\s*$/.exec(text);
  if (!found) return null;
  return (BigInt(found[1]) * TOKEN + BigInt((found[2] || "").padEnd(18, "0"))).toString();
}

/** As a number, for drawing only. */
export function asNumber(wei) {
  return Number(BigInt(wei) / 10n ** 9n) / 1e9;
}

export function metric(value) {
  if (value === null || value === undefined) return "–";
  if (value === "NO_MODEL") return "no model";
  if (value === "NO_TEST") return "no test";
  return number(value);
}

/** A measured value in a few digits. */
export function number(value, digits = 5) {
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return String(value);
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-4)) return value.toExponential(2);
  return String(Number(value.toPrecision(digits)));
}

export function count(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function bytes(value) {
  if (value < 1000) return `${Math.round(value)} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let size = value / 1000;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** A length of time in its two largest units. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60 ? `${whole % 60} s` : ""}`.trim();
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60) || ""}${whole % 3600 >= 60 ? " min" : ""}`.trim();
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600) || ""}${whole % 86400 >= 3600 ? " h" : ""}`.trim();
}

const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** A moment: the time of day if it is today's, else with its date. */
export function moment(seconds) {
  const then = new Date(seconds * 1000);
  return then.toDateString() === new Date().toDateString() ? TIME.format(then) : DAY_AND_TIME.format(then);
}

export function dayAndTime(seconds) {
  return DAY_AND_TIME.format(new Date(seconds * 1000));
}

export function day(seconds) {
  return DAY.format(new Date(seconds * 1000));
}

export function shortId(id) {
  return `${id.slice(0, 8)}…${id.slice(-4)}`;
}

export function shortAccount(account) {
  return account ? `${account.slice(0, 6)}…${account.slice(-4)}` : "–";
}

// Terminal escape sequences: colours and titles mean nothing here.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[PX^_][^\u001b]*\u001b\\|[ -/]*[0-~])/g;
// What could turn a text around, hide in it, or move the cursor: shown by its number.
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function named(character) {
  return `⟨${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}⟩`;
}

/** A stranger's text on one line: nothing in it can be invisible or change the order of what is read. */
export function clean(text) {
  return String(text ?? "").replace(/[\n\t]/g, " ").replace(INVISIBLE, named);
}

/** A stranger's output on many lines: escape sequences are left out, and of a line that overwrites itself the end is kept. */
export function cleanOutput(text) {
  return text
    .replace(ESCAPES, "")
    .replace(/\r+\n/g, "\n")
    .replace(/^.*\r(?=.)/gm, "")
    .replace(/\r/g, "")
    .replace(INVISIBLE, named);
}
