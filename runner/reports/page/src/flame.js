// The flame graph on a canvas: only what is wide enough to be seen is drawn, so that 200,000 boxes cost no more than those on the screen.

import { check, choice, el, replace, section } from "./dom.js";
import { amount, percent, place, plural, signed } from "./format.js";
import { counts, markInvalid, metricName, pattern } from "./model.js";
import { treeOf } from "./tree.js";

const ROW = 19;
const LEAST = 0.4; // pixels: narrower boxes are not drawn
const MOST_ROWS = 700; // a canvas has a largest height
const VANISHED = 50;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function hue(text) {
  let sum = 7;
  for (let i = 0; i < text.length; i++) sum = (sum * 31 + text.charCodeAt(i)) >>> 0;
  return sum;
}

export class Flame {
  constructor(state) {
    this.state = state;
    this.zoomed = 0;
    this.focus = 0;
    this.upward = false;
    this.canvas = el("canvas", {
      tabindex: "0", role: "application", "aria-describedby": "flame-said",
      "aria-label": "Flame graph: arrow keys go from box to box, Enter zooms in, Backspace zooms out, Escape shows all",
      onclick: (event) => this._zoomTo(this._at(event)), onmousemove: (event) => this._hover(this._at(event)),
      onmouseleave: () => this._hover(-1), onkeydown: (event) => this._key(event), onfocus: () => this.draw(), onblur: () => this.draw(),
    });
    this.box = el("div", { class: "flame-box" }, this.canvas);
    this.said = el("p", { id: "flame-said", class: "said", "aria-live": "polite" });
    this.found = el("span", { class: "muted", id: "flame-found", role: "status" });
    this.gone = el("div", { id: "vanished" });
    this.crumbs = el("nav", { class: "crumbs", "aria-label": "Where the flame graph is zoomed to" });
    this.legend = el("p", { class: "legend muted" });
    this.node = section("flame", "Flame graph", this._controls(), this.crumbs, this.box, this.said, this.legend, this.gone);
    new ResizeObserver(() => this.draw()).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    state.onchange((what) => this._heard(what));
    this.rebuild();
  }

  _controls() {
    const { state } = this;
    this.search = el("input", { type: "search", id: "search", value: state.search, placeholder: "function, file:line, or /expression/", "aria-keyshortcuts": "/",
      oninput: (event) => state.put({ search: event.target.value }) });
    this.hide = el("input", { type: "search", id: "hide", value: state.hide, placeholder: "function, file or module", oninput: (event) => state.put({ hide: event.target.value }) });
    this.metrics = el("span");
    return el("div", { class: "controls" },
      el("label", { class: "field" }, el("span", {}, "Search"), this.search), this.found,
      el("label", { class: "field" }, el("span", {}, "Hide"), this.hide),
      this.metrics,
      check("allocator and runtime hidden", state.machinery, (machinery) => state.put({ machinery })),
      check("by line", state.lines, (lines) => state.put({ lines })),
      check("callers below", this.upward, (upward) => { this.upward = upward; this.draw(); }));
  }

  _heard(what) {
    if (["set", "to", "from", "metric", "lines", "hide", "machinery"].some((name) => what.has(name))) this.rebuild();
    else if (what.has("search")) this._search();
  }

  rebuild() {
    const { state } = this;
    const names = state.set.metrics.map((name) => [name, metricName(state.set, name)]);
    replace(this.metrics, choice("Show", names, state.metric, (metric) => state.put({ metric })));
    const path = this.tree ? this.tree.path(this.zoomed) : [];
    this.tree = treeOf(state);
    this.difference = Boolean(state.then());
    this.zoomed = this._found(path);
    this.focus = this.zoomed;
    this._search(false);
    this._listVanished();
    this._legend();
    this.draw();
    this._tell(this.zoomed);
  }

  /** The box at the end of a path of names, as far as it is there. */
  _found(path) {
    let box = 0;
    for (const name of path) {
      const next = this.tree.children(box).find((child) => this.tree.total[child] && this.tree.name(child) === name);
      if (next === undefined) break;
      box = next;
    }
    return box;
  }

