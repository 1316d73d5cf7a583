// Charts over time that any screen may have: stacked bars, a curve with its 95 % band, steps.
import { bar, clock, css, HOUR_MS, label, line, nowLine, show, tip, tooltip, valueAxis } from "./chartkit.js";

const hue = (name) => css(`--hue-${name}`);

function day(timeZone) {
  return new Intl.DateTimeFormat("en-GB", { timeZone, day: "numeric", month: "short" });
}

// An hour's label is a time of day, a longer step's the day it begins.
function labels(spec) {
  const format = spec.step_h < 24 ? clock(spec.timezone) : day(spec.timezone);
  return spec.times.map((at) => format.format(new Date(at)));
}

function frame(spec, formatter) {
  return {
    grid: { left: 8, right: 12, top: 40, bottom: 4, containLabel: true },
    xAxis: {
      type: "category", data: labels(spec), axisTick: { show: false }, axisLine: line(),
      axisLabel: { ...label(), hideOverlap: true },
    },
    yAxis: valueAxis(spec.unit),
    tooltip: tooltip(formatter),
  };
}

export function drawStack(box, spec, strings) {
  const bars = spec.series.map((one) => bar(one.name, one.values, hue(one.hue)));
  const told = (items) => {
    const shown = items.filter((item) => item.value);
    const sum = shown.reduce((total, item) => total + item.value, 0);
    const rows = shown.reverse().map((item) => [item.color, item.seriesName, item.value]);
    return tip(items[0]?.axisValue ?? "", [...rows, [null, strings.total, sum]], spec.unit);
  };
  show(box, { ...frame(spec, told), series: bars });
}

// Bars beside each other; what is below 0 stands below the line.
export function drawPairs(box, spec) {
  const bars = spec.series.map((one, at) => ({
    ...bar(one.name, one.values, hue(one.hue), one.is_hatched), stack: `${at}`, barGap: "8%", barMaxWidth: 36,
  }));
  const told = (items) => {
    const shown = items.filter((item) => item.value);
    return shown.length ? tip(items[0].axisValue, shown.map((item) => [item.color, item.seriesName, item.value]), spec.unit) : "";
  };
  const axes = frame(spec, told);
  show(box, { ...axes, aria: { enabled: true, decal: { show: true }, label: { enabled: false } }, yAxis: { ...axes.yAxis, min: null }, series: bars });
}

// Curves over time; a single one with its 95 % band. Marks are moments at which what stands behind
// a figure changed. A year of hours is thinned to what a screen can show.
export function drawBand(box, spec, strings) {
  const [first] = spec.series;
  const thin = spec.times.length > 500;
  const width = spec.high.map((high, at) => (high === null || spec.low[at] === null ? null : high - spec.low[at]));
  const edge = { type: "line", stack: "band", symbol: "none", silent: true, animation: false, lineStyle: { opacity: 0 } };
  const told = (items) => {
    const at = items[0]?.dataIndex;
    const rows = spec.series.map((one) => [hue(one.hue), one.name, one.values[at]]);
    if (spec.series.length === 1) rows.push([null, strings.low, spec.low[at]], [null, strings.high, spec.high[at]]);
    const known = rows.filter((row) => row[2] !== null && row[2] !== undefined);
    const box = known.length ? tip(items[0].axisValue, known, spec.unit) : "";
    for (const mark of spec.marks.filter((one) => one.at === at)) box && box.append(...noted(mark.text));
    return box;
  };
  const curves = spec.series.map((one) => ({
    type: "line", name: one.name, data: one.values, symbolSize: 6, showSymbol: !thin, animation: false,
    sampling: thin ? "lttb" : undefined,
    itemStyle: { color: hue(one.hue) }, lineStyle: { color: hue(one.hue), width: thin ? 1.5 : 2 },
  }));
  curves[0].markLine = marked(spec.marks);
  const band = width.length && spec.series.length === 1
    ? [{ ...edge, data: spec.low }, { ...edge, data: width, areaStyle: { color: hue(first.hue), opacity: 0.16 } }]
    : [];
  show(box, { ...frame(spec, told), series: [...band, ...curves] });
}

function noted(text) {
  const note = document.createElement("span");
  note.className = "tip-head";
  note.textContent = text;
  return [note];
}

function marked(marks) {
  if (!marks.length) return undefined;
  return {
    silent: true, symbol: ["none", "none"],
    lineStyle: { color: css("--warn"), width: 1, type: "dashed" },
    label: { color: css("--warn"), fontSize: 11, position: "end", formatter: (item) => item.data.number },
    data: marks.map((mark) => ({ xAxis: mark.at, number: `${mark.number}` })),
  };
}

// The 95 % of each step; the unseen curve of its upper bounds makes room for it on the axis.
function bandOf(points) {
  return {
    type: "line", symbol: "none", silent: true, animation: false, lineStyle: { opacity: 0 },
    data: points.map((p) => [p.from, p.high]),
    markArea: {
      silent: true, itemStyle: { color: css("--curve"), opacity: 0.13 },
      data: points.map((p) => [{ coord: [p.from, p.low] }, { coord: [p.to, p.high] }]),
    },
  };
}

