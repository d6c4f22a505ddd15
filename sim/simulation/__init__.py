"""The way from the frozen scenario to the frozen result."""

from sim.simulation.goal import project_target
from sim.simulation.planning import choose_plan, model_of
from sim.simulation.run import check_scenario, simulate
from sim.simulation.stepping import record_of, run_step

__all__ = ["check_scenario", "choose_plan", "model_of", "project_target", "record_of", "run_step", "simulate"]
