"""`foretrain hardware`: list, show or derive accelerators and clusters."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast, get_args

import click

from sim.cli import options
from sim.cli.output import Output
from sim.cli.sizes import KINDS
from sim.cli.sizes import size as buffer_size
from sim.cli.terminal import answer, safe, show, show_as, show_json
from sim.errors import InputError, Problem
from sim.fields import did_you_mean
from sim.files.clusters import list_clusters, load_cluster, load_links
from sim.files.hardware import accelerator_files, list_accelerators, load_accelerator_file, load_accelerator_of
from sim.files.hardware_text import dump_accelerator, new_accelerator, new_cluster
from sim.files.kinds import kind_of
from sim.files.loader import load
from sim.network import resize
from sim.ops import Format
from sim.units import Dimension, parse_quantity

_DRAWN = tuple(name for name in KINDS if name not in ("send", "barrier"))


@click.group(cls=options.Group)
def command() -> None:
    """Accelerators and clusters: list, show, project some years ahead, or start a file."""


def _report() -> Any:
    """The report room, imported when a command prints."""
    return import_module("sim.report.hardware")


@command.command("list")
@click.argument("kind", type=click.Choice(["all", "accelerators", "clusters"]), default="all")
@click.option("--status", type=click.Choice(["shipped", "announced", "hypothetical"]), help="Only these accelerators.")
@options.json_option
@options.format_option
@options.debug_option
def list_command(kind: str, status: str | None, as_json: bool, form: str) -> None:
    """Every accelerator and cluster of the library; KIND is all, accelerators or clusters."""
    report, form = _report(), "json" if as_json else form
    files = accelerator_files().values() if kind != "clusters" else ()
    chips = [report.accelerator_row(file) for file in files if status in (None, file.status)]
    clusters = [report.cluster_row(load_cluster(name)) for name in list_clusters()] if kind != "accelerators" else []
    if form == "json":
        show_json({"accelerators": chips, "clusters": clusters})
    elif form == "table":
        show(report.catalogue_text(safe(chips), safe(clusters)))
    elif kind == "all":
        raise click.UsageError(f"--format {form} prints one table: say `hardware list accelerators` or `clusters`")
    else:
        table = report.clusters_table(safe(clusters)) if kind == "clusters" else report.accelerators_table(safe(chips))
        show(table.csv() if form == "csv" else table.markdown())


@command.command("links")
@options.json_option
@options.format_option
@options.debug_option
def links_command(as_json: bool, form: str) -> None:
    """Every type of link, by the name that clusters call it."""
    report, links = _report(), tuple(load_links().values())
    show_as(links, report.links_table, report.links_text, report.links_json, "json" if as_json else form)


@command.command("show")
@click.argument("name")
@click.option("--devices", type=click.IntRange(min=1), help="Resize a cluster: nodes stay whole.")
@options.picture_option("--draw", help="Draw a cluster's graph (HTML).")
@options.force_option
@click.option("--op", type=click.Choice(_DRAWN), help="Colour links by a collective.  [default: all-reduce]")
@click.option("--bytes", "nbytes", metavar="SIZE", help="Its buffer.  [default: 1GiB]")
@click.option("--algorithm", metavar="NAME", help="Its algorithm.  [default: the cheapest]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.debug_option
def show_command(
    name: str,
    devices: int | None,
    draw: Path | None,
    force: bool,
    op: str | None,
    nbytes: str | None,
    algorithm: str | None,
    as_json: bool,
) -> None:
    """One accelerator or cluster, by NAME or file, with the source of every figure."""
    report = _report()
    if draw is None and (op or nbytes or algorithm):
        raise click.UsageError("--op, --bytes and --algorithm go with --draw")
    if _is_cluster(name):
        cluster = load_cluster(name)
        cluster = cluster if devices is None else resize(cluster, devices)
        if draw is not None:
            drawing, kit = import_module("sim.report.figures.topology"), import_module("sim.report.figures.kit")
            kind = KINDS[op or "all-reduce"]
            wanted = drawing.DrawnCollective(kind, buffer_size(nbytes or "1GiB", "bytes"), algorithm)
            Output(force, True, (name,)).write(draw, kit.page(drawing.topology(cluster, wanted)))
        chip = load_accelerator_of(name)
        answer(
            cluster,
            lambda found: report.cluster_text(found, chip),
            lambda found: report.cluster_json(found, chip),
            as_json,
        )
        return
    if devices is not None or draw is not None:
        raise click.UsageError("--devices and --draw are for clusters")
    file = load_accelerator_file(name)
    answer(file, report.accelerator_text, lambda found: {"accelerator": report.accelerator_json(found)}, as_json)


def _is_cluster(name: str) -> bool:
    """Whether NAME is a cluster; an unknown name is an error that knows both kinds."""
    if Path(name).suffix in (".yaml", ".yml"):
        node = load(Path(name))
        kind = kind_of(Path(name), node)
        if kind not in ("accelerator", "cluster") and node.at("extends") is None:
            rule = "is neither an accelerator (compute, memory, cache) nor a cluster (levels or a graph)"
            raise InputError(node.problem(rule))
        return kind == "cluster"
    if name in list_accelerators():
        return False
    if name in list_clusters():
        return True
    hint = did_you_mean(name, [*list_accelerators(), *list_clusters()])
    raise InputError(Problem("no such accelerator or cluster in the library", value=name, hint=hint))


@command.command("project")
@click.argument("name")
@click.option("--year", type=float, required=True, help="When it should ship, e.g. 2031.")
@click.option("--known", type=float, default=math.inf, help="By what had shipped before this year only, e.g. 2018.")
@click.option("--low", "band", flag_value="low", help="Write the machine at the low edge of every band.")
@click.option("--central", "band", flag_value="central", help="The one in the middle (default of a file).")
@click.option("--high", "band", flag_value="high", help="The one at the high edge.")
@click.option("--format", "new_format", type=click.Choice(get_args(Format)), help="Add a format the chip lacks.")
@click.option("--power", metavar="QUANTITY", help="Board power allowed, e.g. 1000W.")
@click.option("--price", metavar="QUANTITY", help='Price allowed, e.g. "40000 USD".')
@click.option("--host", metavar="NAME", help="The host of a cluster that names none.")
@click.option("--storage", metavar="NAME", help="The storage of a cluster that names none.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write it: FILE.yaml, or a folder for low, central, high."
)
@options.force_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.quiet_option
@options.debug_option
def project_command(
    name: str,
    year: float,
    known: float,
    band: str | None,
    new_format: str | None,
    power: str | None,
    price: str | None,
    host: str | None,
    storage: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """An accelerator or a whole cluster, by NAME or file, extrapolated to a year along trends.

    Bands are those the back-tests hold. A cluster is written with its accelerator, links, host and storage in one file,
    which `check`, `run` and `report` take as `cluster: FILE.yaml`.
    """
    limits = _quantity(power, "watts", "--power"), _quantity(price, "usd", "--price")
    wanted, files = cast(Format | None, new_format), Output(force, quiet, (name,))
    whole = _is_cluster(name)
    if band and output is None:
        raise click.UsageError(f"--{band} chooses the machine that -o writes")
    if not whole and (host or storage):
        raise click.UsageError("--host and --storage are for clusters")
    if whole:
        study = import_module("sim.horizon.system_projection")
        projection = study.project_system(name, year, wanted, *limits, host, storage, known)
    else:
        study = import_module("sim.horizon.chip_projection")
        projection = study.project_chip(load_accelerator_file(name), year, wanted, *limits, known)
    if output is not None:
        _write_projected(projection, output, band, files)
    for text in projection.warnings:
        files.tell(f"warning: {text}")
    report = import_module("sim.report.projected")
    answer(projection, report.projection_text, report.projection_json, as_json)


def _write_projected(projection: Any, output: Path, band: str | None, files: Output) -> None:
    """One machine as FILE.yaml, or the machines asked for, by name, in a folder."""
    edge = import_module("sim.horizon.projected").Band
    if output.suffix:
        files.write(output, projection.text(edge(band or "central"), output.stem))
        return
    bands = [edge(band)] if band else list(edge)
    files.folder(output, {f"{projection.named(one)}.yaml": projection.text(one) for one in bands})


@command.command("trends")
@click.option("--backtest", is_flag=True, help="What the bands held, at every cut-off year.")
@click.option("--cutoff", type=int, help="Every prediction made at the start of this year.")
@click.option("--target", metavar="CHIP", help="With --cutoff: only of this chip.")
@click.option(
    "--step", metavar="SCENARIO", help="With --cutoff and --target: the step of a scenario on what was foreseen."
)
@options.sets_option
@options.json_option
@options.debug_option
def trends_command(
    backtest: bool, cutoff: int | None, target: str | None, step: str | None, sets: tuple[str, ...], as_json: bool
) -> None:
    """Every trend that projections follow: its data, fit and scatter; with --backtest what its bands held."""
    report = import_module("sim.report.trends")
    if target is not None and cutoff is None:
        raise click.UsageError("--target goes with --cutoff")
    if backtest and cutoff is not None:
        raise click.UsageError("--backtest is of every cut-off year: without --cutoff")
    if step is not None or sets:
        if cutoff is None or target is None or step is None:
            raise click.UsageError("--step goes with --cutoff and --target, --set with --step")
        scenario = import_module("sim.files.scenario").load_scenario(step, sets)
        found = import_module("sim.horizon.steps").step_ratio(scenario, cutoff, target)
        answer(found, report.step_text, report.step_json, as_json)
    elif cutoff is not None:
        rows = report.predictions(cutoff, target)
        answer(rows, report.predictions_text, report.predictions_json, as_json)
    elif backtest:
        answer(None, lambda _: report.backtest_text(), lambda _: report.backtest_json(), as_json)
    else:
        answer(None, lambda _: report.fits_text(), lambda _: report.fits_json(), as_json)


def _quantity(text: str | None, dimension: Dimension, option: str) -> float | None:
    """A quantity given as an option; errors name the option."""
    if text is None:
        return None
    try:
        value = parse_quantity(text, dimension)
    except InputError as error:
        raise InputError(*(Problem(p.rule, option, p.value, hint=p.hint) for p in error.problems)) from None
    if value <= 0.0:
        raise InputError(Problem("must be positive", option, text))
    return value


@command.command("process")
@options.json_option
@options.format_option
@options.debug_option
def process_command(as_json: bool, form: str) -> None:
    """What a chip from a budget rests on: nodes, memories, cores and blocks, each figure with range and source."""
    report, process = import_module("sim.report.process"), import_module("sim.files.process").load_process()
    show_as(process, report.as_table, report.render, report.to_json, "json" if as_json else form)


@command.command("new")
@click.argument("name", required=False)
@click.option("--cluster", is_flag=True, help="A cluster instead of an accelerator.")
@click.option("--area", metavar="QUANTITY", help="Make a chip of so much silicon, e.g. 600mm2; with the options below.")
@click.option("--power", metavar="QUANTITY", help="Board power it may draw, e.g. 1kW.")
@click.option("--stacks", type=int, help="Stacks of memory.")
@click.option("--node", help="Process node, e.g. n3.")
@click.option("--matrix-share", type=float, help="Share of the area for matrix units.")
@click.option("--cache-share", type=float, help="Share of the area for last-level cache.")
@click.option("--budget", "fields", multiple=True, metavar="FIELD=VALUE", help="Any other, e.g. core=systolic.")
@click.option("--check", is_flag=True, help="Known chips from their budgets, with the errors.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@options.file_option("-o", "--output", help="File; default NAME.yaml here.")
@options.force_option
@options.quiet_option
@options.debug_option
def new_command(
    name: str | None,
    cluster: bool,
    area: str | None,
    power: str | None,
    stacks: int | None,
    node: str | None,
    matrix_share: float | None,
    cache_share: float | None,
    fields: tuple[str, ...],
    check: bool,
    as_json: bool,
    output: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Write a commented accelerator or cluster file NAME.yaml that already passes check; with --area, --power and
    --stacks a chip made from that budget, and print where area, power and cost go.
    """
    lines: dict[str, object] = {"area": area, "power": power, "stacks": stacks, "node": node and node.lower()}
    lines |= {"matrix_share": matrix_share, "cache_share": cache_share}
    stated = [f"{key}={value}" for key, value in lines.items() if value is not None] + list(fields)
    if check:
        if name or cluster or stated or output:
            raise click.UsageError("--check goes alone: it makes no file")
        study, shown = import_module("sim.horizon.chip_check"), import_module("sim.report.chip_check")
        answer(study.check_chips(), shown.render, shown.to_json, as_json)
        return
    path = output or (Path(f"{name}.yaml") if name else None)
    if stated:
        if cluster:
            raise click.UsageError("--cluster and a chip's budget do not go together")
        with options.told_as(_BUDGET):
            _from_budget(name or (output.stem if output else "chip"), stated, path, Output(force, quiet), as_json)
        return
    if name is None or path is None or as_json:
        raise click.UsageError(
            "say NAME for a file to fill in, or --area, --power and --stacks for a chip made from them"
        )
    files = Output(force, quiet)
    files.write(path, new_cluster(name) if cluster else new_accelerator(name))
    files.tell(f"next: foretrain check {path}")


_BUDGET: Final = {
    f"{group}{key}": f"--{key.removesuffix('_w').replace('_', '-')}"
    for group in ("", "budget.")
    for key in ("area", "power", "power_w", "stacks", "node", "matrix_share", "cache_share")
}


def _from_budget(name: str, stated: list[str], path: Path | None, files: Output, as_json: bool) -> None:
    """The chip of a budget: its balance printed, its file written where one is named."""
    budgets, report = import_module("sim.files.budget"), import_module("sim.report.chip_design")
    fields = [text.partition("=")[0].strip() for text in stated]
    twice = [key for key in dict.fromkeys(fields) if fields.count(key) > 1]
    if twice:
        raise click.UsageError(f"stated twice: {', '.join(twice)}")
    file = budgets.budget_of_texts(name, stated)
    made = budgets.chip_of(file)
    if path is not None:
        comments = ("A chip from a budget (foretrain hardware new):", *stated)
        files.write(path, dump_accelerator(budgets.accelerator_of(file, made), comments))
        files.tell(f"next: foretrain check {path}")
    bands = budgets.bands_of(file)
    answer(made, lambda m: report.render(m, bands), lambda m: report.to_json(m, bands), as_json)
