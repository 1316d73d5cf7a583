"""Which metric is whose energy: rules in TOML, shipped for what most people run.

    presets = ["dcgm", "vllm"]     # shipped rules to keep; all of them where nothing is said
    drop_labels = ["prometheus_replica"]   # what tells copies of one series apart

    [teams]                        # first part of a workload's name, such as a namespace
    prod = "search"

    [alias]                        # a workload's name as exported = as it is called here
    "search/vllm-llama" = "search/chat"

    [[rule]]
    name = "psu"                   # stands in the source's name
    metric = "rack_psu_energy_wh_total"
    kind = "energy"                # energy (a counter), power (a gauge) or units (a counter)
    unit = "Wh"                    # J mJ uJ Wh kWh, W mW kW, or the name of a functional unit
    device = "{rack}/psu-{psu}"    # the first template whose labels are all there
    host = ["{node}", "{instance}"]
    device_kind = "other"
    subject = "pod:{namespace}/{pod}"
    workload = "{namespace}/{pod|owner}"
    where = { phase = "total" }    # labels that must match, as regular expressions
    reset = "zero"                 # zero, wrap (with `wraps_at`) or gap
    min_w = 1.0                    # what lies outside is told and not counted
    max_w = 3000.0
    gap_s = 300                    # longer silences are bridged (counters) or missing (gauges)

Rules of the file stand before the shipped ones; the first that matches a series decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

import msgspec

from carbon.domain.claims import SubjectRef
from carbon.domain.energy import Method
from carbon.domain.tenancy import parse_workload
from carbon.errors import InvalidInput
from carbon.imports.series import NAME_LABEL

#: mJ of one unit of a counter, mW of one of a gauge.
_ENERGY: Final = {"mJ": 1.0, "uJ": 1e-3, "J": 1e3, "kJ": 1e6, "Wh": 3.6e6, "kWh": 3.6e9}
_POWER: Final = {"mW": 1.0, "W": 1e3, "kW": 1e6}
_FIELD: Final = re.compile(r"\{([\w.]+)(\|owner)?\}")
#: The random ends of names that Kubernetes gives to the pods of one owner.
_POD_ENDS: Final = re.compile(r"(-[a-f0-9]{6,10})?-[a-z0-9]{5}$|-\d+$")
_NUL: Final = "\0"
_SHOWN_FOR_NUL: Final = "\ufffd"
_UNNAMEABLE: Final = re.compile(r"[^\w.:@+-]+")
_REPLICA_LABELS: Final = ("prometheus_replica", "__replica__", "replica_external_label")
#: Metrics that speak of energy, power or tokens: told where no rule reads them.
_TELLING: Final = re.compile(
    r"(joules|energy|watts|power_usage|power_draw|tokens)(_|$|\.)|(ENERGY|POWER_USAGE)"
)
_PRESETS: Final = Path(__file__).parent / "presets"

Templates = str | list[str]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one metric is read; see the head of this module."""

    name: str
    metric: str
    kind: Literal["energy", "power", "units"]
    unit: str
    device: Templates = []
    host: Templates = msgspec.field(default_factory=lambda: ["{host.name}", "{node}", "{instance}"])
    device_kind: Templates = "other"
    model: Templates = []
    subject: Templates = []
    workload: Templates = []
    where: dict[str, str] = {}
    #: Pods that are the exporter itself, by the name of their pod: seen in every label set.
    not_pod: str = ""
    reset: Literal["zero", "wrap", "gap"] = "zero"
    wraps_at: list[float] = []
    min_w: float = 0.0
    max_w: float = 100_000.0
    gap_s: float = 300.0
    #: Each series is one subject's part of the device, not the whole of it.
    parts: bool = False
    #: Of a gauge: `averaged` or `integrated`. Of a counter that no sensor backs: `modelled`.
    method: str = ""
    sentinels: list[float] = []

    @property
    def scale(self) -> float:
        """To mJ or mW; 1 for units, which are counted as they are."""
        return {**_ENERGY, **_POWER}.get(self.unit, 1.0) if self.kind != "units" else 1.0

    @property
    def energy_method(self) -> Method:
        if self.method:
            return Method.of(self.method)
        return Method.COUNTER if self.kind == "energy" else Method.AVERAGED


class MappingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    presets: list[str] | None = None
    drop_labels: list[str] = []
    teams: dict[str, str] = {}
    alias: dict[str, str] = {}
    rule: list[Rule] = []


@dataclass(frozen=True, slots=True)
class Placed:
    """What a series is: its rule, and what its labels say."""

    rule: Rule
    #: Of the rule with its preset, as it stands in a source's name: `dcgm.energy`.
    title: str
    #: What one running total belongs to: the device, or the series where each is a part.
    track: str
    device: str
    host: str
    kind: str
    model: str
    subject: str | None
    workload: str | None


