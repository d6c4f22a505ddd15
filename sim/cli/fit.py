"""`foretrain fit`: a learning curve, loss law or batch law from pilot runs."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli import options
from sim.cli.output import Output
from sim.cli.terminal import answer
from sim.files.pilot import Law

_POSITIVE = click.FloatRange(0, min_open=True)


@options.command()
@click.argument("csv", type=click.Path(path_type=Path))
@click.option(
    "--law",
    type=click.Choice(["curve", "loss", "batch"]),
    default="curve",
    show_default=True,
    help="curve: columns units, error[, parameters]; loss: parameters, units, error[, unique_units]; "
    "batch: batch, steps.",
)
@click.option("--unit", default="unit", help="What the units count: word, token, image …")
@click.option("--metric", default="error", help="Unit of the error: nat/word, top-1 error fraction …")
@click.option("--best-guess", type=_POSITIVE, help="Error of guessing, without training.")
@click.option("--target", type=_POSITIVE, help="Error wanted, written into the domain.")
@click.option("--units-per-sample", type=_POSITIVE, help="Units of data a sample holds.")
@click.option("--prior", help="Scaling domain whose loss law the fit is drawn to (--law loss).")
@options.file_option("-o", "--output", help="Write the domain, to be used as `scaling:` (YAML).")
@options.picture_option("--plot", help="Draw the curve and its band (HTML).")
@options.force_option
@options.json_option
@options.quiet_option
@options.debug_option
def command(
    csv: Path,
    law: Law,
    unit: str,
    metric: str,
    best_guess: float | None,
    target: float | None,
    units_per_sample: float | None,
    prior: str | None,
    output: Path | None,
    plot: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit the learning curve of pilot runs in CSV; the domain it writes is used as `scaling:`.

    Shards of growing size as in Hestness et al. 2017: the best model of every shard counts.
    """
    if prior and law != "loss":
        raise click.UsageError("--prior goes with --law loss")
    if plot and law != "curve":
        raise click.UsageError("--plot draws a learning curve")
    files = Output(force, quiet, (csv,))
    files.check(output, plot)
    from sim.files.scaling import domain_text  # noqa: PLC0415  (start-up time)
    from sim.report import fit as report  # noqa: PLC0415  (scipy)
    from sim.report.figures.curves import learning_curve  # noqa: PLC0415
    from sim.report.figures.kit import page  # noqa: PLC0415
    from sim.study.fit import fit  # noqa: PLC0415  (scipy)

    fitted = fit(
        csv,
        law,
        unit=unit,
        metric=metric,
        best_guess=best_guess,
        target=target,
        units_per_sample=units_per_sample,
        prior=prior,
    )
    if output is not None:
        files.write(output, domain_text(fitted.domain, ("Written by foretrain fit.", *fitted.warnings)))
    if plot is not None:
        files.write(plot, page(learning_curve(fitted)))
    for text in fitted.warnings:
        files.tell(f"warning: {text}")
    answer(fitted, report.render, report.to_json, as_json)
