// Memory over time: what the system saw of the process, what the tool counted, and which sites it belongs to. Drawn by uPlot.

import uPlot from "uplot";
import { el, replace, section } from "./dom.js";
import { moment, size } from "./format.js";

const STILL = 5; // pixels: a pointer that moves by less has not moved
const AREAS = 7; // sites that have an area of their own
const HEIGHT = 280;
const FAR = 8; // times: lines that are so much higher leave nothing to see of the areas
const AREA_COLOURS = ["#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#76b7b2", "#edc948", "#9c755f"];
const REST = "#bab0ac";
const LINES = { rss: ["rss", "#d1495b", []], pss: ["pss", "#8d6cab", [6, 4]], anonymous: ["anonymous", "#3d9970", [2, 3]], live: ["live, as counted", null, []], stack: ["stack", "#e0a100", [3, 3]] };

export class Timeline {
  constructor(state) {
    this.state = state;
    this.off = new Set();
    this.plotBox = el("div", { class: "plot", tabindex: "0", role: "img", onkeydown: (event) => this._key(event) });
    this.legend = el("div", { class: "chips", role: "group", "aria-label": "What the timeline shows" });
    this.hint = el("p", { class: "muted" });
    this.chosen = el("p", { class: "said", "aria-live": "polite", id: "chosen" });
    this.node = section("timeline", "Over time", this.legend, this.plotBox, this.chosen, this.hint);
    new ResizeObserver(() => this.plot && this.plot.width !== this.plotBox.clientWidth && this.plot.setSize({ width: this.plotBox.clientWidth, height: HEIGHT })).observe(this.plotBox);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
    state.onchange((what) => {
      if (what.has("set")) this.reset();
      else if (what.has("to") || what.has("from")) this.mark();
    });
  }

  /** Shows what can be seen beside each other: what the system counts may go far beyond what the tool does. */
  reset() {
    const { set } = this.state;
    const samples = set.run.samples[String(set.pid)];
    const live = Math.max(0, ...(set.totals.live_bytes || []));
    this.far = Boolean(samples) && live > 0 && set.moments > 1 && Math.max(...samples.rss) > FAR * live;
    this.off = new Set(this.far ? ["anonymous", "rss", "pss"] : ["anonymous"]);
    this.build();
  }

