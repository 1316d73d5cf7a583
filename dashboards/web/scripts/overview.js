// Draws the charts of the first page and keeps the page in step with the service.
import { drawHours, drawIntensity } from "./charts.js";
import { onPower } from "./fleet.js";
import { keepFresh } from "./live.js";
import { savedByButtons } from "./saving.js";

function draw() {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const hasHours = page.overview.today.shares.length > 0;
  for (const id of ["hours-chart", "hours-twin"]) {
    document.getElementById(id).hidden = !hasHours;
  }
  if (hasHours) drawHours(document.getElementById("hours-chart"), page);
  drawIntensity(document.getElementById("intensity-chart"), page);
}

draw();
savedByButtons();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
const page = JSON.parse(document.getElementById("page-data").textContent);
keepFresh(draw, (change) => onPower(change, page));
