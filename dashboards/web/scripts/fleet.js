// Puts what the stream tells of the fleet in place, on every page that shows some of it.
import { percent, put, shown } from "./figures.js";

export function onPower(change, page) {
  tiles(change, page);
  for (const device of change.devices) rows(device, page);
  strongest(change.top, page);
  told(page);
}

function tiles(change, page) {
  number("power.power_w", change.power_w, change.power_w && shown(page.units.power, change.power_w));
  number("power.heard", change.heard, [String(change.heard), ""]);
  number("power.silent", change.silent, [String(change.silent), ""]);
  const silent = document.querySelector('[data-path="power.silent"]');
  silent?.parentElement.classList.toggle("is-loss", change.silent > 0);
  const share = change.power_w ? change.measured_w / change.power_w : null;
  if (share === null) return;
  number("power.measured_share", share, [percent(share), "%"]);
  const bar = document.querySelector('[data-live="fleet-tiles"] .bar-measured');
  bar?.setAttribute("width", `${(100 * share).toFixed(2)}%`);
}

function number(path, value, text) {
  const data = document.querySelector(`data[data-path="${path}"]`);
  if (data && text) put(data.parentElement, value, ...text);
}

function rows([name, power_w, , method, seen_ms], page) {
  for (const row of document.querySelectorAll(`tr[data-device="${CSS.escape(name)}"]`)) {
    row.classList.toggle("is-silent", power_w === null);
    put(row.querySelector(".device-power"), power_w, ...(power_w === null ? [] : shown(page.units.power, power_w)));
    row.querySelector(".device-method").textContent = method ? page.methods[method] ?? method : "–";
    if (seen_ms) seen(row.querySelector(".device-seen"), seen_ms, page.timezone);
  }
}

function seen(cell, ms, timeZone) {
  const time = document.createElement("time");
  time.dateTime = new Date(ms).toISOString();
  time.textContent = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
  cell.replaceChildren(time);
}

// The list keeps its rows and their order of drawing; only what they say moves.
function strongest(top, page) {
  const list = document.getElementById("strongest");
  if (!list || list.children.length === 0) return;
  while (list.children.length < top.length) list.append(list.lastElementChild.cloneNode(true));
  while (list.children.length > top.length && list.children.length > 1) list.lastElementChild.remove();
  const most = top[0]?.power_w || 1;
  top.forEach((device, at) => {
    const row = list.children[at];
    row.dataset.device = device.device;
    const name = row.querySelector(".device-name");
    name.title = device.device;
    name.firstChild.textContent = `${shortModel(device.model) || device.kind} `;
    name.querySelector(".quiet").textContent = device.host;
    put(row.querySelector(".device-power"), device.power_w, ...shown(page.units.power, device.power_w));
    const all = `${((100 * device.power_w) / most).toFixed(2)}%`;
    for (const bar of row.querySelectorAll(".bar-modelled, .bar-hatch")) bar.setAttribute("width", all);
    row.querySelector(".bar-measured").setAttribute("width", `${((100 * device.measured_w) / most).toFixed(2)}%`);
  });
}

// As `carbon/web/wording.py` does.
function shortModel(model) {
  return model.replace(/^NVIDIA /, "");
}

function told(page) {
  for (const mark of document.querySelectorAll(".live")) {
    mark.hidden = false;
    mark.dataset.state = "on";
    mark.querySelector(".live-words").textContent = page.live.on;
  }
}
