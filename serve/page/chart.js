// A line chart, drawn anew for the width that it has.

import { el, percent, short, svg } from "./dom.js";
import { logTicks, ticks } from "./scale.js";

const height = 220;
const margin = { top: 12, right: 12, bottom: 34, left: 52 };

/** A chart with a title. Options: log, a logarithmic axis; share, one from 0 to 1. */
export class Chart {
  #series = [];
  #watcher;

  constructor(title, options = {}) {
    this.title = title;
    this.options = options;
    this.drawing = svg("svg", { role: "img", height });
    this.legend = el("p", { class: "legend" });
    this.node = el("figure", { class: "chart" }, el("figcaption", {}, title), this.legend, this.drawing);
    this.#watcher = new ResizeObserver(() => this.#paint());
    this.#watcher.observe(this.node);
  }

  /** Ends it. */
  close() {
    this.#watcher.disconnect();
  }

  /** Draws series of points: {name, style, points: [[x, y], …]}. */
  draw(series) {
    this.#series = this.options.log ? series.map((s) => ({ ...s, points: s.points.filter((p) => p[1] > 0) })) : series;
    this.legend.replaceChildren(...series.map((s) => el("span", { class: s.style }, s.name)));
    const ends = this.#series.filter((s) => s.points.length > 0).map((s) => `${s.name} ${this.#write(s.points.at(-1)[1])} at step ${s.points.at(-1)[0]}`);
    this.drawing.setAttribute("aria-label", `${this.title}: ${ends.join(", ") || "nothing yet"}`);
    this.#paint();
  }

  #write(v) {
    return this.options.share ? percent(v) : short(v, 2);
  }

  #paint() {
    const width = this.node.clientWidth;
    const points = this.#series.flatMap((s) => s.points);
    this.drawing.setAttribute("width", width);
    this.drawing.replaceChildren();
    if (width === 0 || points.length === 0) {
      return;
    }
    const [x, xTicks] = this.#across(points.map((p) => p[0]), width);
    const [y, yTicks] = this.#up(points.map((p) => p[1]));
    const end = width - margin.right;
    for (const v of yTicks) {
      this.drawing.append(
        svg("line", { class: "grid", x1: margin.left, x2: end, y1: y(v), y2: y(v) }),
        svg("text", { class: "tick", x: margin.left - 8, y: y(v) + 4, "text-anchor": "end" }, this.#write(v)));
    }
    for (const v of xTicks) {
      this.drawing.append(svg("text", { class: "tick", x: x(v), y: height - margin.bottom + 18, "text-anchor": "middle" }, short(v, 6)));
    }
    this.drawing.append(svg("text", { class: "tick", x: end, y: height - 2, "text-anchor": "end" }, "step"));
    for (const s of this.#series) {
      this.drawing.append(svg("polyline", { class: `curve ${s.style}`, points: s.points.map((p) => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" ") }));
      if (s.points.length < 40) {
        this.drawing.append(...s.points.map((p) => svg("circle", { class: `dot ${s.style}`, cx: x(p[0]), cy: y(p[1]), r: 3 })));
      }
    }
  }

  #across(values, width) {
    const low = Math.min(...values);
    const high = Math.max(low + 1, ...values);
    const room = width - margin.left - margin.right;
    return [(v) => margin.left + (room * (v - low)) / (high - low), ticks(low, high, Math.max(2, room / 90)).filter(Number.isInteger)];
  }

  #up(values) {
    const room = height - margin.top - margin.bottom;
    if (this.options.share) {
      return [(v) => margin.top + room * (1 - v), [0, 0.25, 0.5, 0.75, 1]];
    }
    let low = Math.min(...values);
    let high = Math.max(...values);
    if (this.options.log) {
      high = Math.max(high, low * 2);
      return [(v) => margin.top + (room * Math.log(high / v)) / Math.log(high / low), logTicks(low, high)];
    }
    low = Math.min(0, low);
    high = Math.max(high, low + 1e-9);
    return [(v) => margin.top + (room * (high - v)) / (high - low), ticks(low, high, 4)];
  }
}
