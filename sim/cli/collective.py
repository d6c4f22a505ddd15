"""`foretrain collective`: time and bandwidth of one collective on a cluster, as nccl-tests prints them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from sim.cli import options
from sim.cli.output import Output
from sim.cli.sizes import KINDS, size
from sim.cli.terminal import advise, show_as
from sim.engine.astra_trace import run_trace
from sim.errors import InputError, Problem
from sim.files.astra import from_cluster as astra_dimensions
from sim.files.astra import is_network, network_yaml, read_network, read_system, to_cluster
from sim.files.clusters import load_cluster
from sim.network import Cluster, Group
from sim.report.astra_workload import Workload
from sim.report.astra_workload import as_table as workload_table
from sim.report.astra_workload import render as workload_text
from sim.report.astra_workload import to_json as workload_json
from sim.report.collective import as_table, render, to_json
from sim.study.collective_levels import MOST_RANKS, PIECES, Detail
from sim.study.collective_sweep import astra_sweep, pipelined, sizes_between, sweep
from sim.workload.chakra import read_trace


@options.command()
@click.argument("cluster")
@click.option("--op", type=click.Choice(tuple(KINDS)), default="all-reduce", show_default=True, help="The collective.")
@click.option("--from", "smallest", default="1KiB", show_default=True, metavar="SIZE", help="Smallest buffer.")
@click.option("--to", "largest", default="8GiB", show_default=True, metavar="SIZE", help="Largest buffer.")
@click.option("--factor", type=click.FloatRange(min=1.0, min_open=True), default=2.0, show_default=True, help="Step.")
@click.option("--bytes", "only", metavar="SIZE", help="One size instead (a bare number is bytes).")
@click.option("--algorithm", default="auto", show_default=True, metavar="NAME", help="auto, all, ring, switch …")
@click.option(
    "--level",
    type=click.Choice([str(detail) for detail in Detail]),
    default="closed",
    show_default=True,
    help=f"closed: formulas. phase: written out, phase by phase (up to {MOST_RANKS[Detail.PHASE]:,} ranks). "
    f"flow, message: every message in SimPy (up to {MOST_RANKS[Detail.MESSAGE]:,} ranks).",
)
@click.option(
    "--pieces",
    type=click.IntRange(1, 4096),
    help=f"Pieces of a pipeline, with --level phase, flow or message (default {PIECES}).",
)
@click.option("--group", metavar="GROUP", help="SIZExSTRIDE (64x8) or ranks (0-7,16); default: all devices.")
@click.option("--astra-system", type=click.Path(path_type=Path, dir_okay=False), help="system.json of ASTRA-sim.")
@click.option("--congestion", is_flag=True, help="With --astra-system: its congestion-aware backend (one dimension).")
@click.option(
    "--workload",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --astra-system: run this Chakra trace (.et) on every device, computation beside collectives.",
)
@options.picture_option("--plot", help="Draw busbw against size (HTML).")
@options.file_option("--write-astra", help="Write the cluster as network.yml.")
@options.force_option
@options.json_option
@options.format_option
@options.quiet_option
@options.debug_option
def command(
    cluster: str,
    op: str,
    smallest: str,
    largest: str,
    factor: float,
    only: str | None,
    algorithm: str,
    level: str,
    pieces: int | None,
    group: str | None,
    astra_system: Path | None,
    congestion: bool,
    workload: Path | None,
    plot: Path | None,
    write_astra: Path | None,
    force: bool,
    as_json: bool,
    form: str,
    quiet: bool,
) -> None:
    """Time, algorithm bandwidth and bus bandwidth of a collective on CLUSTER: a name from `foretrain hardware list`,
    a cluster file, or an ASTRA-sim network.yml.

    SIZE is the full buffer of one rank, as nccl-tests counts it.
    """
    output = Output(force, quiet, (cluster, astra_system, workload))
    output.check(plot, write_astra)
    if astra_system is None and (congestion or workload is not None):
        option, value = ("--congestion", "") if congestion else ("--workload", str(workload))
        raise InputError(Problem("goes with --astra-system", option, value))
    _check_sizes(only, op)
    sizes = [size(only, "bytes")] if only else sizes_between(size(smallest, "from"), size(largest, "to"), factor)
    if op == "barrier":
        sizes = [0.0]
    detail = Detail(level)
    if pieces is not None and detail == Detail.CLOSED:
        raise InputError(Problem("goes with --level phase, flow or message", "--pieces", str(pieces)))
    path = Path(cluster)
    if is_network(path):
        _goes_with_ours(astra_system, group, algorithm, detail, write_astra)
        dims = read_network(path)
        known = to_cluster(dims, path.stem)
    elif astra_system is not None:
        raise InputError(Problem("goes with an ASTRA-sim network.yml", "--astra-system", cluster))
    else:
        known = load_cluster(cluster)
        if write_astra is not None:
            output.write(write_astra, network_yaml(astra_dimensions(known)))
    if astra_system is not None and workload is not None:
        _alone()
        run = run_trace(read_trace(workload), dims, read_system(astra_system), congestion, str(workload))
        ran = Workload(workload.name, path.name, known.devices, run)
        show_as(ran, workload_table, workload_text, workload_json, "json" if as_json else form)
        return
    with options.told_as(_OPTIONS):
        if astra_system is not None:
            found = astra_sweep(path.name, dims, read_system(astra_system), KINDS[op], sizes, congestion)
        else:
            of = parse_group(group, known)
            found = sweep(known, KINDS[op], sizes, of, algorithm, detail, PIECES if pieces is None else pieces)
    if pieces is not None and not pipelined(known, found):
        names = ", ".join(dict.fromkeys(name for row in found.rows for name in row.times_s))
        advise([Problem("is not read: no pipeline cuts the buffer", "--pieces", str(pieces), hint=names)], quiet)
    if plot is not None:
        from sim.report.figures import curves, kit  # noqa: PLC0415  (start-up time: only with --plot)

        output.write(plot, kit.page(curves.bus_bandwidth(found)))
    show_as(found, as_table, render, to_json, "json" if as_json else form)


def _alone() -> None:
    """A trace says which collectives run, and of what size; it has no curve to draw."""
    context = click.get_current_context()
    names = {"op": "--op", "smallest": "--from", "largest": "--to", "factor": "--factor", "only": "--bytes"}
    given = [
        option
        for name, option in {**names, "pieces": "--pieces", "plot": "--plot"}.items()
        if context.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT)
    ]
    if given:
        raise InputError(*(Problem("goes without --workload", option) for option in given))


_OPTIONS: Final = {"algorithm": "--algorithm", "group": "--group", "group.ranks": "--group", "op": "--op"}


def _check_sizes(only: str | None, op: str) -> None:
    """One size and a range of them exclude each other; a barrier has none."""
    source = click.get_current_context().get_parameter_source
    flags = {"smallest": "--from", "largest": "--to", "factor": "--factor", "only": "--bytes", "pieces": "--pieces"}
    stated = [flag for name, flag in flags.items() if source(name) == ParameterSource.COMMANDLINE]
    if op == "barrier" and stated:
        raise click.UsageError(f"a barrier moves no buffer: leave out {', '.join(stated)}")
    if only is not None and (ends := [flag for flag in stated if flag not in ("--bytes", "--pieces")]):
        raise click.UsageError(f"--bytes is one size: leave out {', '.join(ends)}")


def _goes_with_ours(system: Path | None, group: str | None, algorithm: str, detail: Detail, write: Path | None) -> None:
    """ASTRA-sim's own semantics know neither groups nor our algorithms; a network.yml is not written again."""
    if write is not None:
        raise InputError(Problem("the cluster is an ASTRA-sim network file already", "--write-astra", str(write)))
    if system is not None:
        wrong = [("--group", group)] if group else []
        wrong += [("--algorithm", algorithm)] if algorithm != "auto" else []
        wrong += [("--level", str(detail))] if detail != Detail.CLOSED else []
        if wrong:
            rule = "goes without --astra-system, which names the algorithms of all devices"
            raise InputError(*(Problem(rule, option, value) for option, value in wrong))


def parse_group(text: str | None, cluster: Cluster) -> Group:
    """64x8 = 64 ranks 8 apart (every such group at once); 0-7,16 = those ranks; nothing = all devices."""
    if text is None:
        return Group(cluster.devices)
    if match := re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip()):
        return Group(int(match[1]), int(match[2] or 1))
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text.strip()):
        raise InputError(Problem("must be SIZExSTRIDE such as 64x8, or ranks such as 0-7,16", "--group", text))
    ranks: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            raise InputError(Problem("a range of ranks runs upwards", "--group", part))
        ranks += range(int(first), int(last or first) + 1)
    return Group(len(ranks), ranks=tuple(ranks))
