"""For Airflow: a task that waits for the clean window and holds no worker's place meanwhile.

    from carbon.client.airflow import CleanWindowOperator

    CleanWindowOperator(task_id="clean", deadline="8h", length="2h") >> train

Its worker hands the wait to the triggerer, which holds a thousand of them in one process. The
server is the one that CARBON_URL and CARBON_KEY name where the triggerer runs; without one, or
without a forecast, it goes at once. Nothing else of carbon imports this module, or needs Airflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from airflow.exceptions import AirflowException
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from carbon.client.waiting import Wait
from carbon.clock import to_rfc3339
from carbon.errors import CarbonError, InvalidInput


class CleanWindowOperator(BaseOperator):
    """Succeeds when the cleanest window before the deadline opens, and never later than the
    deadline less the length; a run that is late already waits for nothing.

    `deadline` is RFC 3339 or a duration from the task's start on, `length` a duration; both may
    be templates. Its result says why it went and how long it waited, as `carbon wait --json`.
    """

    template_fields: Sequence[str] = ("deadline", "length", "zone")

    def __init__(
        self, *, deadline: str, length: str, zone: str | None = None, **others: Any
    ) -> None:
        super().__init__(**others)
        self.deadline, self.length, self.zone = deadline, length, zone

    def execute(self, context: Any) -> dict[str, Any] | None:
        try:
            wait = Wait.of(self.deadline, self.length, self.zone)
        except InvalidInput as error:
            if error.code == "deadline_too_soon":
                return {"reason": "deadline_guard", "waited_s": 0.0}
            raise AirflowException(error.detail) from None
        trigger = CleanWindowTrigger(wait.length_ms, wait.deadline_ms, wait.zone, wait.began_ms)
        self.defer(trigger=trigger, method_name="went")
        return None

    def went(self, context: Any, event: Mapping[str, Any]) -> dict[str, Any]:
        """Called by a worker again once the triggerer has sent its event."""
        if "error" in event:
            raise AirflowException(event["error"])
        return dict(event)


class CleanWindowTrigger(BaseTrigger):
    """The wait itself, in the triggerer: what it is made of can be written down, so that another
    triggerer goes on with it."""

    def __init__(self, length_ms: int, deadline_ms: int, zone: str | None, began_ms: int) -> None:
        super().__init__()
        self.length_ms, self.deadline_ms = length_ms, deadline_ms
        self.zone, self.began_ms = zone, began_ms

    def serialize(self) -> tuple[str, dict[str, Any]]:
        told = {
            "length_ms": self.length_ms,
            "deadline_ms": self.deadline_ms,
            "zone": self.zone,
            "began_ms": self.began_ms,
        }
        return f"{__name__}.{type(self).__name__}", told

    async def run(self) -> AsyncIterator[TriggerEvent]:
        wait = Wait(self.length_ms, self.deadline_ms, self.zone, self.began_ms)
        try:
            # Off the loop: others wait on it, too.
            await asyncio.to_thread(wait.look)
            while (nap_s := wait.nap_s()) > 0:
                await asyncio.sleep(nap_s)
                await asyncio.to_thread(wait.look_again)
        except CarbonError as error:
            yield TriggerEvent({"error": error.detail})
        else:
            yield TriggerEvent(_told(wait))


def _told(wait: Wait) -> dict[str, Any]:
    waited = wait.waited()
    return {
        "reason": waited.window.reason,
        "waited_s": waited.waited_ms / 1000,
        "latest_start": to_rfc3339(waited.latest_ms),
        "g_per_kwh": waited.window.g_per_kwh,
    }