@dataclass(frozen=True, slots=True)
class Misread:
    """A series that cannot be placed, and why."""

    code: str
    about: str
    detail: str


class MetricMapping:
    """All rules in order of precedence. What a set of labels comes to is worked out once."""

    def __init__(self, file: MappingFile, shipped: Sequence[tuple[str, Rule]]) -> None:
        self._rules = [("own", rule) for rule in file.rule] + list(shipped)
        for _, rule in self._rules:
            _check(rule)
        self._teams = file.teams
        self._alias = _flat(file.alias)
        self._dropped = frozenset([*_REPLICA_LABELS, *file.drop_labels])
        self._placed: dict[tuple[tuple[str, str], ...], Placed | Misread | None] = {}

    @cached_property
    def metrics(self) -> frozenset[str]:
        """Every metric that a rule reads."""
        return frozenset(rule.metric for _, rule in self._rules)

    @cached_property
    def digest(self) -> str:
        """Changes with any rule."""
        told = msgspec.json.encode([self._rules, self._teams, self._alias, sorted(self._dropped)])
        return blake2b(told, digest_size=8).hexdigest()

    def place(self, labels: Mapping[str, str]) -> Placed | Misread | None:
        """None for a metric that is not about energy or units."""
        key = tuple(sorted(labels.items()))
        try:
            return self._placed[key]
        except KeyError:
            if len(self._placed) > 100_000:
                self._placed.clear()
            placed = self._placed[key] = _storable(self._place(dict(key)))
            return placed

    def speaks_of(self, metric: str) -> bool:
        """Whether a rule reads a metric, or ought to."""
        return metric in self.metrics or bool(_TELLING.search(metric))

    def near(self, metric: str) -> list[str]:
        return get_close_matches(metric, sorted(self.metrics), n=1, cutoff=0.6)

    def _place(self, labels: dict[str, str]) -> Placed | Misread | None:
        for dropped in self._dropped & labels.keys():
            del labels[dropped]
        metric = labels.get(NAME_LABEL, "")
        for preset, rule in self._rules:
            if rule.metric == metric and _matches(rule, labels):
                return self._read(preset, rule, labels)
        if metric in self.metrics or not _TELLING.search(metric):
            return None
        if metric.endswith(("_bucket", "_count", "_created")):
            return None
        near = self.near(metric)
        hint = f"was {near[0]} renamed? " if near else ""
        return Misread("unmapped_metric", metric, f"{hint}no rule of the mapping reads it")

    def _read(self, preset: str, rule: Rule, labels: dict[str, str]) -> Placed | Misread:
        title = f"{preset}.{rule.name}"
        host = _first(rule.host, labels) or ""
        own_pod = bool(rule.not_pod) and re.fullmatch(rule.not_pod, labels.get("pod", ""))
        seen = {k: v for k, v in labels.items() if k not in ("pod", "namespace", "container")}
        told = seen if own_pod else labels
        workload = self._workload(_first(rule.workload, told))
        if rule.kind == "units":
            if workload is None:
                return _missing(rule, title, rule.workload, labels)
            track = _series_of(title, labels)
            return Placed(rule, title, track, "", host, "", "", None, workload)
        device = _first(rule.device, labels)
        if device is None:
            return _missing(rule, title, rule.device, labels)
        subject = _first(rule.subject, told)
        track = _series_of(title, labels) if rule.parts else f"{title}|{device}"
        kind, model = _first(rule.device_kind, labels) or "other", _first(rule.model, labels) or ""
        return Placed(rule, title, track, device, host, kind, model, subject, workload)

    def _workload(self, text: str | None) -> str | None:
        if text is None:
            return None
        team, slash, name = text.partition("/")
        name = _UNNAMEABLE.sub("-", name if slash else team).strip("-")[:90]
        if slash:
            team = _UNNAMEABLE.sub("-", team).strip("-")
            name = f"{self._teams.get(team, team)}/{name}"
        return self._alias.get(name, name)


def load_mapping(path: Path | None = None) -> MetricMapping:
    """The rules of a file before the shipped ones.

    Raises InvalidInput: `mapping_unreadable`, `mapping_invalid`, `mapping_loops`.
    """
    file = MappingFile() if path is None else _read_file(path)
    wanted = preset_names() if file.presets is None else file.presets
    if unknown := set(wanted) - set(preset_names()):
        raise InvalidInput(
            "mapping_invalid",
            f"no preset {sorted(unknown)[0]!r}: there are {', '.join(preset_names())}",
        )
    shipped = [(name, rule) for name in wanted for rule in _preset(name).rule]
    return MetricMapping(file, shipped)


def preset_names() -> list[str]:
    return sorted(path.stem for path in _PRESETS.glob("*.toml"))


