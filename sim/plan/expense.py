"""Money, energy of the site and carbon of a training, from the time and the energy of its devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Final

from sim.errors import Problem
from sim.fields import Record, about
from sim.records import dataclass
from sim.scaling import Errors

KWH: Final = 3.6e6  # J
YEAR: Final = 365.25 * 86400.0


PRICED: Final = ("device_hour", "server_factor", "network_share", "upkeep", "electricity", "host_power", "pue")


@dataclass(frozen=True, slots=True)
class Prices(Record):
    """What a site pays and burns. Defaults name their sources; every one can be overridden."""

    device_hour: float | None = field(
        default=None,
        metadata=about("rent of a device, all included, instead of a purchase", dimension="usd_per_second", gt=0),
    )
    server_factor: float = field(
        default=1.5,
        metadata=about(
            "price of a server over that of its devices; default: 1.50 to 1.66 of three DGX (Epoch AI)", ge=1
        ),
    )
    network_share: float = field(
        default=0.25, metadata=about("price of the network over that of the devices; default assumed", ge=0)
    )
    lifetime_s: float = field(default=4.0 * YEAR, metadata=about("time a purchase is written off in; assumed", gt=0))
    upkeep: float = field(
        default=0.05, metadata=about("share of the purchase paid for upkeep each year; default assumed", ge=0, lt=1)
    )
    electricity: float = field(
        default=0.08 / KWH, metadata=about("price of energy; default assumed", dimension="usd_per_joule", ge=0)
    )
    host_power: float = field(
        default=0.43,
        metadata=about(
            "power of the rest of a node over that of its devices; default: GPUs 70 % (ml.energy, Zeus)", ge=0
        ),
    )
    pue: float = field(
        default=1.2, metadata=about("power of the site over that of its nodes; default between 1.1 and 1.57", ge=1)
    )
    carbon: float = field(
        default=0.4 / KWH,
        metadata=about("emitted per energy; default: United States of 2021, 0.38 to 0.39 kg/kWh (recalled)",
                       dimension="kilograms_per_joule", ge=0),
    )  # fmt: skip

    errors: Errors = field(
        default=Errors({"server_factor": 0.046, "pue": 0.136}, source="the ranges above as uniform: width / √12"),
        metadata=about("standard errors of the prices, `device` of the price of a device; carried into the bands"),
    )

    def contradictions(self) -> Iterator[Problem]:
        stated = {name: getattr(self, name) for name in PRICED}
        yield from self.errors.problems("prices", {**stated, "device": None})
        usual = Prices.__dataclass_fields__
        names = ("server_factor", "network_share", "lifetime_s", "upkeep")
        if self.device_hour is not None and any(getattr(self, name) != usual[name].default for name in names):
            yield Problem("a rent holds everything: leave out what belongs to a purchase", "device_hour")


@dataclass(frozen=True, slots=True)
class Site:
    """Energy of a training (J) from its devices out to the grid, and its carbon (kg)."""

    device_j: float  # steps, and idle power while they wait
    waiting_j: float  # part of it: restarts, checkpoints, evaluation, maintenance
    node_j: float
    site_j: float
    carbon_kg: float


def site_of(prices: Prices, steps_j: float, idle_w: float, devices: int, waiting_s: float) -> Site:
    """All devices draw idle power while no step runs; hosts and the building come on top."""
    waiting = idle_w * devices * waiting_s
    device = steps_j + waiting
    node = device * (1.0 + prices.host_power)
    return Site(device, waiting, node, node * prices.pue, node * prices.pue * prices.carbon)


def expenses(
    prices: Prices, price_usd: float | None, devices: int, wall_s: float, site_j: float | None
) -> Mapping[str, float]:
    """USD by kind. Purchase: price·devices/lifetime·wall time for devices, rest of the servers and network, upkeep."""
    if prices.device_hour is not None:
        return {"rent": prices.device_hour * devices * wall_s}
    found = {}
    if price_usd is not None:
        share = price_usd * devices * wall_s / prices.lifetime_s
        bought = {
            "devices": share,
            "servers": share * (prices.server_factor - 1.0),
            "network": share * prices.network_share,
        }
        found = bought | {"upkeep": sum(bought.values()) * prices.upkeep * prices.lifetime_s / YEAR}
    if site_j is not None:
        found["electricity"] = site_j * prices.electricity
    return found
