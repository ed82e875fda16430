// Several runs: where they agree, and what one has and another has not.

import { el, section } from "./dom.js";
import { place, signed, size } from "./format.js";

const SHOWN = 40;

export function comparison(page) {
  const { data, frames } = page;
  const text = (id) => frames.text(id);
  const where = (file, line, module) => place(text(file), line, text(module));
  return section("runs", "The runs together", agreement(data, text, where), data.comparisons.map((each) => difference(each, text, where)));
}

function agreement(data, text, where) {
  const names = data.runs.map((run) => run.name);
  if (!data.agreement.length) return el("p", {}, "None of the runs has a finding.");
  const rows = data.agreement.slice(0, SHOWN).map((each) => {
    const said = each.runs.filter(Boolean).length;
    return el("tr", {}, el("td", { class: "place" }, el("b", {}, text(each.function)), " ", el("span", { class: "muted" }, where(each.file, each.line, each.module))),
      el("td", {}, `${said} of ${names.length}`),
      each.runs.map((one) => el("td", { class: "number" }, one ? `${one.rank}. ${one.kind}, ${size(one.bytes)}` : "–")));
  });
  const all = data.agreement.filter((each) => each.runs.every(Boolean)).length;
  return [el("h3", {}, "Agreement"), el("p", {}, all ? `${all} of ${data.agreement.length} places are named by every run.` : "No place is named by every run. Tools differ in what they can see: memory that still grows is not lost yet."),
    el("div", { class: "scroller" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Place"), el("th", { scope: "col" }, "Named by"), names.map((name) => el("th", { scope: "col", class: "number" }, name)))), el("tbody", {}, rows))),
    data.agreement.length > SHOWN ? el("p", { class: "muted" }, `and ${data.agreement.length - SHOWN} more places`) : null];
}

function difference(each, text, where) {
  const title = el("h3", {}, `From ${each.before} to ${each.after}`);
  if (!each.columns) return [title, el("p", {}, `No difference can be given: ${each.why}`)];
  const columns = each.columns;
  const rows = columns.function.map((_, i) => i).filter((i) => columns.before[i] !== columns.after[i]);
  const shown = (limit) => rows.slice(0, limit).map((i) => el("tr", {},
    el("td", { class: "place" }, el("b", {}, text(columns.function[i])), " ", el("span", { class: "muted" }, where(columns.file[i], columns.line[i], columns.module[i]))),
    el("td", {}, [text(columns.way[i]), text(columns.kind[i])].filter(Boolean).join(", ")), el("td", { class: "number" }, size(columns.before[i])), el("td", { class: "number" }, size(columns.after[i])),
    el("td", { class: columns.after[i] > columns.before[i] ? "number up" : "number" }, signed(columns.after[i] - columns.before[i]))));
  const body = el("tbody", {}, shown(SHOWN));
  const all = rows.length > SHOWN ? el("button", { class: "chip", onclick: (event) => { body.replaceChildren(...shown(rows.length)); event.target.remove(); } }, `all ${rows.length} changes`) : null;
  return [title, el("p", {}, `${size(each.totals[0])} before, ${size(each.totals[1])} after: ${signed(each.totals[1] - each.totals[0])}.`),
    rows.length ? el("div", { class: "scroller" }, el("table", {}, el("thead", {}, el("tr", {}, ["Place", "", "Before", "After", "Change"].map((head, at) => el("th", { scope: "col", class: at > 1 ? "number" : null }, head)))), body)) : el("p", {}, "Every site holds as much in both."),
    all, each.notes.length ? el("ul", { class: "plain muted" }, each.notes.map((note) => el("li", {}, note))) : null];
}
