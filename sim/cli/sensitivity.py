"""`foretrain sensitivity`: what each hardware property is worth."""

from __future__ import annotations

import click
from click.core import ParameterSource

from sim.cli import options
from sim.cli.terminal import advise, show_as
from sim.files import build, load_document, locating
from sim.files.idle import idle_fields
from sim.report import shares
from sim.report.sensitivity import as_table, render, to_json
from sim.study.sensitivity import sensitivity
from sim.study.sensitivity import sobol as variance


@options.command()
@options.scenario_argument
@click.option("--metric", default="time_to_target_s", help="The figure asked about, e.g. step_s, energy_j.")
@click.option("--property", "names", multiple=True, help="Only this property (repeatable).")
@click.option("--step", default=1.1, help="Factor a property is turned by, up and down.")
@click.option("--sobol", is_flag=True, help="Shares of the variance instead of elasticities.")
@click.option("--span", default=2.0, help="With --sobol: properties between 1/SPAN and SPAN of their value.")
@click.option("--samples", default=64, help="With --sobol: base samples, a power of two.")
@options.format_option
@options.common
def command(
    scenario: str,
    metric: str,
    names: tuple[str, ...],
    step: float,
    sobol: bool,
    span: float,
    samples: int,
    form: str,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Elasticities of a figure of SCENARIO in every hardware property, largest first: a tornado."""
    _check_options(sobol)
    document, form = load_document(scenario, sets), "json" if as_json else form
    with locating(document):
        asked = build(document)
        turned = None if sobol else sensitivity(asked, metric, names, step, seed or 0)
        varied = variance(asked, metric, names, span, samples, seed or 0) if sobol else None
    advise(idle_fields(document, asked), quiet)
    if varied is not None:
        show_as(varied, shares.as_table, shares.render, shares.to_json, form)
    if turned is not None:
        show_as(turned, as_table, render, to_json, form)


def _check_options(sobol: bool) -> None:
    """What only the other of the two ways reads is refused."""
    source = click.get_current_context().get_parameter_source
    others = {"step": "--step"} if sobol else {"span": "--span", "samples": "--samples"}
    idle = [flag for name, flag in others.items() if source(name) == ParameterSource.COMMANDLINE]
    if idle:
        raise click.UsageError(f"{', '.join(idle)} {'goes without' if sobol else 'goes with'} --sobol")
