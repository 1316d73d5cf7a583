"""Names to ids: looked up, created on first sight, and remembered once committed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, func, select, update

from carbon.domain.claims import SubjectRef
from carbon.domain.energy import MeterKind
from carbon.domain.tenancy import WorkloadName
from carbon.errors import InvalidInput
from carbon.storage import names
from carbon.storage.corrections import alias_of, final, is_merged, merges
from carbon.storage.pending import Pending
from carbon.storage.upsert import insert_new

IdCache = dict[tuple[Hashable, ...], int]


@dataclass
class Identities:
    """The ids of one transaction over a cache shared by all.

    What a transaction creates reaches the cache by `remember`, after its commit: a rolled-back
    id must never be handed out.
    """

    connection: Connection
    now_ms: int
    cache: IdCache
    fresh: IdCache = field(default_factory=dict)
    #: What is written at the end of the transaction.
    pending: Pending = field(default_factory=Pending)
    #: Names created in this transaction, for the answer.
    created_devices: list[str] = field(default_factory=list)
    created_workloads: list[str] = field(default_factory=list)
    #: What else is to be remembered after the commit, and by nobody where there is none.
    _lessons: list[Callable[[], None]] = field(default_factory=list)

    def remember(self) -> None:
        self.cache.update(self.fresh)
        for learn in self._lessons:
            learn()

    def after_commit(self, learn: Callable[[], None]) -> None:
        self._lessons.append(learn)

    def take_created_devices(self) -> list[str]:
        """Since last taken: the identities of a transaction are shared by its sendings."""
        taken, self.created_devices = self.created_devices, []
        return taken

    def take_created_workloads(self) -> list[str]:
        taken, self.created_workloads = self.created_workloads, []
        return taken

    def team(self, name: str) -> int:
        return self._id(names.team, {"name": name})

    def workload(self, name: WorkloadName, is_named: bool = False) -> int:
        team_id = self.team(name.team)
        key: dict[str, Any] = {"team_id": team_id, "name": name.name}
        known = self._known(names.workload, key)
        if known is None:  # a name that it had before; asked each time, since it may be undone
            known = alias_of(self.connection, team_id, name.name)
        if known is not None:
            return known
        self.created_workloads.append(str(name))
        return self._id(names.workload, key, {"is_named": is_named})

    def look_up(self, workloads: Collection[WorkloadName]) -> None:
        """Those that are known, and their teams, with one statement however many they are."""
        told = {
            "teams": sorted({name.team for name in workloads}),
            "names": sorted({name.name for name in workloads}),
        }
        for row in self.connection.execute(_looking_up(), told):
            self.fresh[(names.team.name, row.team)] = row.team_id
            if row.workload_id is not None:
                key = (names.workload.name, row.team_id, row.workload)
                self.fresh[key] = row.workload_id

    def is_own_name(self, name: WorkloadName) -> bool:
        """Whether a workload is called so itself: not one that had the name before."""
        return (
            self._known(names.workload, {"team_id": self.team(name.team), "name": name.name})
            is not None
        )

    def unit(self, workload_id: int, name: str) -> int:
        return self._id(names.workload_unit, {"workload_id": workload_id, "name": name})

    def source(self, team_id: int, name: str, kind: MeterKind, family: str | None = None) -> int:
        """`team_id` 0 is the deployment's own: agents and importers."""
        known = self.cache.get(("source", team_id, name))
        if known is not None:
            return known
        others = {"kind": int(kind), "family": family}
        return self._id(names.source, {"team_id": team_id, "name": name}, others)

    def host(self, name: str) -> int:
        return self._id(names.host, {"name": name})

    def device(self, uuid: str, host_id: int, team_id: int = 0) -> int:
        """A device first seen is of unknown kind until `describe_device` tells, and belongs to
        the team that sent it (0 is the deployment)."""
        known = self.cache.get(("device", uuid)) or self._known(names.device, {"uuid": uuid})
        if known is not None:
            return known
        self.created_devices.append(uuid)
        model_id = self.device_model("unknown", "")
        others = {"host_id": host_id, "model_id": model_id, "team_id": team_id}
        return self._id(names.device, {"uuid": uuid}, others)

    def owner_of(self, device_id: int) -> int:
        """The team that a device belongs to; 0 is the deployment."""
        key = ("owner", device_id)
        owner = self.cache.get(key, self.fresh.get(key))
        if owner is None:
            query = select(names.device.c.team_id).where(names.device.c.id == device_id)
            owner = self.fresh[key] = int(self.connection.execute(query).scalar_one())
        return owner

    def device_model(self, kind: str, model: str) -> int:
        return self._id(names.device_model, {"kind": kind, "model": model})

    def describe_device(self, device_id: int, kind: str, model: str) -> None:
        described = ("described", device_id, kind, model)
        if described in self.cache:
            return
        model_id = self.device_model(kind, model)
        self.connection.execute(
            update(names.device)
            .where(names.device.c.id == device_id, names.device.c.model_id != model_id)
            .values(model_id=model_id)
        )
        self.fresh[described] = device_id

    def meter(self, device_id: int, source_id: int) -> int:
        known = self.cache.get(("meter", device_id, source_id))
        if known is not None:
            return known
        key = {"device_id": device_id, "source_id": source_id}
        return self._id(names.meter, key, stamped=False)

    def subject(self, ref: SubjectRef) -> int:
        return self._id(names.subject, {"kind": str(ref.kind), "key": ref.key})

    def _known(self, table: Table, key: dict[str, Any]) -> int | None:
        cache_key = (table.name, *key.values())
        found = self.cache.get(cache_key) or self.fresh.get(cache_key)
        if found is None and (found := self._select(table, key)) is not None:
            self.fresh[cache_key] = found
        return found

    def _id(
        self,
        table: Table,
        key: dict[str, Any],
        others: dict[str, Any] | None = None,
        stamped: bool = True,
    ) -> int:
        found = self._known(table, key)
        if found is not None:
            return found
        stamp = {"created_ms": self.now_ms} if stamped else {}
        insert_new(self.connection, table, [{**key, **(others or {}), **stamp}])
        created = self._select(table, key)
        assert created is not None
        self.fresh[(table.name, *key.values())] = created
        return created

    def _select(self, table: Table, key: dict[str, Any]) -> int | None:
        found: int | None = self.connection.scalar(_selecting(table, tuple(key)), key)
        return found


