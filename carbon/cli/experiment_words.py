"""An experiment for people: lines of a terminal, a comment of a merge request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carbon.cli.output import energy, mass, significant

_WORDS = {
    "saves": "saves carbon",
    "costs": "costs carbon",
    "inconclusive": "inconclusive: the difference does not stand out from the noise",
}


def line_of(summary: dict[str, Any]) -> str:
    gates = "" if summary["passed"] else "  GATE FAILED"
    return (
        f"{summary['id']}  {summary['recorded'][:10]}  {summary['workload']}  "
        f"{summary['technique']}  {summary['verdict']}  SCI {change_words(summary)}{gates}"
    )


def experiment_lines(told: dict[str, Any]) -> str:
    return "\n".join(_lines(told))


def _lines(told: dict[str, Any]) -> Iterable[str]:
    unit = told["unit"]
    yield f"{told['id']}  {told['workload']}  {told['technique']}  {told['title']}".rstrip()
    yield f"  verdict      {_WORDS[told['verdict']]} (at {told['verdict_confidence']:.0%})"
    for name, show in (("energy", energy), ("operational", mass), ("embodied", mass)):
        yield _delta_line(name, told["deltas"][name], show, unit)
    yield _delta_line("SCI", told["deltas"]["sci"], mass, unit)
    if quality := told["deltas"]["quality"]:
        low, high = significant_signed(quality["low"]), significant_signed(quality["high"])
        yield f"  quality      {significant_signed(quality['value'])} (95 %: {low} to {high})"
    if fairness := told["deltas"]["fairness"]:
        yield _fairness_line(fairness)
    for gate in told["gates"]:
        yield f"  gate         {gate['name']} within {gate['limit']}: {gate['outcome']}"
    if told["break_even"]:
        yield f"  pays back    {_pay_back(told['break_even'], unit)}"
    yield f"  total a day  {_rebound(told['rebound'], unit)}"
    yield f"  energy by    {', '.join(told['baseline']['methods'])}"
    if told["caveats"]:
        yield f"  mind         {', '.join(told['caveats'])}"
    if told["not_measured"]:
        yield f"  not measured {', '.join(told['not_measured'])}"


def _delta_line(name: str, delta: dict[str, Any], show: Any, unit: str) -> str:
    before, after = show(delta["baseline"]), show(delta["treatment"])
    return f"  {name:12} {before} -> {after} per {unit}  {change_words(delta)}"


def _fairness_line(fairness: dict[str, Any]) -> str:
    worst = fairness["worst_group_loss"]
    if worst is None:
        return "  groups       all too small to be judged"
    return (
        f"  groups       worst {fairness['worst_group']}: accuracy lost "
        f"{significant_signed(worst['value'])} (95 %: {significant_signed(worst['low'])} to "
        f"{significant_signed(worst['high'])})"
    )


def _pay_back(paid: dict[str, Any], unit: str) -> str:
    cost = mass(paid["cost_g"])
    if paid["count"] is None:
        return f"never: making it took {cost} and nothing is saved"
    upto = "no bound is sure" if paid["high"] is None else f"at most {significant(paid['high'])}"
    return f"{cost} after {significant(paid['count'])} {unit} ({upto})"


def _rebound(total: dict[str, Any], unit: str) -> str:
    before, after = total["baseline_g_per_day"], total["treatment_g_per_day"]
    counts = total["baseline_count_per_day"], total["treatment_count_per_day"]
    return (
        f"{mass(before)} -> {mass(after)} for {significant(counts[0])} -> "
        f"{significant(counts[1])} {unit}"
    )


def change_words(delta: dict[str, Any]) -> str:
    """Of the baseline, with its bounds."""
    return _percent(delta["relative"], delta["relative_low"], delta["relative_high"])


def _percent(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return "no baseline"
    return f"{value:+.1%} (95 %: {low:+.1%} to {high:+.1%})"


def significant_signed(value: float) -> str:
    return f"{value:+.3g}"


def experiment_markdown(told: dict[str, Any]) -> str:
    """Verdict, differences, gates and caveats as a table that GitHub and GitLab draw."""
    unit = told["unit"]
    rows = [
        ("Energy", told["deltas"]["energy"], energy),
        ("Operational", told["deltas"]["operational"], mass),
        ("Embodied", told["deltas"]["embodied"], mass),
        ("**SCI**", told["deltas"]["sci"], mass),
    ]
    lines = [
        f"### carbon: `{told['technique']}` {_WORDS[told['verdict']]}",
        "",
        f"| per {unit} | baseline | treatment | change (95 %) |",
        "|-|-|-|-|",
        *(
            f"| {name} | {show(d['baseline'])} | {show(d['treatment'])} | {change_words(d)} |"
            for name, d, show in rows
        ),
    ]
    if told["gates"]:
        lines += ["", "| gate | limit | found | |", "|-|-|-|-|"]
        lines += [_gate_row(gate) for gate in told["gates"]]
    if told["caveats"]:
        lines += ["", f"Mind: {', '.join(told['caveats'])}."]
    not_measured = ", ".join(told["not_measured"]) or "nothing"
    lines += ["", f"Not measured: {not_measured}. Experiment `{told['id']}`."]
    return "\n".join(lines)


def _gate_row(gate: dict[str, Any]) -> str:
    value = gate["value"]
    shown = "–" if value is None else value if isinstance(value, str) else f"{value:+.3g}"
    if gate["high"] is not None:
        shown += f" (at most {gate['high']:+.3g})"
    mark = "✅" if gate["outcome"] == "passed" else "❌"
    return f"| {gate['name']} | {gate['limit']} | {shown} | {mark} {gate['outcome']} |"
