// What somebody who reads for ten seconds should know: the verdict and the three top findings, with their source.

import { el, section } from "./dom.js";
import { command, percent, place, plural, rate, seconds, size } from "./format.js";
import { answerStack, excerpt } from "./source.js";

const TOP = 3;
const LABELS = { lost: "lost", growing: "growing", "mapping-growth": "growing mapping", "stack-growth": "growing stack", suspect: "suspect" };

function ended(run) {
  const exit = run.exit || {};
  const parts = [];
  if (run.backend) parts.push(run.tool_version ? `${run.backend} ${run.tool_version}` : run.backend);
  if (run.seconds !== null && run.seconds !== undefined) parts.push(seconds(run.seconds));
  if (run.snapshots) parts.push(plural(run.snapshots, "snapshot"));
  if (run.started_at) parts.push(run.started_at.replace("T", " ").replace("Z", " UTC"));
  if (exit.signal) parts.push(`ended by ${exit.signal}`);
  else if (exit.code) parts.push(`exit code ${exit.code}`);
  return parts.join(" · ");
}

function findingCard(finding, page) {
  const blocks = finding.blocks ? ` in ${plural(finding.blocks, "block")}` : "";
  const pace = finding.bytes_per_second ? `, ${rate(finding.bytes_per_second, "s")}` : "";
  const verb = finding.kind === "lost" ? "lost" : finding.kind === "suspect" ? "perhaps lost" : "grown";
  const trust = `${percent(finding.share, 1)} of all; confidence ${Math.round(100 * finding.confidence)} %`;
  const source = [excerpt(page.data.source, finding.file, finding.line), callerExcerpt(finding, page)].find(Boolean);
  return el("li", { class: "finding" },
    el("h3", {}, el("span", { class: `kind ${finding.kind}` }, LABELS[finding.kind] || finding.kind), " ", el("span", { class: "fn" }, finding.function || "an unnamed function"), " ",
      el("span", { class: "where", title: finding.file || finding.module || "" }, place(finding.file, finding.line, finding.module))),
    el("p", {}, el("b", {}, size(finding.bytes)), ` ${verb}${blocks}${pace} `, el("span", { class: "muted" }, `(${trust})`)),
    source,
    el("details", {}, el("summary", {}, "evidence and stack"), el("ul", { class: "plain" }, finding.evidence.map((text) => el("li", {}, text))), answerStack(finding.stack)));
}

/** Where the blamed line's source is not here, the innermost frame's that is. */
function callerExcerpt(finding, page) {
  for (const frame of finding.stack) {
    const found = excerpt(page.data.source, frame.file, frame.line);
    if (found) return [el("p", { class: "muted" }, `called from ${frame.function || "???"}, ${place(frame.file, frame.line)}`), found];
  }
  return null;
}

export function verdict(run, page, number) {
  const { answer } = run;
  const { findings } = answer;
  const rest = findings.slice(TOP);
  const doubts = answer.doubts.filter((text) => !answer.reasons.includes(text));
  const typed = command(answer.run.command);
  const more = answer.all_findings > findings.length ? el("p", { class: "muted" }, `${answer.all_findings - findings.length} more findings are not in this page: \`leakrun show\` has all.`) : null;
  const node = section(number ? `verdict-${number}` : "verdict", page.several ? run.name : typed || run.name,
    page.several && typed ? el("p", { class: "command" }, typed) : null,
    el("p", { class: "verdict" }, el("strong", { class: `pill ${answer.verdict}` }, answer.verdict), el("span", {}, answer.reasons.join("; ") || "")),
    el("p", { class: "muted" }, [page.several ? "" : run.name, ended(answer.run)].filter(Boolean).join(" · ")),
    findings.length ? el("ol", { class: "findings" }, findings.slice(0, TOP).map((each) => findingCard(each, page))) : null,
    rest.length ? el("details", {}, el("summary", {}, `${plural(rest.length, "more finding")}`), el("ol", { class: "findings", start: TOP + 1 }, rest.map((each) => findingCard(each, page)))) : null,
    more,
    doubts.length ? el("ul", { class: "doubts" }, doubts.map((text) => el("li", {}, text))) : null,
    answer.all_errors ? el("p", {}, el("a", { href: "#errors" }, `${plural(answer.all_errors, "error")} of use`), " besides") : null);
  node.classList.add("verdict-card");
  return node;
}
