"""A fitted law: its constants with intervals, regions, bands and warnings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sim.report.tables import Cell, Column, Kind, Table
from sim.report.text import percent, si, table
from sim.study.fit import AHEAD, Fitted


def render(fitted: Fitted) -> str:
    """The law, what carries it, and the warnings first."""
    parts = [f"WARNING: {text}" for text in fitted.warnings]
    parts += {"curve": _curve, "loss": _loss, "batch": _batch}[fitted.law](fitted)
    return "\n".join(parts)


def _curve(fitted: Fitted) -> list[str]:
    found = fitted.curve
    if found is None:
        raise LookupError("no curve was fitted")
    c, unit = found.curve, fitted.domain.unit
    lines = [
        f"{fitted.domain.name}: error = {c.alpha:.4g} m^{c.beta:.4g} + {c.irreducible:.4g}, m in {unit}s; "
        f"{len(found.used)} shards, {percent(found.rms)} rms about the curve"
    ]
    rows = [
        [name, f"{getattr(c, name):.4g}", f"{low:.4g}", f"{high:.4g}"] for name, (low, high) in found.intervals.items()
    ]
    if fitted.size is not None:
        low, high = fitted.size.interval
        rows.append(["model size exponent", f"{fitted.size.law.beta:.4g}", f"{low:.4g}", f"{high:.4g}"])
    lines.append(table(["constant", "fitted", "5 %", "95 %"], rows, indent="  "))
    first, last = found.used[0], found.used[-1]
    if found.best_guess_below:
        lines.append(f"  best-guess region below {si(found.best_guess_below)} {unit}s")
    lines.append(f"  {found.region} region at the largest shard, {si(last.units)} {unit}s")
    lines += [f"  left out, row {d.shard.row}: {si(d.shard.units)} {unit}s, {d.reason}" for d in found.dropped]
    ahead = [(last.units * times, times) for times in AHEAD]
    bands = [[si(m), f"{times:g}x", f"{found.at(m):.4g}", *(f"{v:.4g}" for v in found.band(m))] for m, times in ahead]
    lines.append(table([f"{unit}s", "of the largest", "error", "5 %", "95 %"], bands, indent="  "))
    lines.append(f"  fitted from {si(first.units)} to {si(last.units)} {unit}s; beyond that it is extrapolated")
    return lines


def _loss(fitted: Fitted) -> list[str]:
    if fitted.loss is None:
        raise LookupError("no loss law was fitted")
    law, found = fitted.loss.law, fitted.loss
    e = law.errors.standard
    names = ("irreducible", "size_coefficient", "data_coefficient", "size_exponent", "data_exponent")
    rows = [[name, f"{getattr(law, name):.5g}", f"{e[name]:.3g}"] for name in names]
    return [
        f"{fitted.domain.name}: loss = E + A/N^a + B/D^b; {found.runs} runs, {percent(found.scatter)} robust scatter",
        table(["constant", "fitted", "standard error"], rows, indent="  "),
    ]


def _batch(fitted: Fitted) -> list[str]:
    if fitted.batch is None:
        raise LookupError("no batch law was fitted")
    law = fitted.batch
    bend = f"(1 + B/{law.critical_batch:,.0f})" if law.critical_batch else ""
    rest = [law.at(b) / e - 1.0 for b, e in fitted.points]
    worst = max(rest, key=abs)
    return [
        f"{fitted.domain.name}: samples to the target = {law.least:.4g} {bend}".rstrip(),
        f"  {len(fitted.points)} runs; the worst is {percent(worst, signed=True)} off",
    ]


def as_table(fitted: Fitted) -> Table:
    """What a learning curve gives ahead of the largest shard with its band, or the runs of the other laws."""
    if fitted.curve is not None:
        found = fitted.curve
        columns: tuple[str, ...] = (fitted.domain.unit + "s", "error", "error_p05", "error_p95")
        sizes = [found.used[-1].units * times for times in AHEAD]
        cells: list[tuple[Cell, ...]] = [(m, float(found.at(m)), *map(float, found.band(m))) for m in sizes]
    elif fitted.loss is not None:
        columns, law = ("constant", "fitted", "standard_error"), fitted.loss.law
        cells = [(name, float(getattr(law, name)), error) for name, error in law.errors.standard.items()]
    else:
        columns, cells = ("batch", "samples"), list(fitted.points)
    kinds: list[Kind] = ["text" if isinstance(cell, str) else "number" for cell in cells[0]]
    return Table(tuple(Column(*pair) for pair in zip(columns, kinds, strict=True)), tuple(cells))


def to_json(fitted: Fitted) -> dict[str, Any]:
    """Constants, intervals, bands, what was left out, and the domain that `scaling:` reads."""
    body: dict[str, Any] = {
        "schema_version": 1,
        "file": fitted.file,
        "law": fitted.law,
        "warnings": list(fitted.warnings),
        "domain": asdict(fitted.domain),
    }
    if fitted.curve is not None:
        found = fitted.curve
        ahead = [found.used[-1].units * times for times in AHEAD]
        body["curve"] = {
            "intervals": {name: list(pair) for name, pair in found.intervals.items()},
            "rms_ln": found.rms,
            "region": found.region,
            "best_guess_below_units": found.best_guess_below,
            "irreducible_identified": found.floor_identified,
            "left_out": [{"row": d.shard.row, "units": d.shard.units, "reason": d.reason} for d in found.dropped],
            "bands": [
                {"units": m, "error": found.at(m), "p05": low, "p95": high}
                for m in ahead
                for low, high in (found.band(m),)
            ],
        }
    if fitted.size is not None:
        body["size"] = {"beta_interval": list(fitted.size.interval)}
    if fitted.loss is not None:
        body["loss"] = {"runs": fitted.loss.runs, "scatter_ln": fitted.loss.scatter}
    if fitted.batch is not None:
        body["batch"] = asdict(fitted.batch)
    return body
