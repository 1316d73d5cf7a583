"""A thin client for the /v1 calls of a carbon server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import httpx2
import msgspec

from carbon.client.exchange import Exchange, Json, known_server
from carbon.errors import CarbonError
from carbon.wire.energy import EnergyBatch, IngestAnswer, UnitBatch, UnitCount
from carbon.wire.quality import TroubleReport, TroublesBody


class Client:
    """One connection pool to one server; use as a context manager or `close` it.

    Address and key: as given, else CARBON_URL and CARBON_KEY, else those that `carbon up` left
    in the data folder. Every call raises CarbonError with the server's code and detail, or
    Unavailable(`server_unreachable`, or `answer_late` after `timeout_s`). Times are RFC
    3339 with offset, `*_ms` in bodies.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        data_dir: Path | None = None,
        timeout_s: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        server = known_server(url, key, data_dir)
        self.url = server.url
        self._exchange = Exchange(server, timeout_s, transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._exchange.close()

    # Measurements

    def send_energy(self, batch: EnergyBatch) -> IngestAnswer:
        return self._ingest("/v1/energy", batch)

    def send_units(self, counts: Sequence[UnitCount]) -> IngestAnswer:
        return self._ingest("/v1/units", UnitBatch(list(counts)))

    def note_troubles(self, source: str, troubles: Sequence[TroubleReport]) -> None:
        """What an importer met and left out."""
        self._exchange.send("POST", "/v1/quality", TroublesBody(source, list(troubles)))

    def quality(self, **query: object) -> Json:
        """`start`, `end`."""
        return self._object("GET", "/v1/quality", query=query)

    # Workloads and their SCI

    def create_workload(self, name: str, **members: object) -> Json:
        return self._object("POST", "/v1/workloads", {"name": name, **members})

    def workloads(self, **query: object) -> Json:
        return self._object("GET", "/v1/workloads", query=query)

    def workload(self, name: str) -> Json:
        return self._object("GET", f"/v1/workloads/{name}")

    def change_workload(self, name: str, **members: object) -> Json:
        return self._object("PATCH", f"/v1/workloads/{name}", members)

    def sci(self, workload: str, **query: object) -> Json:
        """`start`, `end`, `unit`, `signal`, `scope`, `run`."""
        return self._object("GET", f"/v1/workloads/{workload}/sci", query=query)

    def totals(self, workload: str, **query: object) -> Json:
        """`start`, `end`, `site`, `unit`."""
        return self._object("GET", f"/v1/workloads/{workload}/totals", query=query)

    def sci_series(self, **query: object) -> Json:
        """`group_by` (a list), `start`, `end`, `step`."""
        return self._object("GET", "/v1/sci", query=query)

    def calculate(
        self, components: Sequence[Mapping[str, object]], functional_unit: Json | None = None
    ) -> Json:
        body: Json = {"components": list(components)}
        if functional_unit is not None:
            body["functional_unit"] = functional_unit
        return self._object("POST", "/v1/sci/calculate", body)

    # Reports, hosts, intensity, experiments

    def issue_report(self, **members: object) -> Json:
        return self._object("POST", "/v1/reports", members)

    def report(self, report: str) -> Json:
        return self._object("GET", f"/v1/reports/{report}")

    def explain_report(self, report: str, **query: object) -> Json:
        """`workload`, `unit`, `after`."""
        return self._object("GET", f"/v1/reports/{report}/explain", query=query)

    def restate_report(self, report: str, **members: object) -> Json:
        return self._object("POST", f"/v1/reports/{report}/restate", members)

    def export_report(self, report: str, **query: object) -> bytes:
        """`format`, `contact_name`, `contact_email`, `organization`."""
        return self._exchange.send("GET", f"/v1/reports/{report}/export", query=query).content

    def audit_pack(self, report: str, **query: object) -> bytes:
        """A zip. `contact_name`, `contact_email`, `organization`."""
        return self._exchange.send("GET", f"/v1/reports/{report}/audit-pack", query=query).content

    def reports(self, **query: object) -> Json:
        """`limit`, `after`."""
        return self._object("GET", "/v1/reports", query=query)

    def factors(self, **query: object) -> Json:
        """`kind`, `subject`, `as_of`."""
        return self._object("GET", "/v1/factors", query=query)

    def factor(self, factor: str) -> Json:
        """By its id, such as `embodied/gpu/h100@nvidia-pcf-2025`."""
        return self._object("GET", f"/v1/factors/{factor}")

    def add_factor(self, **members: object) -> Json:
        return self._object("POST", "/v1/factors", members)

    def components(self, workload: str) -> Json:
        return self._object("GET", "/v1/components", query={"workload": workload})

    def add_component(self, **members: object) -> Json:
        """`workload`, `name`, `kind`, `unit`, `source`, `low`, `high`, and a figure per unit."""
        return self._object("POST", "/v1/components", members)

    def close_period(self, **members: object) -> Json:
        """`start`, `end`, `signed_by`, `statement`, `materiality`, `accept_incomplete`."""
        return self._object("POST", "/v1/periods", members)

    def inventory(self, start: str, end: str) -> Json:
        return self._object("GET", "/v1/inventory", query={"start": start, "end": end})

    def inventory_frame(self, frame: str, **query: object) -> Json:
        """`start`, `end`, `operated` (`own` or `rented`)."""
        return self._object("GET", f"/v1/inventory/frames/{frame}", query=query)

    def contracts(self) -> Json:
        return self._object("GET", "/v1/inventory/contracts")

    def add_contract(self, **members: object) -> Json:
        return self._object("POST", "/v1/inventory/contracts", members)

    def verify_audit(self, head: str | None = None) -> Json:
        return self._object("GET", "/v1/audit/verify", query={"head": head})

    def budgets(self) -> Json:
        return self._object("GET", "/v1/budgets")

    def set_budget(self, **members: object) -> Json:
        """`measure`, `amount`, `period`; `team`, `workload`, `unit`."""
        return self._object("POST", "/v1/budgets", members)

    def end_budget(self, budget: int) -> None:
        self._exchange.send("DELETE", f"/v1/budgets/{budget}")

    def hosts(self, **query: object) -> Json:
        """`start`, `end`: of the completeness."""
        return self._object("GET", "/v1/hosts", query=query)

    def add_host(self, **members: object) -> Json:
        return self._object("POST", "/v1/hosts", members)

    def people(self) -> Json:
        return self._object("GET", "/v1/people")

    def invite(self, **members: object) -> Json:
        """`name`, `role`; `team`, `organisation`, `expires_in`."""
        return self._object("POST", "/v1/people", members)

    def sign_in_link(self, person: str) -> Json:
        return self._object("POST", f"/v1/people/{person}/link")

    def remove_person(self, person: str) -> None:
        self._exchange.send("DELETE", f"/v1/people/{person}")

    def make_join_token(self, **members: object) -> Json:
        """`name`, `uses`, `expires_in`, `team`; the answer's `token` is told once."""
        return self._object("POST", "/v1/hosts/tokens", members)

    def join_tokens(self) -> Json:
        return self._object("GET", "/v1/hosts/tokens")

    def revoke_join_token(self, token_id: str) -> Json:
        return self._object("DELETE", f"/v1/hosts/tokens/{token_id}")

    def corrections(self) -> Json:
        return self._object("GET", "/v1/corrections")

    def correct(self, **members: object) -> Json:
        """`kind`, `reason`; `subject`, `workload`, `into`, `host`, `zone`, `pue`, `unit`, `count`,
        `start`, `end`, `dry_run`."""
        return self._object("POST", "/v1/corrections", members)

    def undo_correction(self, correction: int, **members: object) -> Json:
        """`reason`, `dry_run`."""
        return self._object("POST", f"/v1/corrections/{correction}/undo", members)

    def intensity(self, zone: str, **query: object) -> Json:
        """`start`, `end`, `signal`, `scope`."""
        return self._object("GET", f"/v1/intensity/{zone}", query=query)

    def forecast(self, zone: str, **query: object) -> Json:
        return self._object("GET", f"/v1/intensity/{zone}/forecast", query=query)

    def intensity_quarantine(self, zone: str, **query: object) -> Json:
        """`limit`, `after`: points that were not believed, latest first."""
        return self._object("GET", f"/v1/intensity/{zone}/quarantine", query=query)

    def zone_at(self, latitude: float, longitude: float) -> Json:
        """Which zone feeds a place, and which source says so."""
        query = {"latitude": latitude, "longitude": longitude}
        return self._object("GET", "/v1/zones/at", query=query)

    def post_intensity(self, zone: str, vintage: Mapping[str, object]) -> Json:
        return self._object("POST", f"/v1/intensity/{zone}", vintage)

    def prices(self, zone: str, **query: object) -> Json:
        """`start`, `end`: by default the next 24 h."""
        return self._object("GET", f"/v1/prices/{zone}", query=query)

    def post_prices(self, zone: str, publication: Mapping[str, object]) -> Json:
        return self._object("POST", f"/v1/prices/{zone}", publication)

    def create_experiment(self, **members: object) -> Json:
        return self._object("POST", "/v1/experiments", members)

    def experiments(self, **query: object) -> Json:
        """`limit`, `after`, `workload`, `technique`."""
        return self._object("GET", "/v1/experiments", query=query)

    def experiment(self, experiment: str) -> Json:
        return self._object("GET", f"/v1/experiments/{experiment}")

    def team_data(self, team: str) -> str:
        """JSON lines `{table, row}`."""
        return self._exchange.send("GET", f"/v1/teams/{team}/data").text

    def recommendations(self, **query: object) -> Json:
        """`state`."""
        return self._object("GET", "/v1/recommendations", query=query)

    def mark_recommendation(self, recommendation: str, **members: object) -> Json:
        """`state`, `reason`."""
        return self._object("PATCH", f"/v1/recommendations/{recommendation}", members)

    # Jobs

    def submit_job(self, job: Mapping[str, object], idempotency_key: str | None = None) -> Json:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._object("POST", "/v1/jobs", job, headers=headers)

    def submit_jobs(self, jobs: Sequence[Mapping[str, object]]) -> Json:
        return self._object("POST", "/v1/jobs/batch", {"jobs": list(jobs)})

    def jobs(self, **query: object) -> Json:
        return self._object("GET", "/v1/jobs", query=query)

    def job(self, job: str) -> Json:
        return self._object("GET", f"/v1/jobs/{job}")

    def job_logs(self, job: str) -> str:
        return self._exchange.send("GET", f"/v1/jobs/{job}/logs").text

    def job_result(self, job: str) -> Json:
        return self._object("GET", f"/v1/jobs/{job}/result")

    def job_saving(self, job: str) -> Json:
        return self._object("GET", f"/v1/jobs/{job}/saving")

    def job_decisions(self, job: str, replay: bool = False) -> Json:
        return self._object("GET", f"/v1/jobs/{job}/decisions", query={"replay": replay or None})

    def change_job(self, job: str, **members: object) -> Json:
        return self._object("PATCH", f"/v1/jobs/{job}", members)

    def cancel_job(self, job: str) -> None:
        self._exchange.send("DELETE", f"/v1/jobs/{job}")

    def start_job(self, job: str) -> Json:
        """Now, and not when the grid is clean."""
        return self._object("POST", f"/v1/jobs/{job}/start")

    def job_event(self, job: str, **members: object) -> Json:
        return self._object("POST", f"/v1/jobs/{job}/events", members)

    def scheduler(self) -> Json:
        return self._object("GET", "/v1/scheduler")

    def pause_scheduler(self, reason: str) -> Json:
        return self._object("POST", "/v1/scheduler/pause", {"reason": reason})

    def resume_scheduler(self) -> Json:
        return self._object("POST", "/v1/scheduler/resume")

    def pools(self) -> Json:
        return self._object("GET", "/v1/pools")

    def create_pool(self, **members: object) -> Json:
        return self._object("POST", "/v1/pools", members)

    def is_ready(self) -> bool:
        try:
            self._exchange.send("GET", "/readyz")
        except CarbonError:
            return False
        return True

    def _ingest(self, path: str, body: msgspec.Struct) -> IngestAnswer:
        answer = self._exchange.send("POST", path, body)
        return msgspec.json.decode(answer.content, type=IngestAnswer)

    def _object(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        answer = self._exchange.send(method, path, body, query, headers)
        return msgspec.json.decode(answer.content, type=Json) if answer.content else {}
