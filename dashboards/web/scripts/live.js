// Every 10 seconds the page is fetched again and what changed in it is put in place: numbers
// are then formatted in one place, the service. Polling and not a stream, so that a page left
// open never keeps the service from stopping.
const PERIOD_MS = 10_000;

export function keepFresh(redraw) {
  const refresh = async () => {
    if (document.hidden) return;
    const stale = document.getElementById("stale");
    try {
      const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" });
      // Signed out meanwhile: the reload leads to the sign-in page and back to this view.
      if (answer.type === "opaqueredirect") return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
      stale.hidden = true;
      redraw();
    } catch {
      stale.hidden = false;
    }
  };
  setInterval(refresh, PERIOD_MS);
  document.addEventListener("visibilitychange", refresh);
}

function replaceParts(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (next && next.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) {
      part.replaceChildren(...next.childNodes);
    }
  }
  document.getElementById("page-data").textContent =
    fresh.getElementById("page-data").textContent;
}
