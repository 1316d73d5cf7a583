// Draws the charts of a screen from the page's own data and keeps it fresh.
import { draw } from "./chartkit.js";
import { drawBand, drawBurn, drawPairs, drawStack, drawSteps } from "./timecharts.js";
import { onPower } from "./fleet.js";
import { keepFresh } from "./live.js";
import { savedByButtons } from "./saving.js";

const DRAWN_BY = { burn: drawBurn, stack: drawStack, band: drawBand, pairs: drawPairs, steps: drawSteps };

function drawAll() {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  for (const spec of page.charts) {
    const box = document.getElementById(spec.id);
    if (box) draw(box, () => DRAWN_BY[spec.kind](box, spec, page.strings));
  }
}

drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
savedByButtons();
if (document.querySelector("[data-live]")) {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  keepFresh(drawAll, page.live && ((change) => onPower(change, page)));
}
