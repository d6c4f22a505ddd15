"""Bands of the headline numbers: every constant with a standard error is drawn, together, many times at once.

Positive constants are drawn as log-normal, exponents as normal, with the correlations their fit had.  The step is
simulated at a few model sizes and read between them in log-log, so a thousand draws cost a handful of steps.  What a
campaign adds to the steps, and idle devices to their energy, is taken in proportion.  The share of a cause in a number
is the variance of its logarithm with that cause alone, over the sum of all such variances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sim.engine import Step
from sim.plan.energy import moved_energy
from sim.plan.expense import Prices, expenses, site_of
from sim.plan.records import Plan
from sim.records import dataclass
from sim.result import Band, Cause, TimeToTarget, Uncertainty
from sim.scaling import Domain, Errors, LearningCurve, LossLaw, Projection, SizeLaw
from sim.scenario import Scenario
from sim.simulation.goal import critical_batches, units_per_sample
from sim.simulation.planning import model_of
from sim.simulation.stepping import record_of, run_step
from sim.workload.records import Model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

SAMPLES: Final = 1000
NODES: Final = 5  # model sizes the step is simulated at
ROUNDING: Final = 1e-20
LEAST: Final = {"pue": 1.0, "server_factor": 1.0}  # nothing costs less than itself
EXPONENTS: Final = frozenset(("beta", "size_exponent", "data_exponent"))


@dataclass(frozen=True, slots=True)
class Planned:
    """What is uncertain about one result: its plan and step, and the candidates it was chosen from."""

    plan: Plan
    step: Step
    goal: TimeToTarget
    energy_j: float | None  # of the devices to the target; None: no power figures
    weighed: tuple[tuple[int, int, float], ...] = ()  # devices, global batch, value to the target of every candidate


def uncertainty_of(
    scenario: Scenario, model: Model, projection: Projection | None, planned: Planned, seed: int
) -> Uncertainty | None:
    """5th, 50th and 95th percentile of the headline numbers, and which constant they come from."""
    domain = scenario.scaling
    if domain is None or projection is None:
        return None
    causes = _causes(scenario, domain, projection)
    if not causes:
        return None
    import numpy as np  # noqa: PLC0415  (start-up time: only where something is uncertain)

    rng = np.random.default_rng(np.random.SeedSequence([seed, 10]))
    drawn = {name: draw(rng) for name, draw in causes.items()}
    sizes = _Sizes(scenario, model, planned, projection)
    figures = _figures(scenario, domain, model, projection, planned, sizes)
    sizes.refine(figures(_joined(drawn.values()))["parameters"])
    together = figures(_joined(drawn.values()))
    alone = {name: figures(_joined([values])) for name, values in drawn.items()}
    variances = {n: {key: _variance(v) for key, v in values.items()} for n, values in alone.items()}
    totals = {key: sum(each[key] for each in variances.values()) for key in together}
    shares = {n: {key: each[key] / totals[key] for key in each if totals[key]} for n, each in variances.items()}
    bands = {name: _band(values) for name, values in together.items()}
    if projection.parameters is None:
        del bands["parameters"]
    time = "time_to_target_s"
    found = (Cause(n, shares[n].get(time, 0.0), _band(alone[n][time]), shares[n]) for n in alone)
    return Uncertainty(SAMPLES, bands, tuple(sorted(found, key=lambda cause: -cause.share)))


def _variance(values: Array) -> float:
    """Variance of the logarithm; 0 where nothing but rounding differs."""
    import numpy as np  # noqa: PLC0415  (start-up time)

    found = float(np.var(np.log(values)))
    return found if found > ROUNDING else 0.0


def carried(domain: Domain, projection: Projection) -> bool:
    """Whether errors of the loss law reach the bands: there is no closed form with repeats or in Kaplan's form."""
    law = domain.loss
    plain = law is not None and law.form == "sum" and projection.passes == 1.0
    return law is None or not any(law.errors.standard.values()) or plain


def _band(values: Array) -> Band:
    return Band(*quantiles(values, (0.05, 0.5, 0.95)))


