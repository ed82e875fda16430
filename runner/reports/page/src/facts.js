// The rest that a person may ask for: errors of use, what bounded the view, processes, environment, tool.

import { el, section } from "./dom.js";
import { command, place, plural, seconds, size } from "./format.js";
import { answerStack, excerpt } from "./source.js";

export function errors(page) {
  const runs = page.data.runs.filter((run) => run.answer.all_errors);
  if (!runs.length) return null;
  return section("errors", "Errors of use", runs.map((run) => [
    page.several ? el("h3", {}, run.name) : null,
    el("ol", { class: "findings" }, run.answer.errors.map((error, number) => errorItem(error, page, number < 3))),
    run.answer.all_errors > run.answer.errors.length ? el("p", { class: "muted" }, `${run.answer.all_errors - run.answer.errors.length} more are not in this page.`) : null,
  ]));
}

function errorItem(error, page, open) {
  const count = error.count > 1 ? ` (${error.count.toLocaleString("en")} times)` : "";
  return el("li", { class: "finding" },
    el("h3", {}, el("span", { class: "kind lost" }, error.kind), " ", el("span", { class: "fn" }, error.function || "an unnamed function"), " ", el("span", { class: "where" }, place(error.file, error.line))),
    el("p", {}, `${error.message}${count}`), excerpt(page.data.source, error.file, error.line),
    el("details", { open: open && error.stack.length < 8 }, el("summary", {}, "stack"), answerStack(error.stack),
      error.auxiliary.map(([text, stack]) => [el("p", {}, text), stack.length ? answerStack(stack) : null])));
}

const rows = (pairs) => el("dl", {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

export function limits(page) {
  const node = section("limits", "What could be seen, and what could not", page.data.runs.map((run, number) => {
    const sets = page.sets.filter((set) => set.runNumber === number);
    const flaws = unique([...run.answer.doubts, ...sets.flatMap((set) => [...set.flaws, ...(set.complete ? [] : ["the tool's output is not complete"])])]);
    const bounds = unique([...sets.flatMap((set) => [...set.limits, ...set.left_out]), ...run.answer.notes.filter((note) => note.kind === "limit").map((note) => note.text)]);
    const notes = run.answer.notes.filter((note) => note.kind !== "limit");
    const left = run.answer.all_notes - run.answer.notes.length;
    return [page.several ? el("h3", {}, run.name) : null, list(flaws, "doubts"), list(bounds, "plain"),
      flaws.length + bounds.length ? null : el("p", {}, sets.length ? "Nothing bounded the tool's view that it or leakrun knows of." : "Nothing was recorded, so nothing could be seen."),
      notes.length ? el("details", { open: notes.length <= 6 }, el("summary", {}, plural(notes.length + Math.max(0, left), "note")), el("ul", { class: "plain" }, notes.map((note) => el("li", {}, note.text)), left > 0 ? el("li", { class: "muted" }, `${left} more are not in this page`) : null)) : null];
  }));
  node.dataset.short = "Limits";
  return node;
}

const unique = (texts) => [...new Set(texts)];
const list = (texts, kind) => (texts.length ? el("ul", { class: kind }, texts.map((text) => el("li", {}, text))) : null);

export function facts(page) {
  return section("facts", page.several ? "The runs" : "The run", page.data.runs.map((run) => [page.several ? el("h3", {}, run.name) : null, runFacts(run)]));
}

function runFacts(run) {
  const { answer, facts: known } = run;
  const about = answer.run;
  const heap = answer.heap_summary;
  const leaks = answer.leak_summary;
  const figures = [
    ["Directory", about.directory], ["Files", (about.files || []).join(", ")], ["Command", command(about.command)], ["Profile", about.profile],
    ["Tool", [about.backend || (about.tools || []).join(", "), about.tool_version].filter(Boolean).join(" ")],
    ["Allocations", heap && heap.allocations !== null ? `${heap.allocations.toLocaleString("en")} (${size(heap.allocated_bytes || 0)}), ${(heap.frees || 0).toLocaleString("en")} frees` : null],
    ...Object.entries(leaks || {}).map(([kind, amount]) => [`In all ${kind}`, `${size(amount.bytes)} in ${plural(amount.blocks, "block")}`]),
  ];
  if (!known) return rows(figures);
  const usage = known.usage || {};
  figures.push(["Run as", command(known.argv)], ["Directory of the program", known.cwd], ["State", known.state], ["Up after", known.ready ? seconds(known.ready) : null],
    ["Processor time", usage.user_seconds !== undefined ? `${seconds(usage.user_seconds)} user, ${seconds(usage.system_seconds)} system` : null], ["Most memory (rss)", usage.max_rss_bytes ? size(usage.max_rss_bytes) : null]);
  const environment = Object.entries(known.environment || {});
  return [rows(figures), processes(known.processes || []), fold(`Environment that was changed for it (${environment.length})`, environment.length, () => rows(environment.map(([name, value]) => [name, value === null ? "(unset)" : value || "(empty)"]))),
    fold(`What happened (${known.all_events})`, known.events.length, () => el("table", {}, el("tbody", {}, known.events.map((event) => el("tr", {}, el("td", { class: "number" }, seconds(event.time)), el("td", {}, event.kind), el("td", {}, event.pid === null ? "" : `process ${event.pid}`), el("td", {}, event.text))))))];
}

const fold = (title, count, content) => (count ? el("details", {}, el("summary", {}, title), el("div", { class: "scroller" }, content())) : null);

function processes(all) {
  const end = (each) => (each.signal ? `signal ${each.signal}` : each.code === null ? "" : `exit code ${each.code}`);
  return fold(`Processes (${all.length})`, all.length, () => el("table", {}, el("thead", {}, el("tr", {}, ["pid", "of", "from", "to", "end", "command"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, all.map((each) => el("tr", {}, el("td", { class: "number" }, String(each.pid)), el("td", { class: "number" }, String(each.parent_pid)), el("td", { class: "number" }, seconds(each.started)),
      el("td", { class: "number" }, each.ended === null ? "" : seconds(each.ended)), el("td", {}, end(each)), el("td", {}, command(each.command)))))));
}