def preset_text(name: str) -> str:
    """Raises InvalidInput(`mapping_invalid`) for a preset that is not shipped."""
    if name not in preset_names():
        raise InvalidInput("mapping_invalid", f"no preset {name!r}: {', '.join(preset_names())}")
    return (_PRESETS / f"{name}.toml").read_text("utf-8")


def _preset(name: str) -> MappingFile:
    return msgspec.toml.decode(preset_text(name), type=MappingFile)


def _read_file(path: Path) -> MappingFile:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=MappingFile)
    except OSError as error:
        raise InvalidInput(
            "mapping_unreadable", f"cannot read the mapping {path}: {error.strerror}"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("mapping_invalid", f"the mapping {path}: {error}") from None


def _check(rule: Rule) -> None:
    """Raises InvalidInput(`mapping_invalid`) with what is wrong in which rule."""

    def wrong(what: str) -> InvalidInput:
        return InvalidInput("mapping_invalid", f"rule {rule.name!r} of {rule.metric!r}: {what}")

    known = {"energy": _ENERGY, "power": _POWER}.get(rule.kind)
    if known is not None and rule.unit not in known:
        raise wrong(f"unit {rule.unit!r} is none of {', '.join(known)}")
    if known is not None and not rule.device:
        raise wrong("it names no device")
    if known is None and not rule.workload:
        raise wrong("units need a workload")
    if rule.reset == "wrap" and not rule.wraps_at:
        raise wrong("reset = 'wrap' needs wraps_at")
    try:
        for pattern in (*rule.where.values(), rule.not_pod):
            re.compile(pattern)
        if rule.method:
            Method.of(rule.method)
        for template in _each(rule.workload):
            parse_workload(_FIELD.sub("x", template), "x")
        for template in _each(rule.subject):
            SubjectRef.parse(_FIELD.sub("x", template))
    except (re.error, KeyError, ValueError, InvalidInput) as error:
        raise wrong(str(error)) from None


def _flat(alias: Mapping[str, str]) -> dict[str, str]:
    """Each name to the last of its chain. Raises InvalidInput(`mapping_loops`)."""
    flat = {}
    for name in alias:
        chain = [name]
        while (following := alias.get(chain[-1])) is not None:
            if following in chain:
                told = " = ".join([*chain, following])
                raise InvalidInput(
                    "mapping_loops", f"the names of [alias] lead in a circle: {told}"
                )
            chain.append(following)
        flat[name] = chain[-1]
    return flat


def _storable(placed: Placed | Misread | None) -> Placed | Misread | None:
    """What no text may hold is told of its series alone: PostgreSQL would refuse all that came with
    it."""
    told = [getattr(placed, each.name) for each in fields(placed)] if placed else []
    texts = [text for text in told if isinstance(text, str)]
    if not any(_NUL in text for text in texts):
        return placed
    if isinstance(placed, Misread):
        return Misread(*(text.replace(_NUL, _SHOWN_FOR_NUL) for text in texts))
    assert placed is not None
    names = [placed.device, placed.host, placed.subject or "", placed.workload or ""]
    about = next((name for name in names if _NUL in name), placed.title)
    detail = f"a label that rule {placed.title} reads holds U+0000, which no text may"
    return Misread("label_unstorable", about.replace(_NUL, _SHOWN_FOR_NUL), detail)


def _matches(rule: Rule, labels: Mapping[str, str]) -> bool:
    return all(re.fullmatch(want, labels.get(name, "")) for name, want in rule.where.items())


def _each(templates: Templates) -> Iterable[str]:
    return [templates] if isinstance(templates, str) else templates


def _first(templates: Templates, labels: Mapping[str, str]) -> str | None:
    """The first template whose labels are all there and not empty, filled in."""
    for template in _each(templates):
        if all(labels.get(field[0]) for field in _FIELD.findall(template)):
            return _FIELD.sub(lambda found: _filled(found, labels), template)
    return None


def _filled(found: re.Match[str], labels: Mapping[str, str]) -> str:
    value = labels[found[1]]
    return _POD_ENDS.sub("", value) if found[2] else value


def _missing(rule: Rule, title: str, templates: Templates, labels: Mapping[str, str]) -> Misread:
    wanted = sorted({field[0] for t in _each(templates) for field in _FIELD.findall(t)})
    seen = labels.get("instance") or labels.get("host.name") or ""
    where = f" of {seen}" if seen else ""
    return Misread(
        "label_missing",
        f"{rule.metric}{where}",
        f"rule {title} needs {' or '.join(wanted)}, the series has none of what it needs",
    )


def _series_of(title: str, labels: Mapping[str, str]) -> str:
    told = "\0".join(f"{k}\1{v}" for k, v in sorted(labels.items()))
    return f"{title}|{blake2b(told.encode(), digest_size=9).hexdigest()}"
