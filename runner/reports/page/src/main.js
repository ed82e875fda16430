// Puts the page together.

import { Calls } from "./calls.js";
import { comparison } from "./compare.js";
import { choice, el, replace } from "./dom.js";
import { errors, facts, limits } from "./facts.js";
import { Flame } from "./flame.js";
import { moment } from "./format.js";
import { load } from "./model.js";
import { Sites } from "./sites.js";
import { State } from "./state.js";
import { Timeline } from "./timeline.js";
import { verdict } from "./verdict.js";

const KEYS = [
  ["/", "search the flame graph"], ["[ and ]", "the snapshot before, the one after"], ["{ and }", "the same for the one that is subtracted"], ["x", "subtract nothing"], ["b", "bytes or blocks"],
  ["1 to 9", "go to a part of the page"], ["?", "these keys"], ["in the flame graph", "arrows, Enter, Backspace, Escape"], ["in the tables", "arrows, Enter"],
];

function start() {
  const page = load(document.getElementById("data").textContent);
  const state = new State(page);
  const parts = page.data.runs.map((run, number) => verdict(run, page, number));
  if (page.several) parts.push(comparison(page));
  const views = state.set && state.set.hasSites ? chartParts(state) : null;
  if (views) parts.push(picker(state), views.timeline.node, views.flame.node, views.sites.node, views.calls.node);
  else if (state.set) parts.push(...onlyTotals(state));
  else parts.push(el("section", {}, el("p", {}, "No stacks were recorded, so there is no timeline, flame graph or table of sites.")));
  parts.push(errors(page), limits(page), facts(page));
  const shown = parts.filter(Boolean);
  const help = helpBox();
  replace(document.getElementById("page"), el("a", { class: "skip", href: "#flame" }, "to the flame graph"), top(shown, help), el("main", {}, shown), footer(page), help);
  if (views) {
    views.timeline.reset();
    views.flame.draw();
  }
  keyboard(state, views, shown, help);
  window.leakrun = { state, page, ...views };
}

function chartParts(state) {
  return { timeline: new Timeline(state), flame: new Flame(state), sites: new Sites(state), calls: new Calls(state) };
}

function onlyTotals(state) {
  const timeline = new Timeline(state);
  requestAnimationFrame(() => timeline.reset());
  return [timeline.node];
}

function top(parts, help) {
  const links = parts.filter((part) => part.id && part.querySelector("h2")).map((part, number) => el("a", { href: `#${part.id}`, "aria-keyshortcuts": number < 9 ? String(number + 1) : null }, short(part)));
  return el("header", { class: "top" }, el("nav", { "aria-label": "Parts" }, links), el("button", { class: "chip", onclick: () => help.showModal(), "aria-keyshortcuts": "?" }, "keys"));
}

const short = (part) => part.dataset.short || (part.id.startsWith("verdict") ? (part.id === "verdict" ? "Verdict" : part.querySelector("h2").textContent) : part.querySelector("h2").textContent);

/** Which process, which snapshot, and which one is subtracted. */
function picker(state) {
  const node = el("section", { class: "picker", "aria-label": "What is shown" });
  const momentText = (set, k) => `${set.numberOf(k)}: ${moment(set.timeOf(k), set.unit)}${set.peak.includes(set.stacked[k]) ? ", peak" : ""}`;
  const build = () => {
    const { sets } = state.page;
    const usable = sets.filter((set) => set.hasSites);
    const { set } = state;
    const moments = Array.from({ length: set.moments }, (_, k) => [k, momentText(set, k)]);
    const bases = [["", "nothing"], ...usable.flatMap((other) => Array.from({ length: other.moments }, (_, k) => [`${sets.indexOf(other)} ${k}`, other === set ? momentText(other, k) : `${other.label}: ${momentText(other, k)}`])
      .filter(([key]) => key !== `${sets.indexOf(set)} ${state.to}`).slice(other === set ? 0 : -1))];
    const chosen = state.from ? `${sets.indexOf(state.from.set)} ${state.from.k}` : "";
    if (chosen && !bases.some(([key]) => key === chosen)) bases.push([chosen, `${state.from.set.label}: ${momentText(state.from.set, state.from.k)}`]);
    replace(node,
      usable.length > 1 ? choice("Of", usable.map((each) => [sets.indexOf(each), each.label]), sets.indexOf(set), (at) => state.choose(sets[Number(at)])) : null,
      moments.length > 1 ? choice("Snapshot", moments, state.to, (k) => state.put({ to: Number(k) })) : null,
      bases.length > 1 ? choice("Subtract", bases, chosen, (key) => {
        const [at, k] = key.split(" ").map(Number);
        state.put({ from: key ? { set: sets[at], k } : null });
      }) : null);
    node.hidden = !node.childElementCount;
  };
  build();
  state.onchange((what) => {
    if (!["set", "to", "from"].some((name) => what.has(name))) return;
    const place = [...node.querySelectorAll("select")].indexOf(document.activeElement);
    build();
    if (place >= 0) node.querySelectorAll("select")[place]?.focus();
  });
  return node;
}

function helpBox() {
  const box = el("dialog", { "aria-label": "Keys" }, el("h2", {}, "Keys"), el("dl", {}, KEYS.map(([key, text]) => [el("dt", {}, key), el("dd", {}, text)])), el("button", { class: "chip", onclick: () => box.close() }, "close"));
  return box;
}

function footer(page) {
  return el("footer", {}, el("p", {}, `Written by leakrun ${page.data.leakrun}. This file is all there is: it fetches nothing, and sends nothing.`),
    el("details", {}, el("summary", {}, "licences of what is in it"), el("pre", {}, page.data.licences)));
}

function keyboard(state, views, parts, help) {
  const linked = parts.filter((part) => part.id);
  const keys = {
    "/": () => views && focusOn(views.flame.search), "[": () => state.set && state.step(-1), "]": () => state.set && state.step(1), "{": () => state.set && state.stepFrom(-1), "}": () => state.set && state.stepFrom(1),
    x: () => state.set && state.put({ from: null }), b: () => state.set && otherCount(state), "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const part = /^[1-9]$/.test(event.key) ? linked[Number(event.key) - 1] : null;
    if (part) goTo(part);
    else if (Object.hasOwn(keys, event.key)) keys[event.key]();
    else return;
    event.preventDefault();
  });
}

function goTo(part) {
  part.scrollIntoView();
  const heading = part.querySelector("h2");
  if (heading) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}

function focusOn(input) {
  input.scrollIntoView({ block: "center" });
  input.focus();
  input.select();
}

function otherCount(state) {
  const other = state.metric.endsWith("bytes") ? state.metric.replace("bytes", "blocks") : state.metric.replace("blocks", "bytes");
  if (state.set.metrics.includes(other)) state.put({ metric: other });
}

start();
