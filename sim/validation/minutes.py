"""Minutes to a published accuracy, from chip, cluster, batch and target, without the row's own passes.

minutes = (samples to the target at this batch / rate + evaluations + warm-up) / 60.  The rate is that of the simulated
step, set up by the rules of the set the row comes from.  Samples are passes(batch) = E_min·(1 + B/B_c), fitted on the
entries of other rounds of the same recipe (`recipes`, by round; the median of those of the very batch where there are
`ENOUGH`), or the passes of a scaling domain (`domain`, its recipe to `error`, else its first).  Evaluations are
those of the set of rates (`campaign.evaluation`), or the set's own (`evaluation`).  The warm-up (first batches, caches
that fill) is what the runs of the other rounds on as many devices, to a factor of four, took beyond their samples at
the rate between their evaluations: the median in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from statistics import median
from typing import Any, Final

from sim.engine.campaign.request import EvaluationRequest
from sim.files.library import folder
from sim.scaling.batch_fit import FEWEST, fit_batch
from sim.validation.published import load_validation_set
from sim.validation.runs import simulate_request
from sim.validation.validation import (
    Comparison,
    Outcome,
    Request,
    ValidationSet,
    domain_of,
    number_of,
    requests,
    summarise,
)

UNRATED: Final = ("no measured value", "no rate:")  # a row whose rate is not printed has its minutes still
STEADY: Final = "steady_samples_per_s_between_evals"
PASSES: Final = "converge_epochs_or_samples"
ENOUGH: Final = 5  # entries of one batch, whose median says more than a law through all batches
ALIKE: Final = 4.0  # times the devices
MOST_PASSES: Final = 1000.0  # beyond it a log counts samples
LARGE: Final = 512  # devices from which on rows are told apart


@cache
def rate_set(name: str) -> ValidationSet:
    """The published set whose rules set up the run."""
    return load_validation_set(folder("validation") / f"{name}.yaml")


def run_of(spec: ValidationSet, request: Request) -> tuple[ValidationSet, Request]:
    """The run of a row: the set of rates, and what it asks for."""
    base = rate_set(str(spec.template["rates"]))
    (run,) = requests(base, [request.row])
    own = spec.template.get("evaluation")
    if own is not None:
        run = replace(run, overrides={**run.overrides, "campaign.evaluation": own})
    return base, replace(run, skip="") if run.skip.startswith(UNRATED) else run


def simulate_row(
    spec: ValidationSet, request: Request, simulate: Callable[[str], Outcome | str] | None = None
) -> Outcome | str:
    """Minutes of one row."""
    base, run = run_of(spec, request)
    found = run.skip or simulate_request(base, run, simulate)
    if isinstance(found, str):
        return found
    batch = float(request.row.get("global_batch_size") or request.row["global_batch"])
    samples = _samples(spec, request, batch)
    if isinstance(samples, str):
        return samples
    minutes = (samples / found.fields["samples_per_s_evaluated"] + warm_up_s(spec, request.row)) / 60.0
    devices = float(request.row["n_accel"] or 1.0)
    return Outcome(
        fields={"minutes": minutes},
        accelerator=found.accelerator,
        ideal_s=1.0 / devices,  # the null: minutes × devices is constant per chip
        compute_share=found.compute_share,
        fits=found.fits,
    )


def _number(spec: ValidationSet, key: str) -> float:
    value = spec.template[key]
    if not isinstance(value, int | float):
        raise LookupError(f"{spec.name}: {key} is no number")
    return float(value)


def _samples(spec: ValidationSet, request: Request, batch: float) -> float | str:
    """Samples to the target at this batch, without this row's round."""
    name = spec.template.get("domain")
    if name:
        known = domain_of(spec, name, "domain")
        error, per_sample = spec.template.get("error"), known.units_per_sample or 1.0
        law = next(p for p in known.passes if error is None or p.error == error)
        least = law.passes * (known.data_set_units or 0.0) / per_sample
        return least * (1.0 + batch / law.critical_batch) if law.critical_batch else least
    recipe = _recipe(spec, request.row)
    others = [
        (float(other["global_batch_size"]), float(other[PASSES]))
        for other in spec.rows
        if other["round"] != request.row["round"] and _recipe(spec, other) == recipe and _passes_told(other)
    ]
    if len({b for b, _ in others}) < FEWEST:
        return f"the other rounds of this recipe have fewer than {FEWEST} batches"
    same = [work for size, work in others if size == batch]
    passes = median(same) if len(same) >= ENOUGH else fit_batch(others).at(batch)
    return passes * _number(spec, "data_set_samples")


