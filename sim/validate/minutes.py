"""Minutes to a published accuracy, from chip, cluster, batch and target, without the row's own passes.

minutes = (samples to the target at this batch / rate + evaluations) / 60.  The rate is that of the simulated step, set
up by the rules of the set the row comes from.  Samples are passes(batch) = E_min·(1 + B/B_c), fitted on the entries
of other rounds of the same recipe (`recipes`, by round), or the passes of a scaling domain (`domain`).  An evaluation
runs `evaluation_samples` forward, a third of a step's work, every `evaluation_every` samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from statistics import mean, median
from typing import Final

from sim.files.library import folder
from sim.files.scaling import load_domain
from sim.scaling.batch_fit import FEWEST, fit_batch
from sim.validate.published import load_validation_set
from sim.validate.runs import simulate_request
from sim.validate.validation import Comparison, Outcome, Request, ValidationSet, requests

FORWARD: Final = 1.0 / 3.0  # of a step: forward one, backward two (Hestness et al. 2019, section 2)
LARGE: Final = 512  # devices from which on rows are told apart


@cache
def rate_set(name: str) -> ValidationSet:
    """The published set whose rules set up the run."""
    return load_validation_set(folder("validation") / f"{name}.yaml")


def simulate_row(spec: ValidationSet, request: Request) -> Outcome | str:
    """Minutes of one row."""
    base = rate_set(str(spec.template["rates"]))
    run = next(iter(requests(base, [request.row])))
    if run.skip and run.skip != "no measured value":
        return run.skip
    found = simulate_request(base, run)
    if isinstance(found, str):
        return found
    batch = float(request.row["global_batch_size"])
    samples = _samples(spec, request, batch)
    if isinstance(samples, str):
        return samples
    rate = found.fields["samples_per_s"]
    every, held = _number(spec, "evaluation_every"), _number(spec, "evaluation_samples")
    evaluation_s = samples / every * held * FORWARD / rate
    minutes = (samples / rate + evaluation_s) / 60.0
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
        known = load_domain(str(name))
        law, per_sample = known.passes[0], known.units_per_sample or 1.0
        least = law.passes * (known.data_set_units or 0.0) / per_sample
        return least * (1.0 + batch / law.critical_batch) if law.critical_batch else least
    recipe = _recipe(spec, request.row)
    others = [
        (float(other["global_batch_size"]), float(other["converge_epochs_or_samples"]))
        for other in spec.rows
        if other["round"] != request.row["round"] and _recipe(spec, other) == recipe and _passes_told(other)
    ]
    if len({b for b, _ in others}) < FEWEST:
        return f"the other rounds of this recipe have fewer than {FEWEST} batches"
    return fit_batch(others).at(batch) * _number(spec, "data_set_samples")


def _recipe(spec: ValidationSet, row: Mapping[str, str]) -> str:
    """The recipe of a round, by the table `recipes` of the set."""
    table = spec.template.get("recipes")
    return str(table.get(row["round"], "")) if isinstance(table, Mapping) else ""


def _passes_told(row: Mapping[str, str]) -> bool:
    """A row that tells its epochs, and not in samples; under 30 are open entries with another model."""
    text = row.get("converge_epochs_or_samples", "")
    return bool(text) and bool(row.get("global_batch_size")) and 30 <= float(text) < 1000


def notes(counted: Sequence[Comparison], asked: Sequence[Request]) -> tuple[str, ...]:
    """Rows of many devices apart, and the efficiency between two sizes of one machine where both are there."""
    devices = {request.id: float(request.row.get("n_accel") or 0.0) for request in asked}
    lines = []
    for told, chosen in (
        (f"under {LARGE} devices", [r for r in counted if devices[r.id] < LARGE]),
        (f"{LARGE} devices and more", [r for r in counted if devices[r.id] >= LARGE]),
    ):
        errors = [abs(row.error) for row in chosen]
        if errors:
            lines.append(
                f"{told}: {len(errors)} rows, median {100 * median(errors):.1f} %, mean {100 * mean(errors):.1f} %"
            )
    return tuple(lines)
