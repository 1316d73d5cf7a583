// What charts are made of. Colours come from the style sheet, so that all follow the theme.
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
export const HOUR_MS = 3_600_000;

export function bar(name, data, colour, isHatched = false) {
  const hatch = { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [3, 3], rotation: -Math.PI / 4, color: css("--surface") };
  return {
    name, data, type: "bar", stack: "hour", barCategoryGap: "22%", animation: false,
    emphasis: { disabled: true },
    itemStyle: { color: colour, opacity: isHatched ? 0.75 : 1, decal: isHatched ? hatch : { symbol: "none" } },
  };
}

export function nowLine(at, name) {
  return {
    silent: true, symbol: "none", data: [{ xAxis: at }],
    lineStyle: { color: css("--ink-quiet"), width: 1, type: "solid" },
    label: { formatter: name, position: "end", color: css("--ink-quiet"), fontSize: 11 },
  };
}

export function clock(timeZone) {
  return new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit" });
}

export const label = () => ({ color: css("--ink-quiet"), fontSize: 11 });
export const line = () => ({ lineStyle: { color: css("--line") } });

export function valueAxis(unit) {
  return {
    type: "value", name: unit, nameLocation: "end", nameGap: 24, min: 0,
    nameTextStyle: { ...label(), align: "left", padding: [0, 0, 0, -6] }, axisLabel: label(),
    axisLine: { show: false }, axisTick: { show: false },
    splitLine: { lineStyle: { color: css("--line-soft") } }, splitNumber: 4,
  };
}

export function tooltip(formatter) {
  return {
    trigger: "axis", confine: true, formatter, backgroundColor: css("--surface"), borderColor: css("--line"),
    padding: 8, textStyle: { color: css("--ink") }, axisPointer: { type: "line", lineStyle: { color: css("--line") } },
  };
}

// Built as elements: names are other people's text, and inline styles are not allowed.
export function tip(head, rows, unit) {
  const box = element("div", "tip");
  box.append(element("span", "tip-head", head));
  for (const [colour, name, value] of rows) {
    const swatch = element("span", "tip-swatch");
    if (colour) swatch.style.backgroundColor = colour;
    box.append(swatch, element("span", "", name), element("span", "tip-value", `${three.format(value)} ${unit}`));
  }
  return box;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

const resizes = new ResizeObserver((entries) => {
  if (matchMedia("print").matches) return;
  for (const { target } of entries) {
    echarts.getInstanceByDom(target)?.resize();
    fitted(target);
  }
});

// Paper has another width and shows all of it all the same.
function fitted(box) {
  const chart = echarts.getInstanceByDom(box);
  box.querySelector("svg")?.setAttribute("viewBox", `0 0 ${chart.getWidth()} ${chart.getHeight()}`);
}

export function show(box, option) {
  let chart = echarts.getInstanceByDom(box);
  if (!chart) {
    box.querySelector(".loading")?.remove();
    chart = echarts.init(box, null, { renderer: "svg" });
    resizes.observe(box);
  }
  chart.setOption({ textStyle: { fontFamily: css("--font") }, ...option }, { notMerge: true });
  fitted(box);
}

// A chart is drawn once it is near what is looked at, each in a task of its own so that the page
// answers in between; paper gets all of them.
const NEAR = "600px 0px";
const drawers = new Map();
const queue = [];
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    soon(target);
  }
}, { rootMargin: NEAR });

export function draw(box, drawer) {
  const isNew = !drawers.has(box);
  drawers.set(box, drawer);
  if (isNew) near.observe(box);
  else if (echarts.getInstanceByDom(box)) soon(box);
}

function soon(box) {
  if (queue.includes(box)) return;
  queue.push(box);
  if (queue.length === 1) setTimeout(next);
}

function next() {
  const box = queue[0];
  if (box && !box.hidden) drawers.get(box)();
  queue.shift();
  if (queue.length) setTimeout(next);
}

addEventListener("beforeprint", () => {
  for (const [box, drawer] of drawers) if (!box.hidden) drawer();
});
