"""`carbon sci`: what a workload emits per unit of what it does."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.output import energy, mass, print_json, significant


def register(app: typer.Typer) -> None:
    @app.command()
    def sci(
        workload: str,
        start: Annotated[str | None, typer.Option(help="RFC 3339, by default the first.")] = None,
        end: Annotated[str | None, typer.Option(help="RFC 3339, by default now.")] = None,
        unit: Annotated[str | None, typer.Option(help="Functional unit.")] = None,
        run: Annotated[str | None, typer.Option(help="One run alone.")] = None,
        gaps: Annotated[
            str | None, typer.Option(help="show (by default) or fill: estimate what was not read.")
        ] = None,
        json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    ) -> None:
        """SCI (ISO/IEC 21031) of a workload, with its interval and where it comes from."""
        from carbon.client import Client

        answer = Client().sci(workload, start=start, end=end, unit=unit, run=run, gaps=gaps)
        if json:
            print_json(answer)
        else:
            typer.echo(sci_lines(answer))


def sci_lines(answer: dict[str, Any]) -> str:
    """An SCI answer for people: the figure, its interval, and who says so."""
    if answer.get("reason") == "no_energy":
        window = f"{answer['start']} to {answer['end']}"
        return f"{answer['workload']}  {window}: no reading"
    lines = [
        f"{answer['workload']}  {answer['start']} to {answer['end']}",
        f"  energy       {energy(answer['energy_mj'])}  ({_methods(answer)})",
        f"  carbon       {mass(answer['total_g'])}  = operational {mass(answer['operational_g'])}"
        f" + embodied {mass(answer['embodied_g'])}",
        f"  SCI          {_score(answer)}",
    ]
    lines += [
        f"  intensity    {used['zone']} from {used['source']}: {used['kind']} {used['signal']},"
        f" {used['scope']}, {used['energy_share']:.0%} of the energy"
        for used in answer["intensity"]
    ]
    if answer["coverage"] is not None:
        lines.append(f"  coverage     {answer['coverage']:.0%} of the expected device-time")
    if answer["flags"]:
        lines.append(f"  mind         {', '.join(answer['flags'])}")
    return "\n".join(lines)


def _score(answer: dict[str, Any]) -> str:
    if answer["sci_g_per_unit"] is None:
        return f"none ({answer['reason']})"
    count = significant(answer["count"], 6)
    return (
        f"{mass(answer['sci_g_per_unit'])} per {answer['unit']}"
        f"  (95 %: {mass(answer['low'])} to {mass(answer['high'])}; {count} counted)"
    )


def _methods(answer: dict[str, Any]) -> str:
    shares = sorted(answer["methods"].items(), key=lambda pair: -pair[1])
    return ", ".join(f"{share:.0%} {method}" for method, share in shares) or "nothing read"