@cache
def _selecting(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Built once: on the path of every submission, building it costs more than running it."""
    return select(table.c.id).where(*(table.c[name] == bindparam(name) for name in names))


@cache
def _looking_up() -> Select[Any]:
    t, w = names.team.c, names.workload.c
    some = w.name.in_(bindparam("names", expanding=True))
    return (
        select(
            t.name.label("team"),
            t.id.label("team_id"),
            w.name.label("workload"),
            w.id.label("workload_id"),
        )
        .outerjoin(names.workload, (w.team_id == t.id) & some)
        .where(t.name.in_(bindparam("teams", expanding=True)))
    )


def team_id(connection: Connection, name: str, now_ms: int) -> int:
    return Identities(connection, now_ms, {}).team(name)


def device_ids(connection: Connection, uuids: Collection[str]) -> list[int]:
    """Those that are known."""
    d = names.device.c
    return list(connection.scalars(select(d.id).where(d.uuid.in_(uuids))))


def find_workload(connection: Connection, name: WorkloadName) -> int | None:
    """By its name or one that it had before; where it was merged, the one that it counts as."""
    team, workload = names.team.c, names.workload.c
    of_team = connection.scalar(select(team.id).where(team.name == name.team))
    if of_team is None:
        return None
    by_name = select(workload.id).where(workload.team_id == of_team, workload.name == name.name)
    found = connection.scalar(by_name)
    if found is None:
        found = alias_of(connection, of_team, name.name)
    return None if found is None else final(merges(connection), found)


def workload_names(
    connection: Connection, team: str | None = None
) -> list[tuple[int, WorkloadName]]:
    """All workloads, of one team or of all, in order of name; merged ones under their new name."""
    query = (
        select(names.workload.c.id, names.team.c.name, names.workload.c.name)
        .join(names.team)
        .order_by(names.team.c.name, names.workload.c.name)
    )
    if team is not None:
        query = query.where(names.team.c.name == team)
    merged = is_merged(connection)
    return [
        (row[0], WorkloadName(row[1], row[2]))
        for row in connection.execute(query)
        if row[0] not in merged
    ]


def check_room(connection: Connection, limit: int) -> None:
    """Raises InvalidInput(`too_many_names`) where writes have created too many names."""
    count = connection.scalar(
        select(func.count()).select_from(names.workload).where(names.workload.c.is_named.is_(False))
    )
    if (count or 0) > limit:
        raise InvalidInput(
            "too_many_names",
            f"more than {limit} workloads wait for a name; name or merge some first",
        )
