// What is looked at: one place that all parts of the page read, and are told of when it changes.

import { pattern } from "./model.js";

export class State {
  constructor(page) {
    const chosen = page.data.chosen;
    this.page = page;
    this.set = firstSet(page.sets, chosen);
    this.metric = "live_bytes";
    this.lines = Boolean(chosen.lines);
    this.search = chosen.search ? `/${chosen.search}/` : "";
    this.hide = chosen.hide ? `/${chosen.hide}/` : "";
    this.machinery = true; // hidden
    this.to = 0;
    this.from = null; // { set, k }: what is subtracted
    this._heard = [];
    if (this.set) {
      if (this.set.metrics.includes(chosen.sample)) this.metric = chosen.sample;
      this.to = this._numbered(chosen.to) ?? this.set.opening;
      const from = this._numbered(chosen.from);
      if (from !== null && from !== this.to) this.from = { set: this.set, k: from };
    }
  }

  _numbered(number) {
    if (number === undefined || number === null || !this.set.moments) return null;
    const all = this.set.stacked.map((at) => this.set.number[at]);
    const last = this.set.number[this.set.number.length - 1];
    const wanted = number < 0 ? last + 1 + number : number;
    let best = 0;
    for (let k = 1; k < all.length; k++) if (Math.abs(all[k] - wanted) < Math.abs(all[best] - wanted)) best = k;
    return best;
  }

  onchange(listener) { this._heard.push(listener); }

  /** Change some of it; the parts are told which. */
  put(changes) {
    const changed = Object.keys(changes).filter((name) => this[name] !== changes[name]);
    if (!changed.length) return;
    Object.assign(this, changes);
    const what = new Set(changed);
    for (const listener of this._heard) listener(what);
  }

  choose(set) {
    const metric = set.metrics.includes(this.metric) ? this.metric : set.metrics[0] || "live_bytes";
    this.put({ set, to: set.opening, from: null, metric });
  }

  /** Two moments of this process; the earlier is subtracted. */
  range(a, b) {
    if (a === b) this.put({ to: b, from: null });
    else this.put({ from: { set: this.set, k: Math.min(a, b) }, to: Math.max(a, b) });
  }

  /** A snapshot was clicked: the first one is looked at, the second one makes a difference of the two. */
  click(k) {
    if (this._single && this.from === null && k !== this.to) {
      this._single = false;
      this.range(this.to, k);
    } else {
      this._single = true;
      this.put({ to: k, from: null });
    }
  }

  step(by) {
    const to = this.to + by;
    if (to >= 0 && to < this.set.moments) this.put({ to });
  }

  stepFrom(by) {
    const at = this.from && this.from.set === this.set ? this.from.k : by > 0 ? -1 : this.to;
    const k = at + by;
    if (k >= 0 && k < this.set.moments && k !== this.to) this.put({ from: { set: this.set, k } });
  }

  /** Amounts by stack that are looked at, and those that are subtracted (null: nothing). */
  now() { return this.set.at(this.metric, this.to); }
  then() {
    if (!this.from) return null;
    return this.from.set.metrics.includes(this.metric) ? this.from.set.at(this.metric, this.from.k) : null;
  }

  /** By frame, 1 for what is left out of stacks. */
  hidden() {
    const { frames } = this.page;
    const key = `${this.machinery} ${this.hide}`;
    if (this._hiddenOf !== key) {
      this._hidden = frames.matching(pattern(this.hide));
      if (this.machinery) for (let i = 0; i < frames.count; i++) if (frames.isMachinery(i)) this._hidden[i] = 1;
      this._hiddenOf = key;
    }
    return this._hidden;
  }
}

function firstSet(sets, chosen) {
  const usable = sets.filter((set) => set.hasSites);
  const ofRun = usable.filter((set) => set.runNumber === chosen.run);
  return ofRun.find((set) => set.pid === chosen.pid) || ofRun[0] || usable[0] || sets[0] || null;
}
