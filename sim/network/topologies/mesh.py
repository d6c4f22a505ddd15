"""Mesh: a grid with open ends."""

from __future__ import annotations

from sim.network.topologies.torus import Grid


class Mesh(Grid):
    """No dimension is closed; a device at the rim has fewer links of the same capacity."""

    names = ("mesh",)
    many_sizes = True
