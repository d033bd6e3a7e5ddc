// Pictures of numbers on one axis, a row for each party: the auction's bids, and the committee's reports.
import { html } from "/static/html.js";
import { useWidth } from "/static/parts.js";

const ROW = 30;
const TOP = 40;
const BOTTOM = 30;
const LABEL = 116;

/** Round numbers that divide a range, about so many. */
function ticksOf(low, high, wanted) {
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough) || power;
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}

/** 1, 2, 5, 10 … within a range. */
function powersOf(low, high, most) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const each of [1, 2, 5]) {
      const tick = Number((each * 10 ** power).toPrecision(6));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks.length > most ? ticks.filter((tick) => Number.isInteger(Number(Math.log10(tick).toFixed(9)))) : ticks;
}

/**
 * rows: [{ key, label, title, value (or null), note, kind }]; lines: [{ value, text, kind }] cross all rows.
 * kind is a class of the style sheet. Amounts of many sizes want isLog.
 */
export function Dots({ label, rows, lines, low, high, formatTick, isLog = false }) {
  const [frame, width] = useWidth();
  const left = Math.min(LABEL, width * 0.3);
  const right = 20;
  const height = TOP + rows.length * ROW + BOTTOM;
  const scale = isLog ? Math.log10 : (value) => value;
  const [from, to] = [scale(low), scale(high)];
  const x = (value) => left + ((scale(value) - from) / (to - from || 1)) * (width - left - right);
  lines.forEach((line, i) => {
    line.lift = lines.slice(0, i).some((other) => Math.abs(x(other.value) - x(line.value)) < 130 && !other.lift) ? 14 : 0;
  });
  const room = Math.max(2, Math.floor((width - left) / 56));
  const ticks = width ? (isLog ? powersOf(low, high, room) : ticksOf(low, high, Math.ceil(room / 2))) : [];
  return html`<div class="picture" ref=${frame}>${width > 0 && html`<svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${label}>
    ${ticks.map((tick) => html`<g key=${tick}><line class="grid" x1=${x(tick)} x2=${x(tick)} y1=${TOP - 6} y2=${height - BOTTOM} /><text class="tick" x=${x(tick)} y=${height - BOTTOM + 18} text-anchor="middle">${formatTick(tick)}</text></g>`)}
    ${lines.map((line) => html`<line key=${line.text} class=${`mark ${line.kind}`} x1=${x(line.value)} x2=${x(line.value)} y1=${TOP - 8 - (line.lift || 0)} y2=${height - BOTTOM} />`)}
    ${rows.map((row, i) => {
      const y = TOP + i * ROW + ROW / 2;
      const isFarRight = row.value !== null && x(row.value) > width * 0.62;
      return html`<g key=${row.key} class=${`row ${row.kind}`}>
        <line class="rail" x1=${left} x2=${width - right} y1=${y} y2=${y} />
        <text class="row-label" x="0" y=${y + 4}>${row.label}<title>${row.title}</title></text>
        ${row.value === null
          ? html`<text class="row-note" x=${left + 8} y=${y + 4}>${row.note}</text>`
          : html`<circle class="dot" cx=${x(row.value)} cy=${y} r="6"><title>${row.title}</title></circle>
            <text class="row-note" x=${x(row.value) + (isFarRight ? -13 : 13)} y=${y + 4} text-anchor=${isFarRight ? "end" : "start"}>${row.note}</text>`}
      </g>`;
    })}
    ${lines.map((line) => {
      const place = x(line.value);
      const anchor = place > width - 130 ? "end" : place < left + 40 ? "start" : "middle";
      return html`<text key=${line.text} class=${`mark ${line.kind}`} x=${place} y=${TOP - 14 - (line.lift || 0)} text-anchor=${anchor}>${line.text}</text>`;
    })}
  </svg>`}</div>`;
}
