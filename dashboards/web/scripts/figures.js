// Numbers as `carbon/web/figures.py` writes them: in a fitting unit, to significant digits.
// The units themselves come with the page.
const NARROW_SPACE = "\u202f";

export function rounded(value, digits) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "–";
  const cut = Number(value.toPrecision(digits));
  return cut.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(cut)))));
}

export function shown(units, value, digits = 3) {
  const [size, unit] = unitFor(units, value, digits);
  return [rounded(value / size, digits), unit];
}

function unitFor(units, value, digits) {
  if (value === 0) return units.find(([size]) => size === 1);
  const fitting = units.filter(([size]) => Number(rounded(Math.abs(value) / size, digits)) >= 1);
  return fitting.at(-1) ?? units[0];
}

export function percent(share) {
  if (share > 0 && share < 0.01) return "<\u00a01";
  if (share > 0.99 && share < 1) return ">\u00a099";
  return (share * 100).toFixed(0);
}

// Puts a value into the `<data>` of a cell and its unit beside it; a dash where there is none.
export function put(cell, value, number, unit) {
  const data = cell.querySelector("data");
  if (value === null || !data) return cell.replaceChildren(...(value === null ? [missing()] : [fresh(value, number), beside(unit)]));
  data.value = String(value);
  data.textContent = number;
  const told = cell.querySelector(".unit");
  if (told) told.textContent = NARROW_SPACE + unit;
}

function missing() {
  const dash = document.createElement("span");
  dash.className = "missing";
  dash.textContent = "–";
  return dash;
}

function fresh(value, number) {
  const data = document.createElement("data");
  data.className = "number";
  data.value = String(value);
  data.textContent = number;
  return data;
}

function beside(unit) {
  const told = document.createElement("span");
  told.className = "unit";
  told.textContent = NARROW_SPACE + unit;
  return told;
}
