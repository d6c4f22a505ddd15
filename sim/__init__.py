"""foretrain: how long training to a target accuracy takes on hardware that may not exist yet.

    from sim import load_scenario, simulate
    scenario = load_scenario("paper/word-lm")
    print(simulate(scenario))
    print(simulate(scenario.with_("accelerator.memory.bandwidth", "4 TB/s")).to_dict()["time_to_target"])

What `simulate`, `compare`, `sweep`, `explore`, `require`, `sensitivity`, `sobol`, `fit`, `calibrate` and `validate`
answer prints as on the command line, shows itself in a notebook, and has `to_dict()` and `to_frame()`.  The names below
are the public ones; each is imported when it is first used, so that `import sim` costs nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing itself is not imported: it is the larger part of the time this module takes
if TYPE_CHECKING:
    from sim.device.records import Accelerator, Cache, Compute, MatrixUnit, Memory, Power
    from sim.engine import Step
    from sim.errors import (
        Infeasible,
        InfeasibleError,
        InputError,
        Lever,
        Unreachable,
        UnreachableError,
    )
    from sim.files import load_scenario
    from sim.files.hardware import load_accelerator, load_cluster
    from sim.network import Cluster, Communicator, Edge, Group, Level, LinkType, from_graph
    from sim.plan import Plan
    from sim.plan.framework import Framework
    from sim.result import Result
    from sim.scaling import Domain, LearningCurve, Projection, SizeLaw, project
    from sim.scenario import PlanRequest, Scenario, Target, Training, Workload
    from sim.simulation import simulate
    from sim.study.calibrate import calibrate
    from sim.study.compare import compare
    from sim.study.explore import explore
    from sim.study.fit import fit
    from sim.study.require import require
    from sim.study.sensitivity import sensitivity, sobol
    from sim.study.sweep import sweep
    from sim.validation.sets import validate
    from sim.version import __version__ as __version__
    from sim.workload.build import build_model
    from sim.workload.records import Numerics

_HOMES = {
    "sim.device.records": ("Accelerator", "Cache", "Compute", "MatrixUnit", "Memory", "Power"),
    "sim.engine": ("Step",),
    "sim.errors": ("Infeasible", "InfeasibleError", "InputError", "Lever", "Unreachable", "UnreachableError"),
    "sim.network": ("Cluster", "Communicator", "Edge", "Group", "Level", "LinkType", "from_graph"),
    "sim.plan": ("Plan",),
    "sim.plan.framework": ("Framework",),
    "sim.result": ("Result",),
    "sim.scaling": ("Domain", "LearningCurve", "Projection", "SizeLaw", "project"),
    "sim.scenario": ("PlanRequest", "Scenario", "Target", "Training", "Workload"),
    "sim.simulation": ("simulate",),
    "sim.files": ("load_scenario",),
    "sim.files.hardware": ("load_accelerator", "load_cluster"),
    "sim.study.calibrate": ("calibrate",),
    "sim.study.compare": ("compare",),
    "sim.study.explore": ("explore",),
    "sim.study.fit": ("fit",),
    "sim.study.require": ("require",),
    "sim.study.sensitivity": ("sensitivity", "sobol"),
    "sim.study.sweep": ("sweep",),
    "sim.validation.sets": ("validate",),
    "sim.version": ("__version__",),
    "sim.workload.build": ("build_model",),
    "sim.workload.records": ("Numerics",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Accelerator",
    "Cache",
    "Cluster",
    "Communicator",
    "Compute",
    "Domain",
    "Edge",
    "Framework",
    "Group",
    "Infeasible",
    "InfeasibleError",
    "InputError",
    "LearningCurve",
    "Level",
    "Lever",
    "LinkType",
    "MatrixUnit",
    "Memory",
    "Numerics",
    "Plan",
    "PlanRequest",
    "Power",
    "Projection",
    "Result",
    "Scenario",
    "SizeLaw",
    "Step",
    "Target",
    "Training",
    "Unreachable",
    "UnreachableError",
    "Workload",
    "build_model",
    "calibrate",
    "compare",
    "explore",
    "fit",
    "from_graph",
    "load_accelerator",
    "load_cluster",
    "load_scenario",
    "project",
    "require",
    "sensitivity",
    "simulate",
    "sobol",
    "sweep",
    "validate",
]


def __dir__() -> list[str]:
    """The public names, imported or not yet."""
    return sorted({*globals(), *__all__, "__version__"})


def __getattr__(name: str) -> object:
    """A public name, from the room it lives in."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
