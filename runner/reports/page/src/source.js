// Source lines and stacks, as every part of the page shows them.

import { el } from "./dom.js";
import { place } from "./format.js";

const FRAMES = 14; // of a stack, before "more" is asked for

/** The lines around one, where the source was found; null elsewhere. */
export function excerpt(sources, file, line) {
  const source = file && Object.hasOwn(sources, file) ? sources[file] : null;
  if (!source || !line || !source.lines[line]) return null;
  const rows = [];
  for (let number = line - 3; number <= line + 3; number++) {
    if (source.lines[number] === undefined) continue;
    rows.push(el("span", { class: number === line ? "at line" : "line" }, el("span", { class: "no", "aria-hidden": "true" }, String(number)), source.lines[number] || " ", "\n"));
  }
  return el("figure", { class: "source" }, el("pre", { tabindex: "0", "aria-label": `source around line ${line}` }, el("code", {}, rows)),
    source.newer ? el("figcaption", { class: "muted" }, "This file was changed after the run: its lines may have moved.") : null);
}

function frameItem(name, inlined, where, title) {
  return el("li", { title }, el("span", { class: "fn" }, name), inlined ? el("span", { class: "muted" }, " (inline)") : null, where ? el("span", { class: "muted" }, ` ${where}`) : null);
}

function folded(items) {
  if (items.length <= FRAMES + 2) return el("ol", { class: "frames" }, items);
  const rest = items.slice(FRAMES);
  return [el("ol", { class: "frames" }, items.slice(0, FRAMES)), el("details", {}, el("summary", {}, `${rest.length} more frames`), el("ol", { class: "frames", start: FRAMES + 1 }, rest))];
}

/** A stack of the page's frames, innermost first. */
export function stackList(frames, stack) {
  return folded(stack.map((frame) => frameItem(frames.nameOf(frame), frames.isInlined(frame), place(frames.fileOf(frame), frames.line[frame], frames.moduleOf(frame)), frames.fullName(frame))));
}

/** A stack of the answer. */
export function answerStack(stack) {
  return folded(stack.map((frame) => frameItem(frame.function || frame.address || "???", frame.inlined, place(frame.file, frame.line, frame.module), frame.signature || "")));
}
