// Figures in words, as leakrun says them on a terminal: powers of 1000.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  if (unit === 0) return `${Math.round(value)} B`;
  return `${Math.abs(value) < 99.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

export const number = (value) => Math.round(value).toLocaleString("en");

export const amount = (value, counts) => (counts ? number(value) : size(value));

export function signed(value, counts) {
  if (value === 0) return "0";
  return `${value > 0 ? "+" : "-"}${amount(Math.abs(value), counts)}`;
}

export function percent(part, whole) {
  if (!whole) return "–";
  const value = (100 * part) / whole;
  return `${value !== 0 && Math.abs(value) < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

export function seconds(value) {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 600) return `${Math.round(value)} s`;
  return value < 36000 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
}

/** A moment, in the unit of its recording. */
export function moment(time, unit) {
  if (unit === "s") return seconds(time);
  if (unit === "snapshot") return `no. ${time}`;
  if (unit === "byte allocated") return `${size(time)} allocated`;
  return `${number(time)} ${unit}s`;
}

export function rate(value, unit, counts) {
  if (unit === "snapshot") return `${signed(value, counts)} each`;
  if (unit === "instruction") return `${signed(value * 1e6, counts)}/M instr.`;
  return unit === "s" ? `${signed(value, counts)}/s` : `${value.toPrecision(3)} per ${unit}`;
}

export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

export const base = (path) => path.slice(path.lastIndexOf("/") + 1);

/** Words as a shell would have them. */
export const command = (words) => (words || []).map((word) => (/^[\w@%+=:,./\[\]-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");

/** Where something is: a.c:12, or the object that it is in. */
export function place(file, line, module) {
  if (file) return line ? `${base(file)}:${line}` : base(file);
  return module ? base(module) : "";
}
