"""`foretrain model`: parameters, FLOPs and layers of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sim.cli import options
from sim.cli.terminal import answer, show, show_json
from sim.errors import InputError, Problem
from sim.files.fields import at_deepest, read_partial
from sim.files.huggingface import load_config
from sim.files.loader import Node, parse
from sim.files.merge import override
from sim.files.models import canonical, config_file, family_of, list_models, load_model_file, preset
from sim.ops import BYTES_PER_ELEMENT, Format
from sim.report.model import describe, render, render_list
from sim.workload.build import build_model
from sim.workload.records import AttentionKernel, Model, Numerics
from sim.workload.registry import FAMILIES
from sim.workload.transformer import Transformer


@options.command()
@click.argument("name", required=False)
@options.sets_option
@click.option("--parameters", type=float, default=None, help="Solve the sizes left open for this parameter count.")
@click.option(
    "--batch", type=click.IntRange(1, options.MOST_SAMPLES), default=1, show_default=True, help="Samples of a pass."
)
@click.option(
    "--format",
    "number",
    type=click.Choice(list(BYTES_PER_ELEMENT)),
    default="bf16",
    show_default=True,
    help="Number format of products, activations and weights.",
)
@click.option("--attention", type=click.Choice(["plain", "flash"]), default="flash", show_default=True)
@click.option("--fused/--unfused", default=True, show_default=True, help="Pointwise chains in one pass.")
@options.json_option
@options.quiet_option
@options.debug_option
def command(
    name: str | None,
    sets: tuple[str, ...],
    parameters: float | None,
    batch: int,
    number: Any,
    attention: Any,
    fused: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print what a model asks for: NAME is a published model, a config.json (or its folder), or a family.

    Sizes are set with --set, e.g. `foretrain model llama3-8b --set sequence=4096`,
    `foretrain model transformer --parameters 7e9 --set depth=32`. Without NAME, lists families and models.
    """
    if name is None:
        _list(as_json)
        return
    model, source = load_model(name, sets, parameters)
    numerics = numerics_of(number, attention, fused)
    found = describe(model, batch, numerics, source)
    answer(found, render, dict, as_json)


def _list(as_json: bool) -> None:
    rows = [(name, preset(name).parameters, load_model_file(name).source) for name in list_models()]
    if as_json:
        models = [{"name": name, "parameters": count, "source": source} for name, count, source in rows]
        show_json({"families": sorted(FAMILIES), "models": models})
    else:
        show(render_list(sorted(FAMILIES), rows))


def load_model(name: str, sets: tuple[str, ...] = (), parameters: float | None = None) -> tuple[Model, str]:
    """The model that `name` means, with sizes set, and the source of its sizes."""
    path, stated = config_file(name, Path()), _stated(sets)
    if path is not None:
        with _placed(stated):
            return load_config(path, **_sizes(Transformer, stated)), str(path)
    known = family_of(name)
    if known is None:
        preset(name)  # raises, with the nearest names
        raise InputError(Problem("no such model", "model", repr(name)))
    key = None if name in FAMILIES else canonical(name)
    source = load_model_file(key).source if key else ""
    family, given = known
    with _placed(stated):
        return build_model(family, given | _sizes(FAMILIES[family], stated), parameters), source


def _stated(sets: tuple[str, ...]) -> Node:
    problems: list[Problem] = []
    node = override(parse("{}", "--set"), sets, problems)
    if problems:
        raise InputError(*problems)
    return node


def _sizes(family: Any, stated: Node) -> dict[str, Any]:
    given = read_partial(family, stated)
    return {key: value for key, value in given.items() if stated.at(key) is not None and value is not None}


@contextmanager
def _placed(stated: Node) -> Iterator[None]:
    """Problems of a size are told at the `--set` that says it, those of a parameter count at its option."""

    def placed(problem: Problem) -> Problem:
        if problem.path in ("parameters", "workload.parameters") and stated.at(problem.path) is None:
            return replace(problem, path="--parameters")
        return at_deepest(stated, problem) if stated.at(problem.path.partition(".")[0]) is not None else problem

    try:
        yield
    except InputError as error:
        raise InputError(*map(placed, error.problems)) from None


def numerics_of(number: Format, attention: AttentionKernel, fused: bool) -> Numerics:
    """Numerics of one format: 8-bit products keep 16-bit activations; 32-bit weights have no master copy."""
    wide = BYTES_PER_ELEMENT[number] >= BYTES_PER_ELEMENT["fp32"]
    stored: Format = "fp32" if number == "tf32" else number
    if BYTES_PER_ELEMENT[number] < BYTES_PER_ELEMENT["bf16"]:
        stored = "bf16"
    return Numerics(number, stored, stored, stored, None if wide else "fp32", fused=fused, attention=attention)
