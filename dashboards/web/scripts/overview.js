// Draws the charts of the first page and keeps the page in step with the service.
import { draw } from "./chartkit.js";
import { drawHours, drawIntensity } from "./charts.js";
import { onPower } from "./fleet.js";
import { keepFresh } from "./live.js";
import { savedByButtons } from "./saving.js";

function drawAll() {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const hasHours = page.overview.today.shares.length > 0;
  for (const id of ["hours-chart", "hours-twin"]) {
    document.getElementById(id).hidden = !hasHours;
  }
  const [hours, intensity] = ["hours-chart", "intensity-chart"].map((id) => document.getElementById(id));
  if (hasHours) draw(hours, () => drawHours(hours, page));
  draw(intensity, () => drawIntensity(intensity, page));
}

drawAll();
savedByButtons();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
const page = JSON.parse(document.getElementById("page-data").textContent);
keepFresh(drawAll, (change) => onPower(change, page));