def quantiles(values: Array, shares: Iterable[float]) -> list[float]:
    """Between two of the values in order, interpolated from the nearer one, as `numpy.quantile` does (which imports
    masked arrays: 10 ms of CPU).
    """
    ordered, found = sorted(values.tolist()), []
    for share in shares:
        below, part = divmod((len(ordered) - 1) * share, 1.0)
        low, high = ordered[int(below)], ordered[min(int(below) + 1, len(ordered) - 1)]
        found.append(low + (high - low) * part if part < 0.5 else high - (high - low) * (1.0 - part))
    return found


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
        if isinstance(record, LossLaw) and not carried(domain, projection):
            continue
        if record is not None and any(record.errors.standard.values()):
            found[name] = _joint(name, record, record.errors)
    known = projection.known
    given = scenario.training.passes is not None
    if known is not None and any(known.errors.standard.values()) and not given:
        found["passes and critical batch"] = _joint("passes", known, known.errors)
    elif (critical := critical_batches(scenario, projection)[0]) is not None and critical.standard_error:
        about = critical.standard_error
        found["critical batch"] = lambda rng: {"critical": _exp(about * rng.standard_normal(SAMPLES))}
    error = scenario.accelerator.rate_error
    if error and scenario.training.compute_s is None:
        found["rate of the chip"] = lambda rng: {"chip": _exp(error * rng.standard_normal(SAMPLES))}
    prices = scenario.campaign.prices
    if any(prices.errors.standard.values()) and _priced(scenario):
        all_of_them = _With(prices, {"device": scenario.accelerator.price_usd or 1.0})
        found["prices"] = _joint("prices", all_of_them, _open(prices))
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


class _With:
    """The prices with others in place of some: that of a device, which is the chip's, or what was drawn."""

    def __init__(self, prices: Prices, others: Mapping[str, object]) -> None:
        self.prices = prices
        self.__dict__ |= others

    def __getattr__(self, name: str) -> object:
        return getattr(self.prices, name)


def _priced(scenario: Scenario) -> bool:
    return scenario.accelerator.price_usd is not None or scenario.campaign.prices.device_hour is not None


def _open(prices: Prices) -> Errors:
    """The errors of the prices that are there: with a rent it holds those of a purchase."""
    known = {name: error for name, error in prices.errors.standard.items() if getattr(prices, name, 1.0) is not None}
    return replace(prices.errors, standard=known)


class _Sizes:
    """Step time and energy against model size: simulated at nodes, read between them in log-log."""

    def __init__(self, scenario: Scenario, model: Model, planned: Planned, projection: Projection) -> None:
        self.scenario, self.plan, self.projection = scenario, planned.plan, projection
        self.fixed = scenario.workload.parameters is not None or projection.parameters is None
        self.known: dict[float, tuple[float, float]] = {}
        self._add(model, planned.step.time_s)

    def _add(self, model: Model, step_s: float) -> None:
        chip, moved = self.scenario.accelerator, 1.0
        if chip.power is not None:
            moved = sum(moved_energy(record_of(self.scenario, model, self.plan), chip).values())
        self.known[model.parameters] = (step_s, moved)

    def refine(self, parameters: Array) -> None:
        """Simulate the step at quantiles of the drawn sizes."""
        import numpy as np  # noqa: PLC0415  (start-up time)

        if self.fixed or np.ptp(parameters) == 0.0:
            return
        for size in quantiles(parameters, np.linspace(0.02, 0.98, NODES).tolist()):
            model = model_of(self.scenario, replace(self.projection, parameters=size))
            if model.parameters not in self.known:
                self._add(model, run_step(self.scenario, model, self.plan, engine="recursion").time_s)

    def at(self, parameters: Array) -> tuple[Array, Array]:
        """(seconds, joules beside idle power) of a step; beyond the nodes the slope of the last two goes on."""
        import numpy as np  # noqa: PLC0415  (start-up time)

        sizes = sorted(self.known)
        if self.fixed or len(sizes) < 2:
            seconds, moved = self.known[sizes[0]]
            return np.full_like(parameters, seconds), np.full_like(parameters, moved)
        x, at = np.log(sizes), np.log(parameters)
        k = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)

        def read(part: int) -> Array:
            y = np.log([self.known[size][part] for size in sizes])
            values: Array = np.exp(y[k] + (y[k + 1] - y[k]) / (x[k + 1] - x[k]) * (at - x[k]))
            return values

        return read(0), read(1)


