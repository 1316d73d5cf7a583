// The two charts of the first page.
import { bar, clock, css, HOUR_MS, label, line, nowLine, show, tip, tooltip, valueAxis } from "./chartkit.js";

const KIND_HUES = { others: "--hue-others", idle: "--hue-idle", unattributed: "--hue-unattributed" };

export function drawHours(box, page) {
  const { today, timezone, generated } = page.overview;
  const { kwh_per_unit, unit, names } = page.energy;
  const times = today.hours.map((start) => clock(timezone).format(new Date(start)));
  const colours = today.shares.map((share, at) => css(KIND_HUES[share.kind] ?? `--hue-${at + 1}`));
  const inUnit = (values) => values.map((kwh) => (kwh === null ? null : kwh / kwh_per_unit));
  // All that is measured stands below all that is modelled: one hatched top instead of a zebra.
  const bars = [false, true].flatMap((isModelled) => today.shares.map((share, at) => {
    const values = isModelled ? share.modelled_kwh_by_hour : share.measured_kwh_by_hour;
    const method = isModelled ? page.strings.modelled : page.strings.measured;
    return bar(`${names[at]} · ${method}`, inUnit(values), colours[at], isModelled);
  })).filter((series) => series.data.some((value) => value));
  const hour = Math.floor((Date.parse(generated) - Date.parse(today.start)) / HOUR_MS);
  show(box, {
    aria: { enabled: true, decal: { show: true }, label: { enabled: false } },
    grid: { left: 8, right: 8, top: 40, bottom: 4, containLabel: true },
    xAxis: { type: "category", data: times, axisTick: { show: false }, axisLine: line(), axisLabel: { ...label(), hideOverlap: true, fontWeight: "normal" } },
    yAxis: valueAxis(unit),
    tooltip: tooltip((items) => hourTip(items, page)),
    series: bars.map((series, at) => (at ? series : { ...series, markArea: currentHour(times[hour]) })),
  });
}

// The hour that is not over yet: its bar still grows.
function currentHour(time) {
  return { silent: true, itemStyle: { color: css("--line-soft"), opacity: 0.8 }, data: [[{ xAxis: time }, { xAxis: time }]] };
}

function hourTip(items, page) {
  const shown = items.filter((item) => item.value);
  const sum = shown.reduce((total, item) => total + item.value, 0);
  const rows = shown.reverse().map((item) => [item.color, item.seriesName, item.value]);
  return tip(items[0]?.axisValue ?? "", [...rows, [null, page.strings.total, sum]], page.energy.unit);
}

const DASHES = { actual: "solid", estimated: "solid", forecast: [6, 4], typical: [2, 3], yearly: [1, 3] };

export function drawIntensity(box, page) {
  const { intensity, timezone, generated } = page.overview;
  const points = intensity.points.map((p) => ({ ...p, from: Date.parse(p.start), to: Date.parse(p.end) }));
  const first = Math.ceil(Date.parse(intensity.start) / HOUR_MS) * HOUR_MS;
  const last = Date.parse(intensity.end);
  const lines = runsOfKind(points).map((run) => ({
    name: page.strings[run[0].kind] ?? run[0].kind,
    type: "line", symbol: "none", animation: false, emphasis: { disabled: true },
    lineStyle: { color: css("--curve"), width: 2, type: DASHES[run[0].kind] ?? "solid" },
    areaStyle: { color: css("--curve"), opacity: 0.06 },
    data: run.flatMap((p) => [[p.from, p.g_per_kwh], [p.to, p.g_per_kwh]]),
  }));
  const marks = {
    type: "line", data: [], symbol: "none", animation: false,
    markLine: nowLine(Date.parse(generated), page.strings.now),
    markArea: cleanArea(intensity.clean_window, page.strings.window),
  };
  show(box, {
    grid: { left: 8, right: 12, top: 40, bottom: 4, containLabel: true },
    xAxis: {
      type: "value", min: first - HOUR_MS, max: last, interval: 3 * HOUR_MS,
      axisLine: line(), axisTick: { show: false }, splitLine: { show: false },
      axisLabel: { ...label(), hideOverlap: true, formatter: (ms) => (ms === last ? "" : clock(timezone).format(ms)) },
    },
    yAxis: valueAxis("g/kWh"),
    tooltip: tooltip((items) => intensityTip(items, points, page)),
    series: [...lines, marks],
  });
}

// Neighbours of one kind become one line; a gap in time starts a new one.
function runsOfKind(points) {
  const runs = [];
  for (const point of points) {
    const before = runs.at(-1)?.at(-1);
    if (before && before.kind === point.kind && before.to === point.from) runs.at(-1).push(point);
    else runs.push([point]);
  }
  return runs;
}

function cleanArea(window, name) {
  if (!window) return undefined;
  return {
    silent: true, itemStyle: { color: css("--clean-ground"), opacity: 0.9, borderColor: css("--clean"), borderWidth: 1 },
    label: { color: css("--clean"), position: "top", distance: 3, fontSize: 11, formatter: name },
    data: [[{ xAxis: Date.parse(window.start) }, { xAxis: Date.parse(window.end) }]],
  };
}

function intensityTip(items, points, page) {
  const at = items[0]?.axisValue;
  const point = points.find((p) => p.from <= at && at < p.to);
  if (!point) return "";
  const time = clock(page.overview.timezone);
  const kind = page.strings[point.kind] ?? point.kind;
  return tip(`${time.format(point.from)}–${time.format(point.to)}`, [[css("--curve"), `${kind}, ${point.source}`, point.g_per_kwh]], "g/kWh");
}
