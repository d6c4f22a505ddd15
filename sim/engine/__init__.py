"""The simulation of a step in time."""

from sim.engine.program import Program, Times, Track
from sim.engine.records import Slice, Spread, Step
from sim.engine.step import build, simulate_step

__all__ = ["Program", "Slice", "Spread", "Step", "Times", "Track", "build", "simulate_step"]
