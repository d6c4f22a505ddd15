"""`foretrain compare`: several scenarios, or one scenario on several accelerators."""

from __future__ import annotations

import click

from sim.cli import options
from sim.errors import InfeasibleError
from sim.files import load_document
from sim.report.compare import render, to_json
from sim.study.compare import run_all


@click.command()
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--accelerator", "accelerators", multiple=True, help="Run on this accelerator (repeatable).")
@options.common
def command(
    scenarios: tuple[str, ...],
    accelerators: tuple[str, ...],
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Print SCENARIOS side by side with their ratios and what causes them."""
    if len(scenarios) * max(1, len(accelerators)) < 2:
        raise click.UsageError("nothing to compare: give two scenarios, or one with two --accelerator")
    loaded = []
    for name in scenarios:
        for chip in accelerators or (None,):
            label = name if chip is None else f"{name} on {chip}"
            loaded.append((label, load_document(name, sets if chip is None else _on(chip, sets))))
    outcomes = run_all(loaded, seed or 0)
    if as_json:
        options.write_json(to_json(outcomes))
    else:
        click.echo(render(outcomes))
    reasons = [case.infeasible for case in outcomes if case.infeasible is not None]
    if len(reasons) == len(outcomes):
        raise InfeasibleError(reasons[0])


def _on(chip: str, sets: tuple[str, ...]) -> tuple[str, ...]:
    """Overrides with the accelerator named before those of its fields: `--set accelerator.memory…` holds for all."""
    of_chip = [text for text in sets if text.startswith(("accelerator.", "cluster.accelerator."))]
    return (*(text for text in sets if text not in of_chip), f"accelerator={chip}", *of_chip)
