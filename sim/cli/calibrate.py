"""`foretrain calibrate`: an accelerator file from your own timings of products, attention and memory."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli import options
from sim.cli.output import Output
from sim.cli.terminal import answer


@options.command()
@click.argument("csv", type=click.Path(path_type=Path))
@click.option("--accelerator", required=True, metavar="BASE", help="The chip they were taken on, by name or file.")
@options.file_option("-o", "--output", help="Write the accelerator, named after the file (YAML).")
@options.force_option
@options.json_option
@options.quiet_option
@options.debug_option
def command(csv: Path, accelerator: str, output: Path | None, force: bool, as_json: bool, quiet: bool) -> None:
    """Fit the achievable rates of BASE to the kernels timed in CSV, with 90 % intervals.

    Columns: kind (gemm, attention, memory) and seconds in every row; gemm: format, m, n, k[, batch]; attention: format,
    sequence, heads, head_dim, causal, direction[, batch, kv_heads]; memory: bytes, read and written together.
    Constants the rows cannot tell stay those of BASE.
    """
    files = Output(force, quiet, (csv, accelerator))
    files.check(output)
    from sim.files.hardware_text import dump_accelerator  # noqa: PLC0415  (start-up time)
    from sim.report import calibrate as report  # noqa: PLC0415  (scipy)
    from sim.study.calibrate import calibrate  # noqa: PLC0415  (scipy)

    found = calibrate(csv, accelerator, output.stem if output is not None else None)
    if output is not None:
        files.write(output, dump_accelerator(found.file, ("Written by foretrain calibrate.", *found.warnings)))
    for text in found.warnings:
        files.tell(f"warning: {text}")
    answer(found, report.render, report.to_json, as_json)
