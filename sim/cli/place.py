"""`foretrain place`: put the ops of a model on a few unequal devices."""

from __future__ import annotations

from typing import Final

import click

from sim.cli import options
from sim.cli.terminal import answer
from sim.errors import InputError, Problem
from sim.files import build, load_document, locating
from sim.files.hardware import load_accelerator
from sim.placement.place import place
from sim.report.place import render, to_json
from sim.units import parse_quantity

MOST_DEVICES: Final = 10  # one digit each in the report


@options.command()
@options.scenario_argument
@click.option("--devices", required=True, metavar="A,B,…", help="Names or files of the accelerators, one per device.")
@click.option("--link", default="12 GB/s", show_default=True, help="Bandwidth between devices (12 GB/s: PCIe 3 x16).")
@click.option("--latency", default="10 us", show_default=True, help="Latency of a message between devices.")
@click.option("--stretches", type=click.IntRange(1, 1000), help="Pieces of the sequence; default 5.")
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True, help="Rounds of the search.")
@click.option("--draws", type=click.IntRange(min=2), default=64, show_default=True, help="Placements per round.")
@options.common
def command(
    scenario: str,
    devices: str,
    link: str,
    latency: str,
    stretches: int | None,
    rounds: int,
    draws: int,
    as_json: bool,
    sets: tuple[str, ...],
    seed: int | None,
    quiet: bool,
) -> None:
    """Place the op graph of SCENARIO's model on unequal devices.

    A cross-entropy search with the simulator as reward, beside the expert's cut by layers, greedy earliest finish, and
    everything on the fastest device.
    """
    names = [name.strip() for name in devices.split(",") if name.strip()]
    if not 1 <= len(names) <= MOST_DEVICES:
        raise InputError(Problem(f"must name 1 to {MOST_DEVICES} accelerators", "--devices", devices))
    chips = [load_accelerator(name) for name in names]
    document = load_document(scenario, sets)
    with options.told_as({"": "--link"}):
        bandwidth = parse_quantity(link, "bandwidth")
    with options.told_as({"": "--latency"}):
        seconds = parse_quantity(latency, "seconds")
    if bandwidth <= 0.0:
        raise InputError(Problem("must be positive", "--link", link))
    with locating(document):
        asked = build(document)
        found = place(asked, chips, bandwidth, seconds, stretches=stretches, rounds=rounds, draws=draws, seed=seed or 0)
    answer(found, render, to_json, as_json)