const DASHES = { actual: "solid", estimated: "solid", forecast: [6, 4], typical: [2, 3], yearly: [1, 3] };

export function drawSteps(box, spec, strings) {
  const points = spec.points.map(([from, to, value, kind, low, high]) => ({ from: Date.parse(from), to: Date.parse(to), value, kind, low, high }));
  const window = spec.window?.map((at) => Date.parse(at));
  const told = (items) => {
    const at = items[0]?.axisValue;
    const point = points.find((p) => p.from <= at && at < p.to);
    return point ? tip(clock(spec.timezone).format(point.from), [[css("--curve"), strings[point.kind] ?? point.kind, point.value], [null, strings.low, point.low], [null, strings.high, point.high]], spec.unit) : "";
  };
  const last = points.at(-1)?.to;
  show(box, {
    grid: { left: 8, right: 12, top: 40, bottom: 4, containLabel: true },
    xAxis: {
      type: "value", min: Math.floor(points[0]?.from / HOUR_MS) * HOUR_MS, max: last, interval: Math.max(1, Math.round((last - points[0]?.from) / HOUR_MS / 8)) * HOUR_MS,
      axisLine: line(), axisTick: { show: false }, splitLine: { show: false },
      axisLabel: { ...label(), hideOverlap: true, formatter: (ms) => (ms === last ? "" : clock(spec.timezone).format(ms)) },
    },
    yAxis: valueAxis(spec.unit),
    tooltip: tooltip(told),
    series: [
      bandOf(points),
      {
        type: "line", symbol: "none", animation: false, data: points.flatMap((p) => [[p.from, p.value], [p.to, p.value]]),
        lineStyle: { color: css("--curve"), width: 2, type: DASHES[points.at(-1)?.kind] ?? "solid" },
        markLine: nowLine(Date.parse(spec.now), strings.now),
        markArea: window && {
          silent: true, itemStyle: { color: css("--clean-ground"), opacity: 0.55, borderColor: css("--clean"), borderWidth: 1 },
          label: { color: css("--clean"), position: "top", distance: 3, fontSize: 11, formatter: strings.start },
          data: [[{ xAxis: window[0] }, { xAxis: window[1] }]],
        },
      },
    ],
  });
}

// What was used by when, solid; the forecast dashed with its 95 %; the budget as a line.
export function drawBurn(box, spec, strings) {
  const colour = css("--accent");
  const course = spec.course.map(([at, used]) => [Date.parse(at), used]);
  const ahead = spec.ahead.map(([at, ...of]) => [Date.parse(at), ...of]);
  const named = day(spec.timezone);
  const plain = { type: "line", symbol: "none", animation: false };
  const edge = { ...plain, stack: "band", silent: true, lineStyle: { opacity: 0 } };
  const told = (items) => {
    const at = items[0]?.axisValue;
    const past = course.findLast(([moment]) => moment <= at);
    const next = ahead.find(([moment]) => moment >= at);
    const isPast = at <= course.at(-1)[0];
    const rows = isPast && past ? [[colour, strings.used, past[1]]] : next ? [[colour, strings.forecast, next[1]], [null, strings.low, next[2]], [null, strings.high, next[3]]] : [];
    return rows.length ? tip(named.format((isPast ? past : next)[0]), [...rows, [css("--ink"), strings.budget, spec.amount]], spec.unit) : "";
  };
  const top = Math.max(spec.amount, ...course.map((p) => p[1]), ...ahead.map((p) => p[3]));
  const start = Date.parse(spec.start);
  const end = Date.parse(spec.end);
  show(box, {
    grid: { left: 8, right: 14, top: 40, bottom: 4, containLabel: true },
    xAxis: {
      type: "value", min: start, max: end, interval: Math.ceil((end - start) / 6 / (24 * HOUR_MS)) * 24 * HOUR_MS,
      axisLine: line(), axisTick: { show: false }, splitLine: { show: false },
      axisLabel: { ...label(), hideOverlap: true, formatter: (ms) => (ms === end ? "" : named.format(ms)) },
    },
    yAxis: { ...valueAxis(spec.unit), max: (value) => nice(Math.max(top, value.max)) },
    tooltip: tooltip(told),
    series: [
      { ...edge, data: ahead.map((p) => [p[0], p[2]]) },
      { ...edge, data: ahead.map((p) => [p[0], p[3] - p[2]]), areaStyle: { color: colour, opacity: 0.18 } },
      { ...plain, data: ahead.map((p) => [p[0], p[1]]), lineStyle: { color: colour, width: 2, type: [6, 4] } },
      {
        ...plain, data: course, lineStyle: { color: colour, width: 2 }, areaStyle: { color: colour, opacity: 0.1 },
        markLine: {
          silent: true, symbol: "none", data: [{ yAxis: spec.amount }], lineStyle: { color: css("--ink"), width: 1.5, type: "solid" },
          label: { formatter: strings.budget, position: "insideStartTop", color: css("--ink"), fontSize: 11 },
        },
      },
    ],
  });
}

// The next round number above, so that the budget's line never lies on the frame.
function nice(value) {
  const step = 10 ** Math.floor(Math.log10(value)) / 2;
  return Math.ceil((value * 1.02) / step) * step;
}
