"""What a scenario states and its run never reads: each field told at its line, as advice.

A value equal to its default states nothing; one that comes with a plan or a framework of the library is not the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from sim.errors import Problem
from sim.fields import shown
from sim.files import library
from sim.files.loader import Mark, Node
from sim.files.scenario import Document
from sim.plan.records import Plan, Sharding
from sim.result import Result
from sim.scenario import Objective, PlanRequest, Scenario
from sim.simulation import model_of, project_target
from sim.simulation.planning import has_tables
from sim.workload.records import Recompute
from sim.workload.transformer import Transformer

OfScenario: TypeAlias = Callable[[Scenario, Result | None], str]
OfPlan: TypeAlias = Callable[[Plan | PlanRequest], str]


def idle_fields(document: Document, scenario: Scenario, result: Result | None = None) -> tuple[Problem, ...]:
    """Advice on every field stated that this run does not read; without its result, on what is known before."""
    return tuple(_idle(document, scenario, result))


def _idle(document: Document, scenario: Scenario, result: Result | None) -> Iterator[Problem]:
    plan = result.plan if result else None if scenario.plan.search else scenario.plan
    rules: dict[str, Callable[[], str]] = {path: partial(rule, scenario, result) for path, rule in _OF_SCENARIO.items()}
    if plan is not None:
        rules |= {path: partial(rule, plan) for path, rule in _OF_PLAN.items()}
    defaults = {leaf.path: leaf.value for leaf in Document("", Node({}, Mark("default"))).leaves}
    for path, why_idle in rules.items():
        node = document.node.at(*path.split("."))
        if node is None or node.value is None or node.plain == defaults.get(path) or not _own(document, node):
            continue
        if why := why_idle():
            there, said = node.key_mark if isinstance(node.value, dict) else node.mark, node.at("name") or node
            where = there or node.mark
            yield Problem(f"is not read: {why}", path, shown(said.plain), where.file, where.line, where.column)


def _own(document: Document, node: Node) -> bool:
    """Whether the user states it: by an option, in the scenario itself or in another file of theirs."""
    mark = node.key_mark or node.mark
    file = mark.file
    return not mark.line or file == document.file or not (library.root() / file).exists()


def _plain(scenario: Scenario, _: Result | None) -> str:
    """What is read on the way to an error only."""
    target = scenario.target
    amount = next((name for name in ("samples", "units", "steps") if getattr(target, name) is not None), "")
    return f"the target is a number of {amount}" if amount else ""


def _per_sample(scenario: Scenario, result: Result | None) -> str:
    return "" if scenario.target.units is not None else _plain(scenario, result)


def _objective(scenario: Scenario, result: Result | None) -> str:
    request = scenario.plan
    given = request.global_batch is not None and request.sub_batch is not None
    open_ = request.search or scenario.cluster_choices or not given
    weighed = result.considered or result.search if result else open_
    return "" if weighed or scenario.objective == Objective.RATE else "nothing is left to choose for it"


def _tolerance(scenario: Scenario, result: Result | None) -> str:
    if scenario.plan.sub_batch is not None:
        return "the sub-batch is given"
    by_rule = result is None or result.sub_batch is not None
    return "" if by_rule else "the sub-batch is chosen for the objective, not by the rule"


def _scaling(scenario: Scenario, result: Result | None) -> str:
    """Of a domain a number of units reads how many a padded sample holds."""
    why, domain = _plain(scenario, result), scenario.scaling
    if scenario.target.units is None or domain is None or domain.units_per_sample is None:
        return why
    return "" if model_of(scenario, None).padded else why


def _storage(scenario: Scenario, _: Result | None) -> str:
    used = scenario.training.input is not None or scenario.campaign.checkpoints is not None
    return "" if used else "there is neither training.input nor campaign.checkpoints"


def _shaping(scenario: Scenario, _: Result | None) -> str:
    return "workload.numerics.fused is true" if scenario.workload.numerics.fused else ""


def _kernel(field: str) -> OfScenario:
    """Whether the model has an op that any other value of a setting of `numerics` would change."""

    def rule(scenario: Scenario, _: Result | None) -> str:
        numerics, model = scenario.workload.numerics, model_of(scenario, project_target(scenario))
        layers = model.layers(1, numerics)
        others = (replace(numerics, **{field: other}) for other in type(getattr(numerics, field)))
        same = all(model.layers(1, other) == layers for other in others)
        return "with any other value the model has the same ops" if same else ""

    return rule


def _window(scenario: Scenario, _: Result | None) -> str:
    """Whether a window hides anything of a sequence."""
    model = model_of(scenario, project_target(scenario))
    if not isinstance(model, Transformer) or not 0 < model.sequence + model.memory <= model.window:
        return ""
    return f"a sequence of {model.sequence + model.memory} lies within {model.window}"


def _seeds(scenario: Scenario, _: Result | None) -> str:
    return "" if scenario.campaign.failures else "the campaign has no failures to draw"


def _fails(component: str) -> OfScenario:
    def rule(scenario: Scenario, _: Result | None) -> str:
        fails = any(failure.component == component for failure in scenario.campaign.failures)
        return "" if fails else f"no failure of a {component} is given"

    return rule


def _tables(scenario: Scenario, _: Result | None) -> str:
    """Whether a gradient can be exchanged as rows at all."""
    if not scenario.plan.sparse_embeddings:
        return ""
    model = model_of(scenario, project_target(scenario))
    layers = model.layers(1, scenario.workload.numerics)
    return "" if any(p.sparse_rows for layer in layers for p in layer.parameters) else "the model has no embedding"


def _cut_tables(scenario: Scenario, result: Result | None) -> str:
    """Whether there are tables to cut, and ranks to cut them over."""
    if not has_tables(model_of(scenario, project_target(scenario))):
        return "the model has no tables"
    return "" if result is None or result.plan.expert > 1 else "plan.expert is 1"


def _unsharded(plan: Plan | PlanRequest) -> str:
    return "nothing is sharded" if (plan.sharding or Sharding.NONE) == Sharding.NONE else ""


def _not_full(plan: Plan | PlanRequest) -> str:
    return "" if plan.sharding == Sharding.FULL else "parameters are not sharded"


def _not_recomputed(plan: Plan | PlanRequest) -> str:
    return "nothing is recomputed" if (plan.recompute or Recompute.NONE) == Recompute.NONE else ""


def _one_copy(plan: Plan | PlanRequest) -> str:
    """Of a plan as it is laid out; degrees that are asked for leave the rest open."""
    return "one rank has all gradients" if isinstance(plan, Plan) and plan.copies == 1 else ""


def _one(axis: str) -> OfPlan:
    return lambda plan: "" if (getattr(plan, axis) or 1) > 1 else f"plan.{axis} is 1"


_OF_SCENARIO: Final[Mapping[str, OfScenario]] = {
    "objective": _objective,
    "scaling": _scaling,
    "study": lambda _, result: "one design is simulated; `foretrain sweep` simulates all" if result else "",
    "cluster.storage": _storage,
    "target.metric": _plain,
    "workload.numerics.shape_ops": _shaping,
    "workload.numerics.attention": _kernel("attention"),
    "workload.numerics.loss": _kernel("loss"),
    "workload.numerics.batch_norm": _kernel("batch_norm"),
    "workload.numerics.memory_format": _kernel("memory_format"),
    "workload.sizes.window": _window,
    "workload.sizes.chunked": _window,
    "plan.sparse_embeddings": _tables,
    "plan.table_cut": _cut_tables,
    "plan.replicated_rows": _cut_tables,
    "training.passes": _plain,
    "training.critical_batch": _plain,
    "training.units_per_sample": _per_sample,
    "training.step_error": _plain,
    "training.batch_tolerance": _tolerance,
    "campaign.seeds": _seeds,
    "campaign.nodes_per_rack": _fails("rack"),
    "campaign.nodes_per_power_domain": _fails("power_domain"),
}
_OF_PLAN: Final[Mapping[str, OfPlan]] = {
    "plan.shard_group": _unsharded,
    "plan.recompute_layers": _not_recomputed,
    "framework.reshard_after_forward": _not_full,
    "framework.live_parameters": _not_full,
    "framework.backward_prefetch": _not_full,
    "framework.overlap_replicas": lambda plan: (
        _unsharded(plan) or ("" if plan.shard_group else "plan.shard_group is 0")
    ),
    "framework.gather": _unsharded,
    "framework.overlap_gradients": _one_copy,
    "framework.overlap_sends": _one("pipeline"),
    "framework.spare_buffers": _one("pipeline"),
    "framework.overlap_tensor": _one("tensor"),
    "framework.overlap_experts": _one("expert"),
    "framework.context_exchange": _one("context"),
    "framework.duplicate_rows": lambda plan: "" if plan.sparse_embeddings else "plan.sparse_embeddings is false",
    "framework.recompute_stop": lambda plan: (
        "" if plan.recompute == Recompute.FULL and not plan.saved_ops else "not all of a block is run again"
    ),
}
