"""Work to the target against the global batch: E(B) = E_min·(1 + B/B_c), fitted without the round a row is from.

McCandlish et al. 2018 (arXiv 1812.06162), eq. 2.7: samples to a target grow linearly with the batch, from E_min to
twice that at the critical batch B_c.  A benchmark has one law; the fit minimises the sum of |E_fit/E − 1| over the rows
of all other rounds, so that a row never sees its own round.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from sim.scaling.batch_fit import FEWEST, fit_batch
from sim.validation.validation import Outcome, Request, ValidationSet, requests


def simulate_row(spec: ValidationSet, request: Request) -> Outcome | str:
    """Work to the target of one row by the law of its benchmark's other rounds."""
    row = request.row
    others = [
        (float(other.row["global_batch_size"]), other.measured)
        for other in requests(spec)
        if other.row["benchmark"] == row["benchmark"] and other.row["round"] != row["round"]
        if not other.skip and other.measured is not None
    ]
    if len({batch for batch, _ in others}) < FEWEST:
        return f"the other rounds of {row['benchmark']} have fewer than {FEWEST} batches"
    law = fit_batch(others)
    return Outcome(
        fields={"epochs": law.at(float(row["global_batch_size"]))},
        accelerator=row["benchmark"],
        ideal_s=1.0,
        compute_share=1.0,
        fits=True,
    )


def notes(spec: ValidationSet) -> tuple[str, ...]:
    """The law of each benchmark over all its rounds."""
    asked = [r for r in requests(spec) if not r.skip and r.measured is not None]
    found = []
    for name in dict.fromkeys(r.row["benchmark"] for r in asked):
        mine = [(float(r.row["global_batch_size"]), r.measured or 0.0) for r in asked if r.row["benchmark"] == name]
        if len({batch for batch, _ in mine}) < FEWEST:
            continue
        law = fit_batch(mine)
        unit = next(r.row["unit"] for r in asked if r.row["benchmark"] == name)
        bend = "no dependence on the batch" if law.critical_batch is None else f"B_c {law.critical_batch:,.0f} samples"
        found.append(f"{name}, all rounds: E_min {law.least:.4g} ({unit}), {bend}")
    return (*found, *_largest(spec, asked))


def _largest(spec: ValidationSet, asked: Sequence[Request]) -> tuple[str, ...]:
    """Errors of each benchmark at the largest batch of every round, that round left out of the fit."""
    found = []
    for name in dict.fromkeys(r.row["benchmark"] for r in asked):
        errors = []
        for edition in dict.fromkeys(r.row["round"] for r in asked if r.row["benchmark"] == name):
            mine = [r for r in asked if (r.row["benchmark"], r.row["round"]) == (name, edition)]
            last = max(mine, key=lambda r: float(r.row["global_batch_size"]))
            outcome = simulate_row(spec, last)
            if len(mine) > 1 and isinstance(outcome, Outcome) and last.measured:
                errors.append(abs(outcome.fields["epochs"] / last.measured - 1.0))
        if errors:
            told = f"mean {100 * mean(errors):.1f} %, worst {100 * max(errors):.1f} %"
            found.append(f"{name}, largest batch of each of {len(errors)} rounds: {told}")
    return tuple(found)