  _search(draws = true) {
    const { state, tree } = this;
    const test = pattern(state.search);
    this.matches = null;
    this.found.textContent = "";
    markInvalid(this.search, state.search);
    markInvalid(this.hide, state.hide);
    if (this.search.value !== state.search) this.search.value = state.search;
    if (test) {
      const byFrame = state.page.frames.matching(test);
      this.matches = new Uint8Array(tree.count); // 1: it is found, 2: below one that is
      let sum = 0;
      let count = 0;
      for (let box = 1; box < tree.count; box++) {
        const inside = this.matches[tree.parent[box]];
        if (byFrame[tree.frame[box]]) {
          this.matches[box] = 1;
          count += tree.total[box] ? 1 : 0;
          if (!inside) sum += tree.total[box];
        } else if (inside) this.matches[box] = 2;
      }
      this.found.textContent = `${plural(count, "box").replace("boxs", "boxes")}, ${percent(sum, tree.total[0])} of all`;
    }
    if (draws) this.draw();
  }

  _listVanished() {
    const { tree, state } = this;
    const boxes = this.difference ? tree.vanished() : [];
    if (!boxes.length) return replace(this.gone);
    const list = boxes.slice(0, VANISHED).map((box) => el("li", {},
      el("b", { class: "number" }, `-${amount(tree.base[box], counts(state.metric))}`), " ", tree.name(box),
      el("span", { class: "muted" }, ` under ${tree.path(tree.parent[box]).slice(-3).reverse().join(" ← ") || "no caller"}`)));
    const more = boxes.length > VANISHED ? el("li", { class: "muted" }, `and ${plural(boxes.length - VANISHED, "more")}`) : null;
    return replace(this.gone, el("details", { open: boxes.length < 12 }, el("summary", {}, `Gone since then: ${boxes.length}`), el("ul", { class: "plain" }, list, more)));
  }

  _legend() {
    this.legend.textContent = this.difference
      ? "Widths are what is there now. Red grew, the deeper the more of it is new; blue shrank; grey is as it was."
      : "As wide as what was allocated there and below. Warm: the program's own code; green: libraries; grey: allocator and runtime, or not known.";
  }

  // ---- drawing

