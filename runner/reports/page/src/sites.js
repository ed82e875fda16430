// The table of all sites. Only the rows that are on the screen are there, so that 25,000 of them cost no more than thirty.

import { el, replace, section, soon, svg } from "./dom.js";
import { amount, moment, percent, place, plural, rate, signed } from "./format.js";
import { counts, markInvalid, metricName, pattern } from "./model.js";
import { excerpt, stackList } from "./source.js";

const ROW = 34;
const AHEAD = 12; // rows that are there above and below what is seen
const STACKS = 12; // of an opened site
const SPARK_POINTS = 60;
const COLUMNS = [
  ["place", "Site", "text"], ["now", "Now", "number"], ["blocks", "Blocks", "number wide"], ["change", "Change", "number"], ["rate", "Rate", "number wide"],
  ["share", "Of all", "number wide"], ["spark", "Over time", "wide"], ["shape", "Kind", "text wide"],
];

export class Sites {
  constructor(state) {
    this.state = state;
    this.sort = "now";
    this.down = true;
    this.filter = "";
    this.open = -1;
    this.active = 0;
    this.head = el("thead");
    this.body = el("tbody");
    this.table = el("table", { class: "sites", "aria-label": "Sites" }, this.head, this.body);
    this.scroller = el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Table of sites: up and down go from row to row, Enter opens one",
      onscroll: () => this._paint(), onkeydown: (event) => this._key(event), onfocus: () => this._paint(), onblur: () => this._paint() }, this.table);
    this.count = el("span", { class: "muted", role: "status", id: "sites-count" });
    this.input = el("input", { type: "search", id: "filter", placeholder: "function, file or module, or /expression/", oninput: (event) => this._filter(event.target.value) });
    this.node = section("sites", "Sites", el("div", { class: "controls" }, el("label", { class: "field" }, el("span", {}, "Filter"), this.input), this.count), this.scroller);
    this._filter = soon((text) => { this.filter = text; this.open = -1; this._select(); }, 30);
    new ResizeObserver(() => { this.detail = null; this._paint(true); }).observe(this.scroller);
    const again = soon(() => this.compute(), 0);
    state.onchange((what) => { if (["set", "to", "from", "metric"].some((name) => what.has(name))) { if (what.has("set")) this.open = -1; again(); } });
    this.compute();
  }

  /** The figures of every site, at what is looked at. */
  compute() {
    const { state } = this;
    const { set, metric, to, from } = state;
    const first = set.moments > 1 && to > 0 ? 0 : to;
    const now = set.sitesAt(metric, to);
    const isOwn = !from || from.set === set;
    const then = isOwn ? set.sitesAt(metric, from ? from.k : first) : elsewhere(set, from, metric);
    const blocks = set.metrics.includes("live_blocks") ? set.sitesAt("live_blocks", to) : null;
    const span = isOwn ? set.timeOf(to) - set.timeOf(from ? from.k : first) : 0;
    this.compared = set.moments > 1 || Boolean(from);
    this.total = now.reduce((sum, value) => sum + value, 0);
    this.rows = [];
    for (let site = 0; site < now.length; site++) {
      if (!now[site] && !then[site]) continue;
      const change = now[site] - then[site];
      this.rows.push({ site, now: now[site], blocks: blocks ? blocks[site] : 0, change, rate: span > 0 ? change / span : 0, share: now[site] / (this.total || 1) });
    }
    this.hasBlocks = Boolean(blocks);
    this._select();
  }

  /** The rows that the filter leaves, in order. */
  _select() {
    const { set } = this.state;
    const test = pattern(this.filter);
    markInvalid(this.input, this.filter);
    const known = new Map();
    const fits = (id) => {
      if (!known.has(id)) known.set(id, Boolean(id) && test(set.frames.text(id)));
      return known.get(id);
    };
    const { function: name, file, module, line } = set.sites;
    const kept = test ? this.rows.filter(({ site }) => fits(name[site]) || fits(file[site]) || fits(module[site]) || (line[site] && test(`${set.siteFile(site)}:${line[site]}`))) : this.rows.slice();
    const sign = this.down ? -1 : 1;
    if (this.sort === "place") {
      kept.sort((a, b) => sign * set.siteName(a.site).localeCompare(set.siteName(b.site)));
    } else if (this.sort === "shape") {
      kept.sort((a, b) => sign * set.siteShape(a.site).localeCompare(set.siteShape(b.site)) || b.now - a.now);
    } else {
      const by = this.sort === "spark" ? "change" : this.sort;
      kept.sort((a, b) => sign * (a[by] - b[by]) || b.now - a.now);
    }
    this.shown = kept;
    this.active = Math.max(0, Math.min(this.active, kept.length - 1));
    this.count.textContent = kept.length === this.rows.length ? plural(kept.length, "site") : `${plural(kept.length, "site")} of ${this.rows.length.toLocaleString("en")}`;
    this.table.setAttribute("aria-rowcount", String(kept.length + 1));
    this._heads();
    this._paint(true);
  }

  _heads() {
    const { state } = this;
    const titles = { now: capital(metricName(state.set, state.metric)), rate: state.set.unit === "s" ? "Per second" : `Per ${state.set.unit}`, change: state.from ? "Change" : "Since start" };
    replace(this.head, el("tr", {}, this._columns().map(([key, title, kind]) => el("th", { class: kind, scope: "col", "aria-sort": key === this.sort ? (this.down ? "descending" : "ascending") : null },
      el("button", { "data-sort": key, onclick: () => this.sortBy(key) }, titles[key] || title, el("span", { "aria-hidden": "true" }, key === this.sort ? (this.down ? " ▾" : " ▴") : ""))))));
  }

  _columns() {
    const without = new Set([...(this.compared ? [] : ["change", "rate", "spark"]), ...(this.hasBlocks && !counts(this.state.metric) ? [] : ["blocks"]), ...(this.state.set.moments > 1 ? [] : ["spark"])]);
    return COLUMNS.filter(([key]) => !without.has(key));
  }

  /** A narrow screen hides some; a cell that spans more than there are would squeeze the others. */
  _shownColumns() { return [...this.head.querySelectorAll("th")].filter((cell) => cell.offsetWidth).length; }

  sortBy(key) {
    const focused = document.activeElement && document.activeElement.dataset.sort === key;
    this.down = this.sort === key ? !this.down : key !== "place";
    this.sort = key;
    this.open = -1;
    this.scroller.scrollTop = 0;
    this._select();
    if (focused) this.head.querySelector(`[data-sort="${key}"]`).focus();
  }

  // ---- what is on the screen

  _paint(anew = false) {
    if (!this.shown) return;
    const height = this.scroller.clientHeight || 400;
    const opened = this.open >= 0 ? this.shown.findIndex(({ site }) => site === this.open) : -1;
    const extra = opened >= 0 ? this.openHeight || 0 : 0;
    const top = this.scroller.scrollTop;
    const above = opened >= 0 && top > (opened + 1) * ROW ? Math.min(extra, top - (opened + 1) * ROW) : 0;
    const first = Math.max(0, Math.floor((top - above) / ROW) - AHEAD);
    const last = Math.min(this.shown.length, Math.ceil((top + height) / ROW) + AHEAD);
    const key = `${first} ${last} ${opened} ${this.active} ${document.activeElement === this.scroller}`;
    if (!anew && key === this.painted) return;
    this.painted = key;
    const rows = [];
    for (let at = first; at < last; at++) {
      rows.push(this._row(this.shown[at], at));
      if (at === opened) rows.push((this.detail ||= this._detail(this.shown[at])));
    }
    const before = first * ROW + (opened >= 0 && opened < first ? extra : 0);
    const after = (this.shown.length - last) * ROW + (opened >= last ? extra : 0);
    replace(this.body, spacer(before), rows, spacer(after));
    if (opened >= first && opened < last && this.detail) this.openHeight = this.detail.offsetHeight;
  }

  _row(row, at) {
    const { set, metric } = this.state;
    const blocks = counts(metric);
    const { site } = row;
    const isActive = at === this.active && document.activeElement === this.scroller;
    const name = set.siteName(site);
    const where = place(set.siteFile(site), set.sites.line[site], set.siteModule(site));
    const cells = {
      place: () => el("td", { class: "place", title: `${name} ${set.siteFile(site) || set.siteModule(site)}` },
        el("button", { class: "row-opener", tabindex: "-1", "aria-expanded": String(this.open === site), onclick: () => this.toggle(site, at) }, this.open === site ? "▾ " : "▸ ", el("b", {}, name)), " ", el("span", { class: "muted" }, where)),
      now: () => el("td", { class: "number" }, amount(row.now, blocks)),
      blocks: () => el("td", { class: "number wide" }, amount(row.blocks, true)),
      change: () => el("td", { class: row.change > 0 ? "number up" : "number" }, signed(row.change, blocks)),
      rate: () => el("td", { class: "number wide" }, row.rate ? rate(row.rate, set.unit, blocks) : ""),
      share: () => el("td", { class: "number wide" }, percent(row.now, this.total)),
      spark: () => el("td", { class: "wide" }, this._spark(site)),
      shape: () => el("td", { class: "wide" }, set.siteShape(site)),
    };
    return el("tr", { class: isActive ? "active" : null, "aria-rowindex": String(at + 2) }, this._columns().map(([key]) => cells[key]()));
  }

  _spark(site) {
    const { set, metric } = this.state;
    const every = Math.max(1, Math.ceil(set.moments / SPARK_POINTS));
    const values = [];
    for (let k = (set.moments - 1) % every; k < set.moments; k += every) values.push([set.timeOf(k), set.sitesAt(metric, k)[site]]);
    const most = Math.max(...values.map(([, value]) => value), 1);
    const [start, end] = [values[0][0], values[values.length - 1][0]];
    const points = values.map(([time, value]) => `${((96 * (time - start)) / (end - start || 1)).toFixed(1)},${(20 - (18 * value) / most).toFixed(1)}`);
    return svg("svg", { class: "spark", viewBox: "0 0 96 22", width: 96, height: 22, role: "img", "aria-label": `from ${amount(values[0][1], counts(metric))} to ${amount(values[values.length - 1][1], counts(metric))}` }, svg("polyline", { points: points.join(" ") }));
  }

  toggle(site, at) {
    this.open = this.open === site ? -1 : site;
    this.active = at;
    this.detail = null;
    this.openHeight = 0;
    this._paint(true);
    this._paint(true); // now that the height of what was opened is known
  }

  _detail({ site }) {
    const { state } = this;
    const { set, metric } = state;
    const now = state.now();
    const stacks = [];
    for (let i = 0; i < set.count; i++) if (set.siteOf[i] === site) stacks.push(i);
    stacks.sort((a, b) => now[b] - now[a]);
    const parts = stacks.slice(0, STACKS).map((i) => el("li", {}, el("b", { class: "number" }, amount(now[i], counts(metric))), stackList(set.frames, set.frames.stack(set.nodes[i]))));
    const more = stacks.length > STACKS ? el("p", { class: "muted" }, `and ${plural(stacks.length - STACKS, "more stack")}; the flame graph has all of them`) : null;
    const file = set.siteFile(site);
    const facts = [file || set.siteModule(site), set.sites.slope[site] !== null && set.unit === "s" && set.sites.slope[site] ? `grows by ${rate(set.sites.slope[site], "s")} as judged over the run` : "",
      set.moments ? `at ${moment(set.timeOf(state.to), set.unit)}` : ""].filter(Boolean).join(" · ");
    return el("tr", { class: "detail" }, el("td", { colspan: this._shownColumns() }, el("p", { class: "muted" }, facts), excerpt(state.page.data.source, file, set.sites.line[site]), el("ol", { class: "stacks" }, parts), more));
  }

  _key(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.shown.length, End: this.shown.length };
    if (event.target !== this.scroller) return;
    if (event.key === "Enter" || event.key === " ") {
      if (this.shown[this.active]) this.toggle(this.shown[this.active].site, this.active);
    } else if (event.key in moves) {
      this.active = Math.max(0, Math.min(this.shown.length - 1, this.active + moves[event.key]));
      const top = this.active * ROW;
      if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
      else if (top + 3 * ROW > this.scroller.scrollTop + this.scroller.clientHeight) this.scroller.scrollTop = top + 3 * ROW - this.scroller.clientHeight;
      this._paint(true);
    } else return;
    event.preventDefault();
  }
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function spacer(height) {
  if (height <= 0) return null;
  const row = el("tr", { class: "spacer", "aria-hidden": "true" }, el("td"));
  row.firstChild.style.height = `${height}px`;
  return row;
}

/** What another process or run has at these sites, matched by function and file name. */
function elsewhere(set, from, metric) {
  const other = from.set;
  const key = (of, site) => `${of.siteName(site)}\n${place(of.siteFile(site), 0, of.siteModule(site))}`;
  const sums = new Map();
  other.sitesAt(metric, from.k).forEach((value, site) => sums.set(key(other, site), (sums.get(key(other, site)) || 0) + value));
  const found = new Float64Array(set.sites.function.length);
  const given = new Set();
  for (let site = 0; site < found.length; site++) {
    const wanted = key(set, site);
    if (!given.has(wanted)) found[site] = sums.get(wanted) || 0;
    given.add(wanted);
  }
  return found;
}
