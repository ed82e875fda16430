// Callers and callees as a tree that is opened step by step: from the outermost caller inward, or from what allocates outward.

import { el, replace, section } from "./dom.js";
import { amount, percent, place, signed } from "./format.js";
import { counts } from "./model.js";
import { treeOf } from "./tree.js";

const SHOWN = 60; // children of one row
const CELLS = [null, "number", "number wide", "number wide", "number"]; // the kinds of its columns

export class Calls {
  constructor(state) {
    this.state = state;
    this.inward = true;
    const kinds = [[true, "from callers inward"], [false, "from allocations outward"]];
    this.tabs = el("div", { class: "chips", role: "group", "aria-label": "Direction" }, kinds.map(([inward, text]) => el("button", { class: "chip", "data-inward": String(inward), onclick: () => { this.inward = inward; this.build(); } }, text)));
    this.body = el("tbody");
    this.head = el("thead");
    this.table = el("table", { class: "calls", role: "treegrid", "aria-label": "Calls", onkeydown: (event) => this._key(event) }, this.head, this.body);
    this.node = section("calls", "Callers and callees", this.tabs, el("div", { class: "scroller" }, this.table));
    state.onchange((what) => {
      if (["set", "to", "from", "metric", "lines", "hide", "machinery"].some((name) => what.has(name))) this.later();
    });
    this.later();
  }

  /** It stands far below: built when it comes near. */
  later() {
    this.stale = true;
    if (!this.watcher) {
      this.watcher = new IntersectionObserver((seen) => { if (this.stale && seen.some((each) => each.isIntersecting)) this.build(); }, { rootMargin: "400px" });
    }
    this.watcher.unobserve(this.node);
    this.watcher.observe(this.node);
  }

  build() {
    this.stale = false;
    this.tree = treeOf(this.state);
    this.keys = this.tree.keys.of;
    for (const tab of this.tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.inward === String(this.inward)));
    const difference = this.state.then() !== null;
    replace(this.head, el("tr", {}, ["Function", "With callees", "Of all", "Itself", difference ? "Change" : null].filter(Boolean).map((text, at) => el("th", { scope: "col", class: CELLS[at] }, text))));
    const roots = this.inward ? this._callees([...this.tree.children(0)]) : this._callers(this._leaves());
    replace(this.body, roots.slice(0, SHOWN).flatMap((each) => this._row(each, 1)));
    const first = this.body.querySelector("tr");
    if (first) {
      first.tabIndex = 0;
      if (roots.length === 1) this._open(first);
    }
  }

  // ---- rows: { name, where, total, base, self, more() }

  _callees(boxes) {
    const { tree } = this;
    return boxes.filter((box) => tree.total[box] || tree.base[box]).map((box) => ({
      frame: tree.frame[box], total: tree.total[box], base: tree.base[box], self: tree.self[box],
      more: () => this._callees([...tree.children(box)]), has: tree.children(box).length > 0,
    }));
  }

  _leaves() {
    const { tree } = this;
    const found = [];
    for (let box = 1; box < tree.count; box++) if (tree.self[box] || tree.selfBase[box]) found.push([box, box]);
    return found;
  }

  /** `entries` are [where it stands now, where it was allocated]; grouped by function. */
  _callers(entries) {
    const { tree } = this;
    const groups = new Map();
    for (const entry of entries) {
      const key = this.keys[tree.frame[entry[0]]];
      const group = groups.get(key);
      if (group) group.push(entry);
      else groups.set(key, [entry]);
    }
    const rows = [...groups.values()].map((group) => {
      const above = group.map(([at, leaf]) => [tree.parent[at], leaf]).filter(([at]) => at);
      return {
        frame: tree.frame[group[0][0]], total: group.reduce((sum, [, leaf]) => sum + tree.self[leaf], 0), base: group.reduce((sum, [, leaf]) => sum + tree.selfBase[leaf], 0),
        self: group.reduce((sum, [at, leaf]) => sum + (at === leaf ? tree.self[leaf] : 0), 0), more: () => this._callers(above), has: above.length > 0,
      };
    });
    return rows.sort((a, b) => b.total - a.total || b.base - a.base);
  }

  _row(row, level) {
    const { frames, total } = this.tree;
    const blocks = counts(this.state.metric);
    const where = place(frames.fileOf(row.frame), this.state.lines ? frames.line[row.frame] : 0, frames.moduleOf(row.frame));
    const mark = el("span", { class: "twist", "aria-hidden": "true" }, row.has ? "▸" : "");
    const name = el("td", { class: "place", title: frames.fullName(row.frame) }, mark, " ", el("b", {}, frames.nameOf(row.frame)), " ", el("span", { class: "muted" }, where));
    name.style.paddingLeft = `${Math.min(level - 1, 24) * 14 + 6}px`;
    const cells = [amount(row.total, blocks), percent(row.total, total[0]), row.self ? amount(row.self, blocks) : ""];
    if (this.state.then()) cells.push(signed(row.total - row.base, blocks));
    const line = el("tr", { role: "row", "aria-level": String(level), "aria-expanded": row.has ? "false" : null, tabindex: "-1", onclick: (event) => this._toggle(event.currentTarget) }, name, cells.map((text, at) => el("td", { class: CELLS[at + 1] }, text)));
    line.row = row;
    line.level = level;
    return line;
  }

  _toggle(line) {
    for (const other of this.body.querySelectorAll("tr[tabindex='0']")) other.tabIndex = -1;
    line.tabIndex = 0;
    if (line.getAttribute("aria-expanded") === "true") this._close(line);
    else this._open(line);
  }

  _open(line) {
    if (!line.row.has || line.getAttribute("aria-expanded") === "true") return;
    const children = line.row.more();
    const rows = children.slice(0, SHOWN).map((each) => this._row(each, line.level + 1));
    if (children.length > SHOWN) {
      const more = el("tr", { class: "muted" }, el("td", { colspan: 5 }, `${children.length - SHOWN} smaller ones are not listed here`));
      more.level = line.level + 1;
      rows.push(more);
    }
    line.after(...rows);
    line.setAttribute("aria-expanded", "true");
    line.querySelector(".twist").textContent = "▾";
    if (children.length === 1) this._open(rows[0]); // where there is no choice there is nothing to wait for
  }

  _close(line) {
    while (line.nextSibling && line.nextSibling.level > line.level) line.nextSibling.remove();
    line.setAttribute("aria-expanded", "false");
    line.querySelector(".twist").textContent = "▸";
  }

  _key(event) {
    const line = event.target.closest("tr");
    if (!line || !line.row) return;
    const open = line.getAttribute("aria-expanded") === "true";
    const go = { ArrowDown: line.nextElementSibling, ArrowUp: line.previousElementSibling }[event.key];
    if (go && go.row) {
      line.tabIndex = -1;
      go.tabIndex = 0;
      go.focus();
    } else if (event.key === "ArrowRight" && !open) this._open(line);
    else if (event.key === "ArrowLeft" && open) this._close(line);
    else if (event.key === "Enter" || event.key === " ") this._toggle(line);
    else if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
  }
}
