"""Algorithmic speed-ups of a run: what each saves on this hardware, beside what was published."""

from __future__ import annotations

from sim.report.text import percent, table
from sim.result import Saving, Speedups


def speedups_text(speedups: Speedups | None) -> str:
    """A row per speed-up, all together, and the bottleneck before and after."""
    if speedups is None:
        return ""
    header = ["speed-up", "kind", "FLOPs saved", "time saved", "energy", "memory", "accuracy", "published time"]
    rows = [_row(saving) for saving in (*speedups.alone, speedups.together)]
    lines = ["Speed-ups", table(header, rows, left=2, indent="  ")]
    if len(speedups.alone) > 1:
        lines.append(f"  if savings multiplied: {percent(speedups.product)} of the time")
    lines.append(
        f"  bottleneck before: {speedups.before.limit}, after: {speedups.after.limit}. {speedups.after.statement}"
    )
    lines += [f"  {saving.name}: {saving.published}; {saving.source}" for saving in speedups.alone]
    return "\n".join(lines)


def _row(saving: Saving) -> list[str]:
    energy = "-" if saving.energy is None else percent(saving.energy)
    points = "-" if saving.accuracy_points is None else f"{saving.accuracy_points:+g} points"
    published = "-" if saving.published_time is None else percent(saving.published_time)
    kind = f"{saving.kind} {saving.component}".strip()
    memory = percent(saving.memory)
    return [saving.name, kind, percent(saving.flops), percent(saving.time), energy, memory, points, published]