  draw() {
    const width = this.box.clientWidth;
    if (!width || !this.tree) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.width = width;
    const boxes = this._visible();
    const height = this.rows * ROW;
    const { canvas } = this;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
    }
    const paint = canvas.getContext("2d");
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.palette = palette();
    paint.fillStyle = this.palette.back;
    paint.fillRect(0, 0, width, height);
    paint.font = this.palette.font;
    paint.textBaseline = "middle";
    this.letter = paint.measureText("MMMMMMMMMM").width / 10;
    for (let box = this.tree.parent[this.zoomed], last = this.zoomed; last; last = box, box = this.tree.parent[box]) this._paint(paint, box, 0, width, true);
    for (const box of boxes) this._paint(paint, box, (this.tree.x[box] - this.tree.x[this.zoomed]) * this.scale, this.tree.total[box] * this.scale, false);
    this._paintCrumbles(paint);
    if (document.activeElement === canvas) this._outline(paint, this.focus);
    this.first ||= performance.now(); // since the page was asked for
  }

  top(box) {
    const row = this.tree.depth[box];
    return (this.upward ? this.rows - 1 - row : row) * ROW;
  }

  /** The boxes that are wide enough to be seen, and how many rows they need. */
  _visible() {
    const { tree, zoomed } = this;
    const scale = (this.scale = this.width / (tree.total[zoomed] || 1));
    const boxes = [zoomed];
    this.crumbles = []; // first and last of those beside each other that are too narrow
    let deepest = tree.depth[zoomed];
    for (let at = 0; at < boxes.length; at++) {
      if (tree.depth[boxes[at]] >= MOST_ROWS - 1) continue;
      const children = tree.children(boxes[at]);
      for (const child of children) {
        if (tree.total[child] * scale < LEAST) { // the largest come first
          this.crumbles.push([child, children[children.length - 1]]);
          break;
        }
        boxes.push(child);
        if (tree.total[child] * scale >= 3) deepest = Math.max(deepest, tree.depth[child]);
      }
    }
    this.rows = deepest + 1;
    return boxes;
  }

  _paintCrumbles(paint) {
    const { tree, scale } = this;
    paint.fillStyle = this.palette.crumble;
    for (const [first, last] of this.crumbles) {
      const width = (tree.x[last] + tree.total[last] - tree.x[first]) * scale;
      if (width >= 1 && tree.depth[first] < this.rows) paint.fillRect((tree.x[first] - tree.x[this.zoomed]) * scale, this.top(first) + 5, width, ROW - 11);
    }
  }

  _outline(paint, box) {
    const above = this.tree.depth[box] < this.tree.depth[this.zoomed];
    paint.strokeStyle = this.palette.ink;
    paint.lineWidth = 2;
    const x = above ? 0 : (this.tree.x[box] - this.tree.x[this.zoomed]) * this.scale;
    const width = above ? this.width : this.tree.total[box] * this.scale;
    paint.strokeRect(x + 1, this.top(box) + 1, Math.max(2, width - 2), ROW - 3);
  }

  _paint(paint, box, x, width, above) {
    const y = this.top(box);
    const [fill, ink] = this._colour(box);
    paint.globalAlpha = above ? 0.55 : this.matches && !this.matches[box] && box ? 0.35 : 1;
    paint.fillStyle = fill;
    paint.fillRect(x, y, width > 3 ? width - 1 : width, ROW - 1);
    if (width > 28) {
      paint.fillStyle = ink;
      const room = Math.floor((width - 8) / this.letter);
      const name = this._label(box);
      paint.fillText(name.length <= room ? name : `${name.slice(0, Math.max(1, room - 1))}…`, x + 4, y + ROW / 2);
    }
    paint.globalAlpha = 1;
  }

  _label(box) {
    if (!box) return `all: ${amount(this.tree.total[0], counts(this.state.metric))}`;
    const { frames } = this.tree;
    const frame = this.tree.frame[box];
    return this.state.lines && frames.file[frame] ? `${frames.nameOf(frame)} ${place(frames.fileOf(frame), frames.line[frame])}` : frames.nameOf(frame);
  }

  _colour(box) {
    const { tree, palette: colours } = this;
    if (this.matches && this.matches[box] === 1) return colours.match;
    if (!box) return colours.root;
    if (this.difference) {
      const most = Math.max(tree.total[box], tree.base[box]);
      const change = most ? (tree.total[box] - tree.base[box]) / most : 0;
      const steps = change > 0 ? colours.grown : colours.shrunk;
      return Math.abs(change) < 0.005 ? colours.same : steps[Math.min(steps.length - 1, Math.floor(Math.abs(change) * steps.length))];
    }
    const frame = tree.frame[box];
    const role = tree.frames.role(frame);
    const shades = role === 0 ? colours.own : role === 1 ? colours.library : colours.other;
    return shades[hue(tree.name(box)) % shades.length];
  }

  // ---- what is under the pointer, and under the keys

  _at(event) {
    const row = Math.floor(event.offsetY / ROW);
    const depth = this.upward ? this.rows - 1 - row : row;
    const { tree, zoomed } = this;
    let box = zoomed;
    if (depth < tree.depth[zoomed]) {
      while (tree.depth[box] > depth) box = tree.parent[box];
      return box;
    }
    const at = tree.x[zoomed] + (event.offsetX / this.width) * tree.total[zoomed];
    while (tree.depth[box] < depth) {
      const next = tree.children(box).find((child) => tree.x[child] <= at && at < tree.x[child] + tree.total[child]);
      if (next === undefined) return -1;
      box = next;
    }
    return box;
  }

  _hover(box) {
    this.canvas.style.cursor = box >= 0 ? "pointer" : "default";
    this._tell(box >= 0 ? box : this.focus);
  }

  _tell(box) {
    const { tree, state } = this;
    const blocks = counts(state.metric);
    const all = tree.total[0];
    const frame = tree.frame[box];
    const { frames } = tree;
    const parts = [el("b", {}, box ? frames.fullName(frame) : "all")];
    const where = box ? place(frames.fileOf(frame), state.lines ? frames.line[frame] : 0, frames.moduleOf(frame)) : "";
    if (where) parts.push(` ${where}`);
    parts.push(` — ${amount(tree.total[box], blocks)} ${metricName(state.set, state.metric).replace(/ ?bytes ?/, "")} (${percent(tree.total[box], all)})`);
    if (tree.self[box] && box) parts.push(`, ${amount(tree.self[box], blocks)} here itself`);
    if (this.difference) parts.push(`, ${signed(tree.total[box] - tree.base[box], blocks)} since then`);
    replace(this.said, parts);
  }

  _zoomTo(box) {
    if (box < 0) return;
    this.zoomed = box;
    this.focus = box;
    this._crumb();
    this.draw();
    this._tell(box);
  }

  _crumb() {
    const boxes = [];
    for (let box = this.zoomed; box; box = this.tree.parent[box]) boxes.unshift(box);
    if (!boxes.length) return replace(this.crumbs);
    const shown = boxes.length > 6 ? [boxes[0], ...boxes.slice(-5)] : boxes;
    return replace(this.crumbs, el("button", { onclick: () => this._zoomTo(0) }, "all"),
      shown.map((box, place) => [place === 1 && boxes.length > 6 ? " › … › " : " › ", el("button", { "aria-current": box === this.zoomed ? "true" : null, onclick: () => this._zoomTo(box) }, this.tree.name(box))]));
  }

  _key(event) {
    const to = this._next(event.key);
    if (event.key === "Enter" || event.key === " ") this._zoomTo(this.focus);
    else if (event.key === "Escape") this._zoomTo(0);
    else if (event.key === "Backspace") this._zoomTo(this.tree.parent[this.zoomed]);
    else if (to === null) return;
    else {
      this.focus = to;
      this.draw();
      this._tell(to);
      this._show(to);
    }
    event.preventDefault();
  }

  _show(box) {
    const top = this.top(box);
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW - this.box.clientHeight;
  }

  /** Where a key leads: towards what is called, to the caller, to what stands beside it. */
  _next(key) {
    const { tree, focus } = this;
    const seen = (boxes) => [...boxes].filter((box) => tree.total[box]);
    const inward = this.upward ? "ArrowUp" : "ArrowDown";
    const outward = this.upward ? "ArrowDown" : "ArrowUp";
    if (key === inward) return seen(tree.children(focus))[0] ?? focus;
    if (key === outward) return tree.parent[focus];
    if (key !== "ArrowLeft" && key !== "ArrowRight") return null;
    if (!focus) return focus;
    const beside = seen(tree.children(tree.parent[focus]));
    return beside[beside.indexOf(focus) + (key === "ArrowRight" ? 1 : -1)] ?? focus;
  }
}

