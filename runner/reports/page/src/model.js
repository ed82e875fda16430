// The page's data as it is worked with: columns decoded, amounts by moment, sites, what is hidden and what is searched for.

const MACHINERY = 2;
const HIDDEN = 4;
const INLINED = 8;

const summed = (steps) => {
  const out = new Int32Array(steps.length);
  let at = 0;
  for (let i = 0; i < steps.length; i++) out[i] = at += steps[i];
  return out;
};

/** A pattern as people type it: a plain text, or /a regular expression/. null where there is none, or it is no expression yet. */
export function pattern(text) {
  if (!text) return null;
  const expression = /^\/(.+?)\/?$/.exec(text);
  if (!expression) {
    const wanted = text.toLowerCase();
    return (name) => name.toLowerCase().includes(wanted);
  }
  try {
    const found = new RegExp(expression[1].replace(/^\(\?i\)/, ""), "i"); // Python's way to say that case does not matter
    return (name) => found.test(name);
  } catch {
    return null;
  }
}

/** An expression that is none finds nothing, and is marked. */
export const markInvalid = (input, text) => input.toggleAttribute("aria-invalid", Boolean(text) && !pattern(text));

export class Frames {
  constructor(data) {
    const { name, signature, file, line, module, kind } = data.frames;
    Object.assign(this, { strings: data.strings, name, signature, file, line, module, kind, count: name.length });
    this.parent = Int32Array.from(data.nodes.up, (up, node) => node - up);
    this.node = Int32Array.from(data.nodes.frame);
    this._keys = {};
  }

  text(id) { return this.strings[id]; }
  nameOf(frame) { return this.strings[this.name[frame]]; }
  fullName(frame) { return this.strings[this.signature[frame] || this.name[frame]]; }
  fileOf(frame) { return this.strings[this.file[frame]]; }
  moduleOf(frame) { return this.strings[this.module[frame]]; }
  role(frame) { return this.kind[frame] % INLINED; }
  isInlined(frame) { return this.kind[frame] >= INLINED; }
  isMachinery(frame) { return this.role(frame) === MACHINERY; }
  isListed(frame) { return this.role(frame) !== HIDDEN; }

  /** By frame, the number of what is one box: a function, or a line of it. `first` is a frame of each. */
  keys(lines) {
    if (this._keys[lines]) return this._keys[lines];
    const known = new Map();
    const of = new Int32Array(this.count);
    const first = [];
    for (let frame = 0; frame < this.count; frame++) {
      const key = lines ? `${this.name[frame]} ${this.file[frame]} ${this.line[frame]}` : this.name[frame];
      let number = known.get(key);
      if (number === undefined) {
        known.set(key, (number = first.length));
        first.push(frame);
      }
      of[frame] = number;
    }
    return (this._keys[lines] = { of, first, count: first.length });
  }

  /** By frame, 1 where the name, the file:line or the module is what `test` looks for. */
  matching(test) {
    const found = new Uint8Array(this.count);
    if (!test) return found;
    const known = new Map();
    const says = (id) => {
      if (!id) return false;
      if (!known.has(id)) known.set(id, test(this.strings[id]));
      return known.get(id);
    };
    for (let frame = 0; frame < this.count; frame++) {
      found[frame] = says(this.name[frame]) || says(this.signature[frame]) || says(this.module[frame]) || says(this.file[frame]) ||
        (this.line[frame] && test(`${this.strings[this.file[frame]]}:${this.line[frame]}`)) ? 1 : 0;
    }
    return found;
  }

  /** The frames of a node's stack, innermost first. */
  stack(node) {
    const found = [];
    for (let at = node; at !== 0; at = this.parent[at]) found.push(this.node[at]);
    return found;
  }
}

/** One process of one run: its snapshots, or what was in use when it ended. */
export class Dataset {
  constructor(data, run, runNumber, frames, several) {
    Object.assign(this, data);
    Object.assign(this, { run, runNumber, frames });
    this.nodes = summed(data.stacks.nodes);
    this.siteOf = data.stacks.site;
    this.count = this.nodes.length;
    this.moments = data.stacked.length;
    this._rows = {};
    this._sites = {};
    const known = (run.answer.run.processes || []).find((each) => each.pid === this.pid);
    const program = known && known.command[0] ? ` (${known.command[0].slice(known.command[0].lastIndexOf("/") + 1)})` : "";
    this.label = [
      several ? run.name : "",
      this.pid === null ? this.tool : `process ${this.pid}${program}`,
      this.kind === "losses" ? "in use when it ended" : `${this.number.length} snapshots`,
    ].filter(Boolean).join(" · ");
    const process = ((run.facts && run.facts.processes) || []).find((each) => each.pid === this.pid);
    this.started = process ? process.started : 0;
  }

  get hasSites() { return this.moments > 0 && this.metrics.length > 0; }
  timeOf(k) { return this.time[this.stacked[k]]; }
  numberOf(k) { return this.number[this.stacked[k]]; }

  /** The last moment before what the program had was freed at its end: that says more than what was left after it. */
  get opening() {
    let k = Math.max(0, this.moments - 1);
    while (k > 0 && this.numberOf(k) > this.last) k -= 1;
    return k;
  }

  /** Amounts by stack at the k-th moment that has stacks. */
  at(metric, k) {
    const rows = (this._rows[metric] ||= []);
    for (let j = rows.length; j <= k; j++) {
      const row = j ? rows[j - 1].slice() : new Float64Array(this.count);
      const [steps, by] = this.changes[j][metric] || [[], []];
      for (let i = 0, place = 0; i < steps.length; i++) row[(place += steps[i])] += by[i];
      rows.push(row);
    }
    return rows[k];
  }

  /** Amounts by site at that moment. */
  sitesAt(metric, k) {
    const known = (this._sites[metric] ||= []);
    if (!known[k]) {
      const row = new Float64Array(this.sites.function.length);
      const amounts = this.at(metric, k);
      for (let i = 0; i < amounts.length; i++) row[this.siteOf[i]] += amounts[i];
      known[k] = row;
    }
    return known[k];
  }

  siteName(site) { return this.frames.text(this.sites.function[site]); }
  siteFile(site) { return this.frames.text(this.sites.file[site]); }
  siteModule(site) { return this.frames.text(this.sites.module[site]); }
  siteShape(site) { return this.frames.text(this.sites.shape[site]); }

  /** The moment with stacks that is nearest to a time; `least` and `most` bound it. */
  nearest(time, least = -Infinity, most = Infinity) {
    let best = -1;
    for (let k = 0; k < this.moments; k++) {
      const t = this.timeOf(k);
      if (t < least || t > most) continue;
      if (best < 0 || Math.abs(t - time) < Math.abs(this.timeOf(best) - time)) best = k;
    }
    return best;
  }
}

export function load(text) {
  const data = JSON.parse(text);
  const frames = new Frames(data);
  const several = data.runs.length > 1;
  const sets = data.runs.flatMap((run, number) => run.datasets.map((each) => new Dataset(each, run, number, frames, several)));
  return { data, frames, sets, several };
}

const METRIC_NAMES = {
  live_bytes: "live bytes",
  live_blocks: "live blocks",
  allocated_bytes: "bytes allocated so far",
  allocated_blocks: "blocks allocated so far",
};

/** What a metric is called; what memcheck lists is what was in use when the program ended. */
export function metricName(set, metric) {
  return set.kind === "losses" ? `${counts(metric) ? "blocks" : "bytes"} in use at the end` : METRIC_NAMES[metric] || metric;
}

export const counts = (metric) => metric.endsWith("blocks");
