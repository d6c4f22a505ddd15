"""Topologies of a level, one file each: a class in this folder is found by its names."""

from typing import Final

from sim.fields import Registry
from sim.network.topologies.base import LevelTopology

TOPOLOGIES: Final = Registry[type[LevelTopology]]("topology", __name__, __path__)