function palette() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = dark ? "#f2f3f4" : "#1c1f23";
  const shade = (colours) => colours.map((colour) => [colour, ink]);
  const font = `12px ${css("--mono")}`;
  return dark
    ? { font, ink, back: css("--panel"), root: ["#39424c", ink], crumble: "#5a3d27", match: ["#b05bd6", "#ffffff"], same: ["#4a525b", ink],
        own: shade(["#8a4a1c", "#7d4518", "#96552a", "#85501d", "#7a3f1f"]), library: shade(["#2f5d46", "#35654c", "#2b563f"]), other: shade(["#464f59", "#4c5560", "#404953"]),
        grown: shade(["#6b4a4a", "#7d4543", "#91403c", "#a63a35", "#b8342e"]), shrunk: shade(["#45566b", "#3f5f80", "#376896", "#2f70ab"]) }
    : { font, ink, back: css("--panel"), root: ["#dfe3e8", ink], crumble: "#f0cfa8", match: ["#8e24aa", "#ffffff"], same: ["#dcdfe3", ink],
        own: shade(["#f6b26b", "#f3a65a", "#f8bd7c", "#efad66", "#f5a86f"]), library: shade(["#b7dcc0", "#a9d4b5", "#c3e3ca"]), other: shade(["#d5d9de", "#cdd2d8", "#dde0e4"]),
        grown: shade(["#f6dcd9", "#f3c3be", "#f0a8a1", "#ee8d84", "#ec7268"]), shrunk: shade(["#d5e4f3", "#b9d3ed", "#9cc3e8", "#80b2e2"]) };
}
