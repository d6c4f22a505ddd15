"""`foretrain footprint`: a trained model on a chip: size, memory, latency, energy of a query, training."""

from __future__ import annotations

from math import isfinite

import click

from sim.cli import options
from sim.cli.model import load_model
from sim.cli.terminal import show_as
from sim.errors import InputError, Problem
from sim.files.hardware import load_accelerator
from sim.files.quality import qualities
from sim.report.footprint import as_table, footprint_json, footprint_text
from sim.study.footprint import footprint


@options.command()
@click.argument("name")
@click.option("--accelerator", default="a100-sxm4-80gb", show_default=True, help="Name or file of the chip.")
@click.option(
    "--batch",
    type=click.IntRange(1, options.MOST_SAMPLES),
    default=32,
    show_default=True,
    help="Queries at once (throughput).",
)
@click.option(
    "--samples",
    type=click.FloatRange(min=0, min_open=True),
    help="Training samples; default: 20 units per active parameter.",
)
@click.option(
    "--decode", type=click.IntRange(1, options.MOST_SAMPLES), help="A query adds one token after so many (decoders)."
)
@click.option("--parameters", type=float, default=None, help="Solve the sizes left open for this parameter count.")
@options.sets_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.format_option
@options.quiet_option
@options.debug_option
def command(
    name: str,
    accelerator: str,
    batch: int,
    samples: float | None,
    decode: int | None,
    parameters: float | None,
    sets: tuple[str, ...],
    as_json: bool,
    form: str,
    quiet: bool,
) -> None:
    """Footprint of a trained model: NAME is a published model, a config.json, or a family (see `foretrain model`).

    Parameters, size on disk, memory, latency, throughput and energy of a query, with weights in fp32, 16 bits, fp8,
    int8 and every narrow format of the chip, in 4 bits beside wider products, pruned 2:4, and distilled to half of the
    blocks; where it was published, the quality of a variant beside that of the model before it, and whether it lies on
    the frontier of quality against footprint.
    """
    if samples is not None and not isfinite(samples):
        raise InputError(Problem("must be finite", "samples", f"{samples:g}"))
    model, _ = load_model(name, sets, parameters)
    published = {} if sets or parameters else qualities(name)  # of the model as it was published
    found = footprint(model, load_accelerator(accelerator), batch, samples, decode, published)
    show_as(found, as_table, footprint_text, footprint_json, "json" if as_json else form)
