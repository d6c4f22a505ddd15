"""Bands of the headline numbers: every constant with a standard error is drawn, together, many times at once.

Positive constants are drawn as log-normal, exponents as normal, with the correlations their fit had.  The step is
simulated at a few model sizes and read between them in log-log, so a thousand draws cost a handful of steps.  The share
of a cause is the variance of ln t with that cause alone, over the sum of all such variances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sim.plan.records import Plan
from sim.result import Band, Cause, TimeToTarget, Uncertainty
from sim.scaling import Domain, Errors, LearningCurve, LossLaw, Projection, SizeLaw
from sim.scenario import Scenario
from sim.simulation.goal import critical_batches, units_per_sample
from sim.simulation.planning import model_of
from sim.simulation.stepping import run_step
from sim.workload.records import Model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

SAMPLES: Final = 1000
NODES: Final = 5  # model sizes the step is simulated at
EXPONENTS: Final = frozenset(("beta", "size_exponent", "data_exponent"))


def uncertainty_of(
    scenario: Scenario,
    model: Model,
    projection: Projection | None,
    plan: Plan,
    goal: TimeToTarget | None,
    step_s: float,
    seed: int,
) -> Uncertainty | None:
    """5th, 50th and 95th percentile of time, data and model size, and which constant they come from."""
    domain = scenario.scaling
    if domain is None or projection is None or goal is None:
        return None
    causes = _causes(scenario, domain, projection)
    if not causes:
        return None
    import numpy as np  # noqa: PLC0415  (start-up time: only where something is uncertain)

    rng = np.random.default_rng(np.random.SeedSequence([seed, 10]))
    drawn = {name: draw(rng) for name, draw in causes.items()}
    sizes = _Sizes(scenario, model, plan, projection, step_s)
    times = _times(scenario, domain, model, projection, plan, goal, sizes)
    together = times(_joined(drawn.values()))
    sizes.refine(together.parameters)
    together = times(_joined(drawn.values()))
    alone = {name: times(_joined([values])).seconds for name, values in drawn.items()}
    variances = {name: float(np.var(np.log(values))) for name, values in alone.items()}
    total = sum(variances.values()) or 1.0
    bands = {"time_to_target_s": _band(together.seconds), "dataset_units": _band(together.units)}
    if projection.parameters is not None:
        bands["parameters"] = _band(together.parameters)
    found = (Cause(name, variances[name] / total, _band(values)) for name, values in alone.items())
    return Uncertainty(SAMPLES, bands, tuple(sorted(found, key=lambda cause: -cause.share)))


def _band(values: Array) -> Band:
    import numpy as np  # noqa: PLC0415  (start-up time)

    low, middle, high = (float(v) for v in np.quantile(values, (0.05, 0.5, 0.95)))
    return Band(low, middle, high)


Draw = Callable[["np.random.Generator"], Mapping[str, "Array"]]


def _causes(scenario: Scenario, domain: Domain, projection: Projection) -> dict[str, Draw]:
    """What is uncertain here, each with a way to draw its constants."""
    found: dict[str, Draw] = {}
    laws: tuple[tuple[str, LearningCurve | SizeLaw | LossLaw | None], ...] = (
        ("learning curve", domain.curve),
        ("model-size law", domain.size),
        ("loss law", domain.loss),
    )
    for name, record in laws:
        if record is not None and any(record.errors.standard.values()):
            found[name] = _joint(name, record, record.errors)
    known = projection.known
    given = scenario.training.passes is not None
    if known is not None and any(known.errors.standard.values()) and not given:
        found["passes and critical batch"] = _joint("passes", known, known.errors)
    elif (critical := critical_batches(scenario, projection)[0]) is not None and critical.standard_error:
        error = critical.standard_error
        found["critical batch"] = lambda rng: {"critical": _exp(error * rng.standard_normal(SAMPLES))}
    if scenario.training.step_error:
        spread = scenario.training.step_error
        found["step time"] = lambda rng: {"step": _exp(spread * rng.standard_normal(SAMPLES))}
    return found


def _exp(values: Array) -> Array:
    import numpy as np  # noqa: PLC0415  (start-up time)

    raised: Array = np.exp(values)
    return raised


def _joint(owner: str, record: object, errors: Errors) -> Draw:
    """Draws of the constants of one law: correlated normal, in the logarithm except for exponents."""

    def draw(rng: np.random.Generator) -> Mapping[str, Array]:
        import numpy as np  # noqa: PLC0415  (start-up time)

        names = [name for name, error in errors.standard.items() if error > 0.0]
        values = [float(getattr(record, name)) for name in names]
        logs = [name not in EXPONENTS and value > 0.0 for name, value in zip(names, values, strict=True)]
        sds = [errors.standard[n] / (v if log else 1.0) for n, v, log in zip(names, values, logs, strict=True)]
        correlation = np.eye(len(names))
        for pair, value in errors.correlations.items():
            first, second = pair.split()
            if first in names and second in names:
                i, j = names.index(first), names.index(second)
                correlation[i, j] = correlation[j, i] = value
        weights, vectors = np.linalg.eigh(correlation)
        root = vectors * np.sqrt(np.maximum(weights, 0.0))
        z = rng.standard_normal((SAMPLES, len(names))) @ root.T
        return {
            f"{owner}.{name}": value * np.exp(sd * z[:, k]) if log else value + sd * z[:, k]
            for k, (name, value, sd, log) in enumerate(zip(names, values, sds, logs, strict=True))
        }

    return draw


def _joined(parts: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    joined: dict[str, Array] = {}
    for part in parts:
        joined |= part
    return joined


@dataclass(frozen=True, slots=True)
class _Outcome:
    seconds: Array
    units: Array
    parameters: Array


class _Sizes:
    """The step time against model size: simulated at nodes, read between them in log-log."""

    def __init__(self, scenario: Scenario, model: Model, plan: Plan, projection: Projection, step_s: float) -> None:
        self.scenario, self.plan, self.projection = scenario, plan, projection
        self.known = {model.parameters: step_s}
        self.fixed = scenario.workload.parameters is not None or projection.parameters is None

    def refine(self, parameters: Array) -> None:
        """Simulate the step at quantiles of the drawn sizes."""
        import numpy as np  # noqa: PLC0415  (start-up time)

        if self.fixed:
            return
        for share in np.linspace(0.02, 0.98, NODES):
            size = float(np.quantile(parameters, share))
            model = model_of(self.scenario, replace(self.projection, parameters=size))
            self.known.setdefault(
                model.parameters, run_step(self.scenario, model, self.plan, engine="recursion").time_s
            )

    def step_s(self, parameters: Array) -> Array:
        """Seconds of a step; beyond the nodes the slope of the last two goes on."""
        import numpy as np  # noqa: PLC0415  (start-up time)

        sizes = sorted(self.known)
        if self.fixed or len(sizes) < 2:
            return np.full_like(parameters, self.known[sizes[0]])
        x, y = np.log(sizes), np.log([self.known[size] for size in sizes])
        at = np.log(parameters)
        k = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
        slope = (y[k + 1] - y[k]) / (x[k + 1] - x[k])
        read: Array = np.exp(y[k] + slope * (at - x[k]))
        return read


def _times(
    scenario: Scenario,
    domain: Domain,
    model: Model,
    projection: Projection,
    plan: Plan,
    goal: TimeToTarget,
    sizes: _Sizes,
) -> Callable[[Mapping[str, Array]], _Outcome]:
    """Time to the target, data and model size for arrays of constants; what is not drawn keeps its value."""
    import numpy as np  # noqa: PLC0415  (start-up time)

    per_sample = units_per_sample(scenario, model)
    critical, _ = critical_batches(scenario, projection)
    at_target = critical.in_samples(per_sample, projection.target_error) if critical else None
    counted = goal.samples / (
        (goal.passes or 1.0) * projection.dataset_units / per_sample
    )  # samples per sample of data
    grown = at_target is not None and abs(counted - (1.0 + plan.global_batch / at_target)) > 1e-9 * counted

    def outcome(drawn: Mapping[str, Array]) -> _Outcome:
        units, parameters = _projected(domain, projection, drawn)
        least = (goal.passes or 1.0) * units / per_sample
        if known := projection.known:
            least = least * drawn.get("passes.passes", np.full(SAMPLES, known.passes)) / known.passes
        factor = np.full(SAMPLES, counted)
        if at_target is not None and not grown:
            spread = drawn.get("critical", np.ones(SAMPLES))
            if known is not None and known.critical_batch:
                spread = spread * drawn.get("passes.critical_batch", np.full(SAMPLES, known.critical_batch))
                spread = spread / known.critical_batch
            factor = 1.0 + plan.global_batch / (at_target * spread)
        step = sizes.step_s(parameters) * drawn.get("step", np.ones(SAMPLES))
        seconds = np.asarray(least * factor / plan.global_batch * step, dtype=np.float64)
        return _Outcome(seconds, units, parameters)

    return outcome


def _projected(domain: Domain, projection: Projection, drawn: Mapping[str, Array]) -> tuple[Array, Array]:
    """(units of data, parameters) at the target for arrays of constants, as `sim.scaling.project` has them for one."""
    import numpy as np  # noqa: PLC0415  (start-up time)

    def of(owner: str, record: object, name: str) -> Array:
        return drawn.get(f"{owner}.{name}", np.full(SAMPLES, float(getattr(record, name))))

    error, size = projection.target_error, np.full(SAMPLES, projection.parameters or 1.0)
    if domain.curve is not None:
        curve = domain.curve
        alpha, beta, floor = (of("learning curve", curve, name) for name in ("alpha", "beta", "irreducible"))
        above = np.maximum(error - floor, 1e-3 * error)  # a draw whose floor lies above the target: as near as it gets
        units = (above / alpha) ** (1.0 / np.minimum(beta, -1e-3))
        if domain.size is not None:
            sigma, power = (of("model-size law", domain.size, name) for name in ("sigma", "beta"))
            size = sigma * units**power
        return np.asarray(units, dtype=np.float64), np.asarray(size, dtype=np.float64)
    if domain.loss is not None and domain.loss.form == "sum" and projection.passes == 1.0:
        law = domain.loss
        a_big, b_big, a, b, floor = (
            of("loss law", law, name)
            for name in ("size_coefficient", "data_coefficient", "size_exponent", "data_exponent", "irreducible")
        )
        excess = np.maximum(error - floor, 1e-3 * error)
        units = (b_big * (a + b) / (excess * a)) ** (1.0 / b)
        size = (a_big * (a + b) / (excess * b)) ** (1.0 / a)
        return np.asarray(units, dtype=np.float64), np.asarray(size, dtype=np.float64)
    return np.full(SAMPLES, projection.dataset_units, dtype=np.float64), np.asarray(size, dtype=np.float64)
