"""A real browser on the running pages, and all that goes wrong on the way."""

from __future__ import annotations

import shutil
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import generated_day
import uvicorn
from dashboard_client import application

from carbon.services.context import Context

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
ARTEFACTS = Path(__file__).parents[2] / "artefacts"


@dataclass
class Service:
    """The dashboard on a loopback port, of which a test may move the clock or stop it."""

    context: Context
    address: str
    server: uvicorn.Server
    thread: threading.Thread

    def stop(self) -> None:
        self.server.config.app.state.live.close()  # as `carbon.server` does
        self.server.should_exit = True
        self.thread.join(timeout=20)


def serve(context: Context) -> Service:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application(context), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    return Service(context, f"http://127.0.0.1:{listener.getsockname()[1]}", server, thread)


@dataclass
class Visit:
    """A signed-in look at the first page, with all that went wrong on the way."""

    page: Any
    requests: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", self._failed)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", self._heard)

    def sign_in(self, at: Service) -> None:
        self.page.goto(at.address)
        self.page.fill("#key", generated_day.admin_key(at.context))
        self.page.click("button[type=submit]")
        self.page.wait_for_selector("#figures")
        self.page.wait_for_load_state("load")  # what a next page cuts off would look like a fault

    def forget(self) -> None:
        self.requests.clear()
        self.trouble.clear()

    def _failed(self, request: Any) -> None:
        # The browser itself gives up its tab's picture when a page is left at once.
        # So it does with its stream.
        is_left = request.url.endswith(("/mark.svg", "/live.events"))
        if not (is_left and request.failure == "net::ERR_ABORTED"):
            self.trouble.append(f"{request.url}: {request.failure}")

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

    def charts_are_drawn(self) -> None:
        """Of the first page; a chart is drawn once it is near what is looked at."""
        self.page.locator("#intensity-chart").scroll_into_view_if_needed()
        self.page.wait_for_selector("#intensity-chart svg path", state="attached")

    def comes_back_to_front(self) -> None:
        """What a browser tells a page whose tab is chosen again: it refreshes at once."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def picture(self, name: str, of: str = "overview") -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{of}-{name}.png", full_page=True)
