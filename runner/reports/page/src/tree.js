// All stacks as one tree of boxes: frames that are hidden are left out, those of one function (or line) below one caller are one.

export class Tree {
  /** `parts` are { set, amounts, isBase }; `keys` and `hidden` are by frame. */
  constructor(frames, parts, keys, hidden) {
    this.frames = frames;
    this.keys = keys;
    this._merge(parts, hidden);
    this._add(parts);
    this._order();
  }

  _merge(parts, hidden) {
    const { frames, keys } = this;
    const used = new Uint8Array(frames.parent.length);
    for (const { set, amounts } of parts) {
      for (let i = 0; i < set.count; i++) {
        if (!amounts[i]) continue;
        for (let node = set.nodes[i]; node && !used[node]; node = frames.parent[node]) used[node] = 1;
      }
    }
    const merged = new Int32Array(frames.parent.length);
    const known = new Map();
    const parent = [0];
    const frame = [-1];
    for (let node = 1; node < merged.length; node++) {
      if (!used[node]) continue;
      const above = merged[frames.parent[node]];
      if (hidden[frames.node[node]]) {
        merged[node] = above;
        continue;
      }
      const key = above * keys.count + keys.of[frames.node[node]];
      let box = known.get(key);
      if (box === undefined) {
        known.set(key, (box = parent.length));
        parent.push(above);
        frame.push(frames.node[node]);
      }
      merged[node] = box;
    }
    this.merged = merged;
    this.parent = Int32Array.from(parent);
    this.frame = Int32Array.from(frame);
    this.count = parent.length;
  }

  _add(parts) {
    this.self = new Float64Array(this.count);
    this.selfBase = new Float64Array(this.count);
    for (const { set, amounts, isBase } of parts) {
      const sums = isBase ? this.selfBase : this.self;
      for (let i = 0; i < set.count; i++) sums[this.merged[set.nodes[i]]] += amounts[i];
    }
    this.total = this.self.slice();
    this.base = this.selfBase.slice();
    for (let box = this.count - 1; box > 0; box--) {
      this.total[this.parent[box]] += this.total[box];
      this.base[this.parent[box]] += this.base[box];
    }
  }

  /** Children of a box lie in `child` from start[box] to start[box + 1], the largest first; x is where a box begins, in amounts. */
  _order() {
    const { count, parent, total, base } = this;
    this.depth = new Uint16Array(count);
    this.start = new Int32Array(count + 2);
    for (let box = 1; box < count; box++) this.start[parent[box] + 2] += 1;
    for (let box = 2; box < count + 2; box++) this.start[box] += this.start[box - 1];
    this.child = new Int32Array(Math.max(0, count - 1));
    for (let box = 1; box < count; box++) this.child[this.start[parent[box] + 1]++] = box;
    this.x = new Float64Array(count);
    for (let box = 0; box < count; box++) {
      const children = this.children(box);
      if (children.length > 1) children.sort((a, b) => total[b] - total[a] || base[b] - base[a]);
      let x = this.x[box];
      for (const child of children) {
        this.x[child] = x;
        x += total[child];
        this.depth[child] = this.depth[box] + 1;
      }
    }
  }

  children(box) { return this.child.subarray(this.start[box], this.start[box + 1]); }
  name(box) { return box ? this.frames.nameOf(this.frame[box]) : "all"; }

  /** The names from the outermost caller to this box. */
  path(box) {
    const names = [];
    for (let at = box; at; at = this.parent[at]) names.unshift(this.name(at));
    return names;
  }

  /** The outermost boxes that are nothing now and were something before, the largest first. */
  vanished() {
    const found = [];
    for (let box = 1; box < this.count; box++) {
      const above = this.parent[box];
      if (!this.total[box] && this.base[box] && (this.total[above] || above === 0)) found.push(box);
    }
    return found.sort((a, b) => this.base[b] - this.base[a]);
  }
}

export function treeOf(state) {
  const { frames } = state.page;
  const parts = [{ set: state.set, amounts: state.now(), isBase: false }];
  const then = state.then();
  if (then) parts.push({ set: state.from.set, amounts: then, isBase: true });
  return new Tree(frames, parts, frames.keys(state.lines), state.hidden());
}
