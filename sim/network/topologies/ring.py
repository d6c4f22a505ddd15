"""Ring: a torus of one dimension."""

from __future__ import annotations

from sim.network.topologies.torus import Grid


class Ring(Grid):
    """Each device is joined to two neighbours, half of its bandwidth to each."""

    names = ("ring",)
    wraps = True
    one_size = True
    drawing = "circle"
