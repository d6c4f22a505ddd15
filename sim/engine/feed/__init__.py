"""The input pipeline: how samples get from storage to the accelerator, and how long it waits for them."""

from sim.engine.feed.pipeline import Feed, Stage, simulate_feed
from sim.engine.feed.request import InputData

__all__ = ["Feed", "InputData", "Stage", "simulate_feed"]