  build() {
    if (this.plot) this.plot.destroy();
    this.plot = null;
    this.raw = null;
    const { set } = this.state;
    const { columns, series } = this._series();
    if (columns[0].length < 2) {
      replace(this.legend);
      replace(this.plotBox, el("p", { class: "muted" }, "There is one moment only: nothing to show over time. Run it with --every 500ms for more snapshots."));
      this.hint.textContent = "";
      this._say();
      return;
    }
    replace(this.plotBox);
    this._chips(series);
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--muted").trim();
    const grid = { stroke: getComputedStyle(document.documentElement).getPropertyValue("--line").trim(), width: 1 };
    this.plot = new uPlot({
      width: this.plotBox.clientWidth || 600, height: HEIGHT, legend: { show: false }, scales: { x: { time: false }, y: { range: (_, __, most) => [0, (most || 1) * 1.06] } },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 5 } },
      axes: [
        { stroke: ink, grid, ticks: grid, size: 34, values: (_, ticks) => ticks.map((tick) => axisText(tick, this.unit)) },
        { stroke: ink, grid, ticks: grid, size: 64, values: (_, ticks) => ticks.map(size) },
      ],
      series: [{}, ...series.map((each) => each.plot)],
      hooks: { setSelect: [(plot) => this._brushed(plot)], draw: [(plot) => this._drawMarks(plot)], setCursor: [(plot) => this._hover(plot)] },
    }, columns, this.plotBox);
    this.raw = series;
    // uPlot keeps some clicks to itself: what counts is that the pointer did not move.
    this.tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    this.plot.over.append(this.tip);
    this.plot.over.addEventListener("pointerdown", (event) => { this.pressed = event.offsetX; });
    this.plot.over.addEventListener("pointerup", (event) => { if (Math.abs(event.offsetX - this.pressed) < STILL) this._clicked(event.offsetX); });
    this.plotBox.setAttribute("aria-label", `Memory over time: ${series.map((each) => each.label).join(", ")}. Left and right choose a snapshot, with Shift the one it is compared with.`);
    const far = this.far ? " rss and pss go far beyond what the tool counts, and are switched off above." : "";
    this.hint.textContent = (set.moments > 1 ? "Drag over a range, or click two snapshots (the marks below), to see what came between. [ and ] go from one to the next." : "") + far;
    this._say();
  }

  /** Columns for uPlot, the areas stacked, the largest in front of nothing. */
  _series() {
    const { set } = this.state;
    this.unit = set.unit;
    const tables = [];
    const series = [];
    const add = (times, values, label, key, plot, raw) => {
      tables.push([times, values]);
      series.push({ key, label, times, raw: raw || values, plot: { label, show: !this.off.has(key), spanGaps: true, points: { show: false }, ...plot } });
    };
    this._areas(add);
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    if (set.kind === "snapshots" && set.totals.live_bytes) add(set.time, set.totals.live_bytes, ...line("live", ink));
    if (set.totals.stack_bytes && set.totals.stack_bytes.some((value) => value)) add(set.time, set.totals.stack_bytes, ...line("stack"));
    const samples = set.run.samples[String(set.pid)];
    if (samples && (set.unit === "s" || set.kind === "losses" || set.moments < 2)) {
      this.unit = "s";
      const times = samples.time.map((time) => Math.max(0, time - set.started));
      for (const name of ["rss", "pss", "anonymous", "stack"]) {
        if (name === "stack" && series.some((each) => each.key === "stack")) continue;
        if (samples[name].filter((value) => value !== null).length > 1) add(times, samples[name], ...line(name));
      }
    }
    const joined = tables.length ? uPlot.join(tables) : [[]];
    return { columns: joined, series };
  }

  _areas(add) {
    const { set } = this.state;
    if (set.kind !== "snapshots" || set.moments < 2) return;
    const metric = "live_bytes";
    const most = new Float64Array(set.sites.function.length);
    for (let k = 0; k < set.moments; k++) set.sitesAt(metric, k).forEach((value, site) => { most[site] = Math.max(most[site], value); });
    const top = [...most.keys()].filter((site) => most[site]).sort((a, b) => most[b] - most[a]).slice(0, AREAS);
    const times = Array.from({ length: set.moments }, (_, k) => set.timeOf(k));
    const rows = top.map((site) => times.map((_, k) => set.sitesAt(metric, k)[site]));
    const rest = times.map((_, k) => set.sitesAt(metric, k).reduce((sum, value) => sum + value, 0) - rows.reduce((sum, row) => sum + row[k], 0));
    const all = [...rows.map((raw, at) => ({ raw, label: set.siteName(top[at]), colour: AREA_COLOURS[at], key: `site ${top[at]}` })), { raw: rest, label: "other sites", colour: REST, key: "rest" }];
    const below = new Float64Array(times.length);
    const stacked = all.filter((each) => each.raw.some((value) => value > 0)).map((each) => {
      if (!this.off.has(each.key)) each.raw.forEach((value, k) => { below[k] += value; });
      return { ...each, top: Array.from(below) };
    });
    for (const each of stacked.reverse()) add(times, each.top, each.label, each.key, { fill: `${each.colour}cc`, stroke: each.colour, width: 0 }, each.raw);
  }

  /** The areas from below upwards, then the lines. */
  _ordered(series) {
    return [...series.filter((each) => each.plot.fill).reverse(), ...series.filter((each) => !each.plot.fill)];
  }

  _chips(series) {
    const keys = new Set();
    replace(this.legend, this._ordered(series).filter((each) => !keys.has(each.key) && keys.add(each.key)).map((each) => {
      return el("button", { class: each.plot.fill ? "chip area" : "chip", "aria-pressed": String(!this.off.has(each.key)),
        onclick: () => { this.off.has(each.key) ? this.off.delete(each.key) : this.off.add(each.key); this.build(); } },
        swatch(each.plot.fill || each.plot.stroke), each.label);
    }));
  }

  /** What stands at the pointer's moment, beside it: within the plot, so that nothing on the page moves. */
  _hover(plot) {
    const { left } = plot.cursor;
    if (!this.tip) return;
    this.tip.hidden = !(left >= 0) || !this.raw;
    if (this.tip.hidden) return;
    const time = plot.posToVal(left, "x");
    const rows = this._ordered(this.raw).filter((each) => !this.off.has(each.key)).map((each) => [each, valueAt(each.times, each.raw, time)]).filter(([, value]) => value !== "");
    replace(this.tip, el("p", {}, moment(time, this.unit)), rows.map(([each, value]) => el("p", {}, swatch(each.plot.fill || each.plot.stroke), el("span", {}, each.label), el("b", { class: "number" }, size(value)))));
    this.tip.classList.toggle("right", left < plot.over.clientWidth / 2);
  }

  _brushed(plot) {
    const { left, width } = plot.select;
    if (width < STILL) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.brush(from, to);
  }

  /** The first and the last snapshot in a range of time, or the one that is nearest to it. */
  brush(from, to) {
    const { state } = this;
    const first = state.set.nearest(from, from, to);
    const last = state.set.nearest(to, from, to);
    if (first >= 0) state.range(first, last);
    else if (state.set.moments) state.range(...[state.set.nearest(from), state.set.nearest(to)]);
  }

  _clicked(x) {
    const { set } = this.state;
    if (set.moments < 2) return;
    const k = set.nearest(this.plot.posToVal(x, "x"));
    if (k >= 0) this.state.click(k);
  }

  _key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    if (event.shiftKey) this.state.stepFrom(by);
    else this.state.step(by);
    event.preventDefault();
  }

  mark() {
    if (this.plot) this.plot.redraw(false);
    this._say();
  }

  _say() {
    const { set, to, from } = this.state;
    if (!set.moments) {
      this.chosen.textContent = "No snapshot of this process has stacks.";
      return;
    }
    const at = (other, k) => `snapshot ${other.numberOf(k)} (${moment(other.timeOf(k), other.unit)})`;
    this.chosen.textContent = set.kind === "losses" ? "Below: what was in use when it ended." : from
      ? `Below: ${at(set, to)} less ${from.set === set ? at(set, from.k) : `${from.set.label}, ${at(from.set, from.k)}`}.`
      : `Below: ${at(set, to)}${set.peak.includes(set.stacked[to]) ? ", the peak" : ""}${to === set.opening && to < set.moments - 1 ? ", the last one before what it had was freed at its end" : ""}.`;
  }

  _drawMarks(plot) {
    const { ctx: paint, bbox } = plot;
    const { set, to, from } = this.state;
    if (set.kind === "losses") return;
    const style = getComputedStyle(document.documentElement);
    const ratio = devicePixelRatio || 1;
    const bottom = bbox.top + bbox.height;
    const at = (time) => Math.round(plot.valToPos(time, "x", true));
    const marked = new Set(set.stacked);
    paint.save();
    for (let i = 0; i < set.time.length; i++) {
      paint.fillStyle = style.getPropertyValue(marked.has(i) ? "--ink" : "--muted").trim();
      const long = (marked.has(i) ? 7 : 3) * ratio;
      paint.fillRect(at(set.time[i]), bottom - long, ratio, long);
    }
    for (const [k, colour] of [[from && from.set === set ? from.k : -1, "--muted"], [to, "--accent"]]) {
      if (k < 0 || k >= set.moments) continue;
      paint.fillStyle = style.getPropertyValue(colour).trim();
      paint.fillRect(at(set.timeOf(k)) - ratio, bbox.top, 2 * ratio, bbox.height);
    }
    if (from && from.set === set) {
      paint.globalAlpha = 0.1;
      const left = at(set.timeOf(Math.min(from.k, to)));
      paint.fillRect(left, bbox.top, at(set.timeOf(Math.max(from.k, to))) - left, bbox.height);
    }
    paint.restore();
  }
}

function line(name, colour) {
  const [label, own, dash] = LINES[name];
  return [label, name, { stroke: colour || own, width: name === "live" ? 2 : 1.5, dash }];
}

function swatch(colour) {
  const mark = el("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.background = colour;
  return mark;
}

function valueAt(times, values, time) {
  let best = -1;
  for (let i = 0; i < times.length; i++) {
    if (values[i] !== null && values[i] !== undefined && (best < 0 || Math.abs(times[i] - time) < Math.abs(times[best] - time))) best = i;
  }
  return best < 0 ? "" : values[best];
}

function axisText(tick, unit) {
  if (unit === "s") return tick >= 3600 ? `${+(tick / 3600).toFixed(2)} h` : `${+tick.toFixed(2)} s`;
  if (unit === "byte allocated") return size(tick);
  return tick >= 1e6 ? `${+(tick / 1e6).toFixed(1)} M` : `${+tick.toFixed(1)}`;
}
