"""`foretrain calibrate`: an accelerator file from your own timings of kernels, a cluster file from collectives."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli import options
from sim.cli.output import Output
from sim.cli.terminal import answer


@options.command()
@click.argument("csv", type=click.Path(path_type=Path))
@click.option("--accelerator", metavar="BASE", help="The chip kernels were timed on, by name or file.")
@click.option("--cluster", metavar="BASE", help="The cluster collectives were timed on, by name or file.")
@options.file_option("-o", "--output", help="Write the accelerator or cluster, named after the file (YAML).")
@options.force_option
@options.json_option
@options.quiet_option
@options.debug_option
def command(
    csv: Path,
    accelerator: str | None,
    cluster: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit the achievable rates of BASE to what was timed in CSV, with 90 % intervals.

    Columns: kind and seconds in every row. On a chip, kind is gemm, attention or memory; gemm: format, m, n, k[,
    batch]; attention: format, sequence, heads, head_dim, causal, direction[, batch, kv_heads]; memory: bytes, read and
    written together. On a cluster, kind is collective: collective (all_reduce …), bytes (of one rank), devices.
    Constants the rows cannot tell stay those of BASE.
    """
    if (accelerator is None) == (cluster is None):
        raise click.UsageError("name the chip (--accelerator) or the cluster (--cluster) that was timed")
    base = str(accelerator or cluster)
    files = Output(force, quiet, (csv, base))
    files.check(output)
    from sim.files.cluster_text import dump_levels  # noqa: PLC0415  (start-up time)
    from sim.files.clusters import ClusterFile  # noqa: PLC0415
    from sim.files.hardware_text import dump_accelerator  # noqa: PLC0415
    from sim.report import calibrate as report  # noqa: PLC0415  (scipy)
    from sim.study.calibrate import calibrate  # noqa: PLC0415  (scipy)

    found = calibrate(csv, accelerator, output.stem if output is not None else None, cluster=cluster)
    if output is not None:
        comments = ("Written by foretrain calibrate.", *found.warnings)
        if isinstance(found.file, ClusterFile):
            files.write(output, dump_levels(found.file, base_name(base), comments))
        else:
            files.write(output, dump_accelerator(found.file, comments))
    for text in found.warnings:
        files.tell(f"warning: {text}")
    answer(found, report.render, report.to_json, as_json)


def base_name(base: str) -> str:
    """What a file elsewhere calls the base: its name in the library, or where it lies."""
    return str(Path(base).resolve()) if base.endswith((".yaml", ".yml")) else base
