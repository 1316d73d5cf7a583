// Saves a chart as a picture: as it stands, in SVG, or drawn twice as large on paper, in PNG.
export function savedByButtons() {
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => save(button));
  }
}

function save(button) {
  const svg = document.querySelector(`#${button.dataset.of} svg`);
  if (!svg) return;
  const copy = svg.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const text = new XMLSerializer().serializeToString(copy);
  const blob = new Blob([text], { type: "image/svg+xml" });
  if (button.dataset.save === "svg") return download(blob, `${button.dataset.of}.svg`);
  const picture = new Image();
  picture.addEventListener("load", () => {
    const canvas = document.createElement("canvas");
    canvas.width = 2 * svg.clientWidth;
    canvas.height = 2 * svg.clientHeight;
    const paper = canvas.getContext("2d");
    paper.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--surface");
    paper.fillRect(0, 0, canvas.width, canvas.height);
    paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((png) => download(png, `${button.dataset.of}.png`), "image/png");
  });
  picture.src = URL.createObjectURL(blob);
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // Not at once: the browser still has to read it.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
