"""What the playbook found, for people: lines of a terminal, and a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from carbon.cli.experiment_words import change_words
from carbon.cli.output import mass

if TYPE_CHECKING:
    from carbon.playbook.comparison import NotRun

AT_99: Final = (
    "Intervals are at 95 %; a verdict holds at 99 %, so that some intervals leave out 0 and "
    "say inconclusive: give those more blocks."
)


def line_of(told: dict[str, Any], url: str) -> str:
    """With the address of its page."""
    sci = told["deltas"]["sci"]
    return (
        f"  {told['verdict']:13} {told['title']}\n"
        f"  {'':13} {mass(sci['baseline'])} -> {mass(sci['treatment'])} per {told['unit']}  "
        f"{change_words(sci)}{_quality(told, '  ')}\n"
        f"  {'':13} {url}/experiments/{told['id']}"
    )


def not_run_line(skipped: NotRun) -> str:
    return f"  {'not run':13} {skipped.title}: {skipped.why}"


def playbook_markdown(
    done: Sequence[dict[str, Any]],
    not_run: Sequence[tuple[str, NotRun]],
    device: str,
    seconds: float,
) -> str:
    """What a run found on one machine, honest negatives included."""
    from carbon.bench.figure import commit, machine

    methods = sorted({m for told in done for m in told["baseline"]["methods"]})
    lines = [
        "# Playbook",
        "",
        f"`carbon playbook run` at {commit()} on {machine()}, models on {device}; {len(done)} "
        f"experiments in {seconds:.0f} s. Energy by {', '.join(methods)}. {AT_99}",
        "",
        "| technique | what | per | verdict | SCI (95 %) | quality |",
        "|-|-|-|-|-|-|",
    ]
    lines += [
        f"| {told['technique']} | {told['title']} | {told['unit']} | {told['verdict']} | "
        f"{change_words(told['deltas']['sci'])} | {_quality(told)} |"
        for told in done
    ]
    lines += [
        f"| {technique} | {one.title} | | not run: {one.why} | | |" for technique, one in not_run
    ]
    return "\n".join(lines) + "\n"


def _quality(told: dict[str, Any], before: str = "") -> str:
    quality = told["deltas"]["quality"]
    return f"{before}{told['quality_metric']} {quality['value']:+.3f}" if quality else ""
