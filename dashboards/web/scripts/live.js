// A page that is looked at keeps in step with the service by one stream of events: `power` tells
// what changed of the fleet, `refresh` that the page may be fetched again, when what changed in
// its live parts is put in place. A tab in the background lets go of its stream. Where no stream
// can be had, the page asks every 10 seconds.
const STREAM = "/web/live.events";
const PERIOD_MS = 10_000;

export function keepFresh(redraw, onPower) {
  let source = null;
  let asking = null;
  let leaving = false;
  const stale = document.getElementById("stale");

  // Signed out meanwhile: the reload leads to the sign-in page and back to this view. Once: another
  // would break off the first.
  const leave = () => {
    if (leaving) return;
    leaving = true;
    close();
    location.reload();
  };

  const refresh = async () => {
    if (document.hidden || leaving) return;
    try {
      const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") return leave();
      if (!answer.ok) throw new Error(answer.statusText);
      replaceParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
      stale.hidden = true;
      redraw();
    } catch {
      stale.hidden = false;
    }
  };

  const open = () => {
    if (source && source.readyState !== EventSource.CLOSED) return;
    source = new EventSource(STREAM);
    source.addEventListener("hello", () => { clearInterval(asking); asking = null; });
    source.addEventListener("refresh", refresh);
    if (onPower) source.addEventListener("power", (event) => onPower(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      asking ??= setInterval(() => { refresh(); open(); }, PERIOD_MS);
      if (source.readyState === EventSource.CLOSED) refresh(); // else it connects again by itself
    });
  };
  const close = () => {
    source?.close();
    clearInterval(asking);
    asking = null;
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    open();
    refresh();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", () => { if (!document.hidden) open(); });
  if (!document.hidden) open();
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