def warm_up_s(spec: ValidationSet, row: Mapping[str, str]) -> float:
    """Seconds beyond samples at the rate between evaluations: median of the other rounds on about as many devices."""
    found = []
    for other in spec.rows:
        rate, minutes, passes = (number_of(other.get(name) or "") for name in (STEADY, "time_to_train_min", PASSES))
        if other.get("round") == row.get("round") or not (rate and minutes and passes) or passes >= MOST_PASSES:
            continue
        if _alike(other, row):
            found.append(minutes * 60.0 - passes * _number(spec, "data_set_samples") / rate)
    return max(0.0, median(found)) if found else 0.0


def _alike(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether the numbers of devices lie within `ALIKE` of each other."""
    first, second = (number_of(row.get("n_accel", "")) or 1.0 for row in (one, other))
    return max(first, second) <= ALIKE * min(first, second)


def _recipe(spec: ValidationSet, row: Mapping[str, str]) -> str:
    """The recipe of a round, by the table `recipes` of the set."""
    table = spec.template.get("recipes")
    return str(table.get(row["round"], "")) if isinstance(table, Mapping) else ""


def _passes_told(row: Mapping[str, str]) -> bool:
    """A row that tells its epochs, and not in samples; under 30 are open entries with another model."""
    text = row.get(PASSES, "")
    return bool(row.get("global_batch_size")) and 30 <= (number_of(text) or 0.0) < MOST_PASSES


def notes(spec: ValidationSet, counted: Sequence[Comparison], asked: Sequence[Request]) -> tuple[str, ...]:
    """Rows of few and of many devices apart, each with the skill over the null model of its own rows; the terms."""
    devices = {request.id: number_of(request.row.get("n_accel", "")) or 0.0 for request in asked}
    lines = []
    for told, chosen in (
        (f"under {LARGE} devices", [r for r in counted if devices[r.id] < LARGE]),
        (f"{LARGE} devices and more", [r for r in counted if devices[r.id] >= LARGE]),
    ):
        if chosen:
            s = summarise(told, chosen)
            skill = "-" if s.skill is None else f"{s.skill:.2f}"
            errors = f"median {100 * s.median_abs_error:.1f} %, mean {100 * s.mean_abs_error:.1f} %"
            lines.append(f"{told}: {len(chosen)} rows, {errors}, skill {skill}")
    shown = {row.id for row in counted}
    warm = [warm_up_s(spec, request.row) for request in asked if request.id in shown]
    evaluation = _evaluation(spec)
    share = evaluation.pause_s(1.0, 0.0) / evaluation.every_samples
    lines.append(
        f"terms: samples evaluated {100 * share:.2g} % of the steps, and the turn to them where the framework has one "
        f"(evaluation_gap); warm-up {min(warm):.1f} to {max(warm):.1f} s"
    )
    return tuple(lines)


def _evaluation(spec: ValidationSet) -> EvaluationRequest:
    """The evaluations in the time."""
    own = spec.template.get("evaluation")
    if own is None:
        campaign: Any = rate_set(str(spec.template["rates"])).template["campaign"]
        own = campaign["evaluation"]
    values: Any = own
    return EvaluationRequest(**values)