def _figures(
    scenario: Scenario, domain: Domain, model: Model, projection: Projection, planned: Planned, sizes: _Sizes
) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """The headline numbers for arrays of constants; what is not drawn keeps its value."""
    import numpy as np  # noqa: PLC0415  (start-up time)

    plan, goal, step = planned.plan, planned.goal, planned.step
    per_sample = units_per_sample(scenario, model)
    critical, _ = critical_batches(scenario, projection)
    at_target = critical.in_samples(per_sample, projection.target_error) if critical else None
    counted = goal.samples / (
        (goal.passes or 1.0) * projection.dataset_units / per_sample
    )  # samples per sample of data
    grown = at_target is not None and abs(counted - (1.0 + plan.global_batch / at_target)) > 1e-9 * counted
    added = goal.seconds / (goal.steps * step.time_s)  # what the campaign adds to the steps
    power = scenario.accelerator.power
    idle_w = power.running_w(scenario.accelerator.clock) * plan.devices if power else 0.0

    def wide(value: float) -> Array:
        return np.full(SAMPLES, value)

    def outcome(drawn: Mapping[str, Array]) -> dict[str, Array]:
        units, parameters = _projected(domain, projection, drawn)
        least = (goal.passes or 1.0) * units / per_sample
        if known := projection.known:
            least = least * drawn.get("passes.passes", wide(known.passes)) / known.passes
        factor, narrower = wide(counted), drawn.get("critical", wide(1.0))
        if at_target is not None and not grown:
            if known is not None and known.critical_batch:
                narrower = narrower * drawn.get("passes.critical_batch", wide(known.critical_batch))
                narrower = narrower / known.critical_batch
            factor = 1.0 + plan.global_batch / (at_target * narrower)
        step_s, moved = sizes.at(parameters)
        on_device = step.compute_s / step.time_s
        slower = on_device * drawn.get("chip", wide(1.0)) + 1.0 - on_device
        step_s = step_s * slower * drawn.get("step", wide(1.0))
        steps = least * factor / plan.global_batch
        seconds = np.asarray(steps * step_s * added, dtype=np.float64)
        found = {"time_to_target_s": seconds, "dataset_units": units, "parameters": parameters}
        joules = None
        if planned.energy_j is not None:
            whole = planned.energy_j / (goal.steps * (sizes.known[model.parameters][1] + idle_w * step.time_s))
            joules = found["energy_j"] = steps * (moved + idle_w * step_s) * whole
        if _priced(scenario):
            found["cost_usd"] = drawn_costs(scenario, plan, seconds, joules, drawn)
        if planned.weighed and at_target is not None and not grown:
            found["devices"] = _devices(planned.weighed, at_target, narrower)
        return found

    return outcome


def drawn_costs(scenario: Scenario, plan: Plan, seconds: Any, joules: Any, drawn: Mapping[str, Array]) -> Array:
    """Money to the target (USD) for arrays of times, energies and prices."""
    import numpy as np  # noqa: PLC0415  (start-up time)

    named = {key.removeprefix("prices."): values for key, values in drawn.items() if key.startswith("prices.")}
    device: Any = named.pop("device", scenario.accelerator.price_usd)
    least = {name: np.maximum(LEAST.get(name, 0.0), values) for name, values in named.items()}
    prices: Any = _With(scenario.campaign.prices, least)
    site = site_of(prices, joules, 0.0, plan.devices, 0.0).site_j if joules is not None else None
    kinds: Mapping[str, Any] = expenses(prices, device, plan.devices, seconds, site)
    return np.asarray(sum(kinds.values()), dtype=np.float64)


def _devices(weighed: tuple[tuple[int, int, float], ...], critical: float, narrower: Array) -> Array:
    """The number of devices that is best where the critical batch is `narrower` times as large, draw by draw."""
    import numpy as np  # noqa: PLC0415  (start-up time)

    devices, batches, values = (np.asarray(column, dtype=np.float64) for column in zip(*weighed, strict=True))
    samples = (1.0 + batches[:, None] / (critical * narrower)) / (1.0 + batches / critical)[:, None]
    best: Array = devices[np.argmin(values[:, None] * samples, axis=0)]
    return best


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
