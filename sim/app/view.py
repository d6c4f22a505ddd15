"""What the page shows of an answer, as HTML: made of the parts that `foretrain report` writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from typing import Final, TypeAlias

from sim.errors import ForetrainError, InfeasibleError, InputError, Lever
from sim.report import compare as comparison
from sim.report.figures import compared as pictures
from sim.report.figures import kit, run, studies
from sim.report.figures.kit import Figure
from sim.report.page import figures_of, key_figures, levers
from sim.report.run import answer_line, plan_line, render
from sim.report.text import duration, percent, size_text
from sim.result import Result
from sim.study.compare import Comparison
from sim.study.dossier import Dossier
from sim.study.sensitivity import Sensitivity

AT_ONCE: Final = ("budget", "memory")  # pictures that follow a slider
AGREES: Final = 5e-4  # of the time: less than what is printed


Shown: TypeAlias = dict[str, str]  # `html`, and the `figures` that follow what else is said
NOTHING: Final[Shown] = {"html": "", "figures": ""}


def answered(result: Result, where: str) -> Shown:
    """The answer at once, with its two pictures; `where` tells the pictures of two designs apart."""
    line = answer_line(result)
    said = [
        f'<p class="lead">{escape(line[:1].upper() + line[1:])}.</p>',
        key_figures(result),
        f"<p><strong>{escape(result.bottleneck.statement)}</strong></p>",
    ]
    return {"html": "\n".join(said), "figures": _shown((run.budget(result.step), run.memory(result.memory)), where)}


def confirmed(found: Dossier, quick: Result | None, where: str) -> Shown:
    """What SimPy adds: whether the estimate holds, bands and levers, and the pictures of the whole run."""
    result = found.result
    more = [figure for figure in figures_of(found) if figure.key not in AT_ONCE]
    said = [f'<p class="confirmed" role="status">{escape(agreement(result, quick))}</p>', _band(result), levers(result)]
    report = f"<details><summary>the report as text</summary><pre>{escape(render(result))}</pre></details>"
    plan = f'<h2>Plan</h2>\n<pre class="wrap">{escape(plan_line(result))}</pre>'
    return {"html": "\n".join(filter(None, said)), "figures": "\n".join((plan, report, _shown(more, where)))}


def _band(result: Result) -> str:
    """The band of the time and the inputs that make it."""
    if result.uncertainty is None:
        return ""
    spread = result.uncertainty.bands["time_to_target_s"]
    causes = ", ".join(f"{cause.name} {percent(cause.share)}" for cause in result.uncertainty.causes[:3] if cause.share)
    said = f"Between {duration(spread.p05)} and {duration(spread.p95)} (5th to 95th percentile)"
    return f'<p class="muted">{escape(said + (f"; variance from {causes}." if causes else "."))}</p>'


def agreement(result: Result, quick: Result | None) -> str:
    """What SimPy finds, and how far the answer at once was off."""
    said = f"Confirmed by SimPy: {_headline(result)}"
    if quick is None:
        return f"{said}. The plan kept from the unscaled hardware has no answer; this is another one."
    off = _seconds(result) / _seconds(quick) - 1.0
    same = replace(quick.plan, framework=result.plan.framework) == result.plan
    other = "" if same else " With this hardware another plan is better than the one kept while sliders move."
    if abs(off) < AGREES:
        return f"{said}, as estimated.{other}"
    return f"{said}; the estimate was {_headline(quick)}, {percent(off, signed=True)} to what SimPy finds.{other}"


def _headline(result: Result) -> str:
    goal = result.time_to_target
    return f"{duration(_seconds(result))} {'a step' if goal is None else 'to the target'}"


def _seconds(result: Result) -> float:
    return result.step.time_s if result.time_to_target is None else result.time_to_target.seconds


def tornado(found: Sensitivity, where: str) -> Shown:
    """What each hardware property is worth."""
    return {"html": "", "figures": _shown((studies.tornado(found),), where)}


def slopes(found: Sensitivity) -> dict[str, str]:
    """The elasticity in every property as it stands beside its slider."""
    return {each.prop.name: _slope(each.elasticity) for each in found.elasticities}


def _slope(value: float | None) -> str:
    return "–" if value is None else "0" if abs(value) < 5e-3 else f"{value:+.2f}"


def beside(found: Comparison, where: str, first: str) -> Shown:
    """Cases: who is first, the table with ratios to the `first`, what makes the difference, the pictures."""
    said = [
        f'<p class="lead">{escape(pictures.winner(found))}</p>',
        comparison.as_table(found).html(f"Ratios are to {first}."),
        _listed(comparison.reasons(found)),
    ]
    return {"html": "\n".join(said), "figures": _shown(pictures.figures(found), where)}


def refused(error: ForetrainError) -> Shown:
    """Why there is no answer, and what would give one."""
    lines: Iterable[str] = ()
    if isinstance(error, InputError):
        said, lines = "This cannot be answered:", map(str, error.problems)
    elif isinstance(error, InfeasibleError):
        said, lines = f"Does not fit: {error.reason.statement}", map(_lever, error.reason.levers)
    else:
        said = f"Cannot be reached: {error}"
    html = f'<div class="refused" role="alert"><p><strong>{escape(said)}</strong></p>{_listed(lines)}</div>'
    return {"html": html, "figures": ""}


def _lever(lever: Lever) -> str:
    size = size_text(lever.effect) if lever.quantity == "memory_bytes" and lever.effect is not None else ""
    return f"{lever.change}: {', '.join(filter(None, [size, lever.note]))}"


def _listed(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _shown(figures: Iterable[Figure], where: str) -> str:
    return "\n".join(kit.shown(replace(figure, key=f"{where}-{figure.key}")) for figure in figures)
