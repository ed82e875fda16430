// Elements, made without markup: every text is set as a text, whatever is in it.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

/** An element with attributes (on... are listeners) and children: elements, texts, lists of them; null and false are left out. */
export const el = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

export const replace = (node, ...children) => node.replaceChildren(...children.flat(Infinity).filter(Boolean));

/** A section with a heading that can be linked to. */
export function section(id, title, ...children) {
  return el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), ...children);
}

/** A drop-down list: `options` are [value, text]. */
export function choice(label, options, value, onchange) {
  const select = el("select", { onchange: (event) => onchange(event.target.value) },
    options.map(([key, text]) => el("option", { value: key, selected: String(key) === String(value) }, text)));
  return el("label", { class: "field" }, el("span", {}, label), select);
}

export function check(label, checked, onchange) {
  return el("label", { class: "tick" }, el("input", { type: "checkbox", checked, onchange: (event) => onchange(event.target.checked) }), label);
}

/** Calls `work` once, a moment after the last of many calls. */
export function soon(work, milliseconds = 60) {
  let timer = 0;
  return (...words) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...words), milliseconds);
  };
}
