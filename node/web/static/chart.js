// One chart of lines: uPlot with our colours, our legend, and an answer in words for those who cannot see it.
import uPlot from "uplot";
import { html, useEffect, useLayoutEffect, useRef, useState } from "/static/html.js";
import { useWidth } from "/static/parts.js";

const HEIGHT = 240;
const probe = document.createElement("span");
probe.hidden = true;
document.documentElement.append(probe);

/** A colour of the style sheet, as the canvas needs it. */
export function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** Grows when the theme changes, the system's or the person's. */
export function useTheme() {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const change = () => setTurn((n) => n + 1);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", change);
    addEventListener("themechange", change);
    return () => {
      dark.removeEventListener("change", change);
      removeEventListener("themechange", change);
    };
  }, []);
  return turn;
}

/**
 * lines: [{ label, colour, xs, ys, faint }], each with x values of its own that grow.
 * onHover(x or null) and onZoom([first, last]) tell what the person points at and drags over.
 */
export function Chart({ label, lines, isLog = false, formatX, formatY, onZoom, onReset, onHover, onWidth, plotRef, isBars = false, height = HEIGHT, range }) {
  const [frame, width] = useWidth();
  const holder = useRef(null);
  const plot = useRef(null);
  const acts = useRef({});
  acts.current = { onZoom, onReset, onHover };
  const theme = useTheme();
  const shape = JSON.stringify([lines.map((line) => [line.label, line.colour, line.faint]), isLog, theme, isBars, Boolean(width)]);

  useEffect(() => {
    if (width) onWidth?.(width);
  }, [width]);

  useLayoutEffect(() => {
    if (!width) return undefined;
    const made = new uPlot(options(), dataOf(lines, isLog), holder.current);
    plot.current = made;
    if (plotRef) plotRef.current = made;
    return () => {
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  useLayoutEffect(() => {
    if (plot.current && width && plot.current.width !== width) plot.current.setSize({ width, height });
  }, [width]);

  useLayoutEffect(() => {
    if (!plot.current) return;
    plot.current.batch(() => {
      plot.current.setData(dataOf(lines, isLog), true);
      if (range) plot.current.setScale("x", { min: range[0], max: range[1] });
    });
  }, [lines, shape]);

  function options() {
    const muted = colour("muted");
    const grid = { stroke: colour("line"), width: 1 };
    const axis = { stroke: muted, grid, ticks: { show: false }, font: "12px Inter, system-ui, sans-serif", gap: 6 };
    return {
      width,
      height,
      padding: [8, 10, 0, 0],
      legend: { show: false },
      cursor: {
        points: { size: 7 },
        x: true,
        y: false,
        drag: { x: Boolean(onZoom), y: false, setScale: false, dist: 6 },
        bind: { dblclick: (u) => () => { acts.current.onReset?.(); return null; } },
      },
      scales: { x: { time: false }, y: isLog ? { distr: 3 } : isBars ? { range: (u, low, high) => [Math.min(0, low), Math.max(0, high) * 1.08 || 1] } : {} },
      axes: [
        { ...axis, size: 30, space: 70, values: (u, ticks) => ticks.map(formatX) },
        { ...axis, size: (u, values) => 18 + 7 * Math.max(1, ...(values || []).map((text) => String(text ?? "").length)), space: 34, values: (u, ticks) => ticks.map((tick) => (tick === null ? null : formatY(tick))) },
      ],
      series: [{}, ...lines.map((line) => ({
        label: line.label,
        stroke: line.faint ? fade(colour(line.colour), 0.28) : colour(line.colour),
        fill: isBars ? fade(colour(line.colour), 0.75) : undefined,
        paths: isBars ? uPlot.paths.bars({ size: [0.72, 34] }) : undefined,
        width: line.faint ? 1 : isBars ? 0 : 1.75,
        spanGaps: true,
        points: { show: isBars ? false : (u, index) => u.data[index].filter((y) => y !== null && y !== undefined).length < 2 },
      }))],
      hooks: {
        setCursor: [(u) => acts.current.onHover?.(u.cursor.idx === null || u.cursor.left < 0 ? null : u.data[0][u.cursor.idx])],
        setSelect: [(u) => {
          if (u.select.width < 6) return;
          const first = u.posToVal(u.select.left, "x");
          const last = u.posToVal(u.select.left + u.select.width, "x");
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          acts.current.onZoom?.([first, last]);
        }],
      },
    };
  }
  return html`<div class="chart" ref=${frame}><div ref=${holder} role="img" aria-label=${label}></div></div>`;
}

function fade(rgb, opacity) {
  const numbers = rgb.match(/[\d.]+/g) || [0, 0, 0];
  return `rgba(${numbers.slice(0, 3).join(",")},${opacity})`;
}

function dataOf(lines, isLog) {
  if (lines.length === 0) return [[], []];
  const tables = lines.map(({ xs, ys }) => [xs, isLog ? ys.map((y) => (y > 0 ? y : null)) : ys]);
  return tables.length === 1 ? tables[0] : uPlot.join(tables);
}

/** Exponential smoothing that does not lean towards its first value. */
export function smoothed(ys, weight) {
  let sum = 0;
  let scale = 0;
  return ys.map((y) => {
    if (!Number.isFinite(y)) return null;
    sum = sum * weight + y * (1 - weight);
    scale = scale * weight + (1 - weight);
    return sum / scale;
  });
}

/** Saves what a chart shows as a picture, with its title and its lines' names. */
export function savePicture(plot, title, lines, name) {
  const source = plot.ctx.canvas;
  const ratio = source.width / plot.width;
  const top = 52 * ratio;
  const canvas = document.createElement("canvas");
  canvas.width = source.width + 24 * ratio;
  canvas.height = source.height + top + 12 * ratio;
  const pen = canvas.getContext("2d");
  pen.fillStyle = colour("surface");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = colour("ink");
  pen.font = `600 ${15 * ratio}px Inter, sans-serif`;
  pen.fillText(title, 14 * ratio, 22 * ratio);
  pen.font = `${12 * ratio}px Inter, sans-serif`;
  let left = 14 * ratio;
  for (const line of lines) {
    pen.fillStyle = colour(line.colour);
    pen.fillRect(left, 34 * ratio, 14 * ratio, 3 * ratio);
    pen.fillStyle = colour("muted");
    pen.fillText(line.label, left + 20 * ratio, 40 * ratio);
    left += pen.measureText(line.label).width + 40 * ratio;
  }
  pen.drawImage(source, 12 * ratio, top);
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}
