"""Pages that answer: the answer in a sentence, its band and figures, every picture, the input and the sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from sim.files import Leaf
from sim.report import balance
from sim.report import compare as comparison
from sim.report.figures import compared, kit, run, studies
from sim.report.figures.kit import Figure
from sim.report.figures.roofline import roofline
from sim.report.figures.topology import MOST_DEVICES, topology
from sim.report.run import answer_line, lever_effect, plan_line, render
from sim.report.study import as_table
from sim.report.tables import Column, Table
from sim.report.text import duration, gib, percent, si
from sim.result import Result
from sim.study.chip_balance import Balance
from sim.study.compare import Comparison
from sim.study.dossier import Dossier
from sim.study.explore import front
from sim.study.metrics import METRICS
from sim.study.sources import cite
from sim.study.sweep import Outcomes

MOST_ROWS = 200
DEFAULT = "default"  # how the mark of a leaf begins that no file states


def run_page(found: Dossier) -> str:
    """One run with everything beside it."""
    result = found.result
    figures = list(figures_of(found))
    body = [
        f"<h1>{escape(result.name)}</h1>",
        f'<p class="lead">{escape(_sentence(answer_line(result)))}</p>',
        key_figures(result),
        f"<p><strong>{escape(result.bottleneck.statement)}</strong></p>",
        levers(result),
        _contents(figures),
        *map(kit.shown, figures),
        f'<h2>Plan</h2>\n<pre class="wrap">{escape(plan_line(result))}</pre>',
        f"<details><summary>the report as text</summary><pre>{escape(render(result))}</pre></details>",
        _input(found.leaves),
        _sources(found),
    ]
    return kit.document(f"{result.name}: foretrain", "\n".join(part for part in body if part))


def comparison_page(found: Comparison) -> str:
    """Cases side by side: the table, what causes the differences, and where each spends its time."""
    figures = list(compared.figures(found))
    title = f"{len(found.cases)} designs compared"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(compared.winner(found))}</p>',
        comparison.as_table(found).html("Ratios are to the first case that has a result."),
        _listed(comparison.reasons(found)),
        _contents(figures),
        *map(kit.shown, figures),
    ]
    return kit.document(f"{title}: foretrain", "\n".join(body), drawn=bool(figures))


def study_page(found: Outcomes, title: str, chosen: Balance | None = None) -> str:
    """A sweep or exploration: figures, Pareto fronts, the designs as a table; of a budget first its best chip."""
    figures = list(_study_figures(found, ("devices_usd", *BESIDE) if chosen else BESIDE))
    failed = sum(bool(outcome.reason) for outcome in found.outcomes)
    done, total = len(found.outcomes), len(found.designs)
    lead = f"{done:,} of {total:,} designs simulated" + (f", {failed:,} without a result" if failed else "")
    shown = Outcomes(found.designs, found.identity, found.outcomes[:MOST_ROWS])
    more = f"the first {MOST_ROWS:,} designs" if done > MOST_ROWS else "every design"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(lead)}. {escape(_best(found))}</p>',
        balance.section(found, chosen) if chosen else "",
        _contents(figures),
        *map(kit.shown, figures),
        f"<h2>Designs</h2>\n{as_table(shown).html(more)}",
    ]
    return kit.document(f"{title}: foretrain", "\n".join(filter(None, body)), drawn=bool(figures))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _best(found: Outcomes) -> str:
    """The best design by time to target, by step where there is none."""
    for name in ("time_to_target_s", "step_s"):
        place = list(METRICS).index(name)
        valued = [(value, o) for o in found.outcomes if (value := o.metrics[place]) is not None]
        if valued:
            seconds, outcome = min(valued, key=lambda pair: (pair[0], pair[1].number))
            values = ", ".join(f"{path} = {value}" for path, value in found.designs.overrides(outcome.number).items())
            return f"Least {METRICS[name].label}: {duration(seconds)} with {values}."
    return "No design has a result."


def figures_of(found: Dossier) -> Iterator[Figure]:
    """Every picture of a run; those of runs beside it where they are there."""
    result, metric = found.result, METRICS["time_to_target_s" if found.result.time_to_target else "step_s"]
    yield run.budget(result.step)
    if result.campaign is not None and result.campaign.seeds:
        yield run.waterfall(result.campaign)
        if result.campaign.calendar:
            yield run.progress(result.campaign)
    if result.step.slices:
        yield run.timeline(result.step)
    yield run.memory(result.memory)
    if any(row.seconds > 0 for row in found.ops):
        yield roofline(found.ops, found.scenario.accelerator)
    if found.devices is not None:
        rate = metric if result.time_to_target else METRICS["samples_per_s"]
        title = "More and fewer devices"
        ideal = bool(result.time_to_target)
        yield studies.along("scaling", title, found.devices, rate, result.devices, ideal, "devices")
    if found.batches is not None:
        sub = found.batches.designs.axes[0].path == "plan.sub_batch"
        name, here = ("samples per device and pass", result.plan.sub_batch) if sub else ("global batch", None)
        here = result.plan.global_batch if here is None else here
        yield studies.along("batch", "Other batches", found.batches, metric, here, False, name)
    if found.worth is not None:
        yield studies.tornado(found.worth)
    if found.scenario.cluster.levels or found.scenario.cluster.devices <= MOST_DEVICES:
        yield topology(found.scenario.cluster)


BESIDE: Final = ("energy_j", "devices", "memory_bytes")
"""What is set against time, the first that differs."""


def _study_figures(found: Outcomes, beside: Sequence[str]) -> Iterator[Figure]:
    metric = METRICS["time_to_target_s" if _has(found, "time_to_target_s") else "step_s"]
    if (drawn := studies.lines(found, metric)) is not None:
        yield drawn
    for other in beside:
        if _has(found, other):
            pair = (METRICS[other], metric)
            yield studies.pareto(found, front(found.outcomes, pair, ()), pair)
            return


def _has(found: Outcomes, name: str) -> bool:
    """Whether the figure differs between designs."""
    place = list(METRICS).index(name)
    return len({o.metrics[place] for o in found.outcomes} - {None}) > 1


def _contents(figures: Sequence[Figure]) -> str:
    links = "\n".join(f'<a href="#{figure.key}">{escape(figure.title)}</a>' for figure in figures)
    return f'<nav aria-label="Contents">{links}</nav>' if links else ""


def key_figures(result: Result) -> str:
    """What an architect looks for first."""
    goal, step, batch = result.time_to_target, result.step, result.plan.global_batch
    pairs: list[tuple[str, str, str]] = [("step", duration(step.time_s), f"{batch:,} samples")]
    if goal is not None:
        band = ""
        if result.uncertainty is not None:
            spread = result.uncertainty.bands["time_to_target_s"]
            band = f"{duration(spread.p05)} to {duration(spread.p95)} (5th to 95th percentile)"
        pairs.insert(0, ("time to target", ("≥ " if goal.at_least else "") + duration(goal.seconds), band))
    units = batch * result.units_per_sample / step.time_s
    pairs.append(("rate", f"{si(batch / step.time_s)} samples/s", f"{si(units)} units/s"))
    model = si(step.model_flops / step.time_s / result.devices, "FLOP/s")
    pairs.append(("of the model, per device", model, f"mfu {percent(result.mfu)}, hfu {percent(result.hfu)}"))
    full = result.fullest
    capacity = "unlimited" if full.capacity_bytes > run.UNLIMITED else gib(full.capacity_bytes)
    pairs.append(("memory", gib(full.total_bytes), f"of {capacity}"))
    if result.energy is not None and result.energy.target_j is not None:
        pairs.append(
            ("energy", si(result.energy.target_j / 3600.0, "Wh"), f"{result.energy.mean_device_w:,.0f} W a device")
        )
    if result.cost is not None and result.cost.total_usd is not None:
        pairs.append(("cost of the run", si(result.cost.total_usd, "USD"), ""))
    if result.cost is not None and result.cost.devices_usd is not None:
        pairs.append(("price of the devices", si(result.cost.devices_usd, "USD"), ""))
    items = (f"<div><dt>{escape(a)}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in pairs)
    return f"<dl>{''.join(items)}</dl>"


def levers(result: Result) -> str:
    """What would help most, as a table; nothing where nothing was tried."""
    rows = tuple((lever.change, lever_effect(lever, result)) for lever in result.bottleneck.levers)
    columns = (Column("what would help most"), Column("to"))
    return Table(columns, rows).html("Each change alone.") if rows else ""


def _input(leaves: Iterable[Leaf]) -> str:
    """What the scenario states; the defaults of the rest, which are left out on paper."""
    stated: list[tuple[str, str, str]] = []
    defaults: list[tuple[str, str, str]] = []
    for leaf in leaves:
        mark = str(leaf.mark)
        (defaults if mark.startswith(DEFAULT) else stated).append((leaf.path, _value(leaf.value), mark))
    return (
        f"<h2>Input</h2>\n{_unfolded(stated, 'values and where each comes from', 'What the scenario states.')}"
        f"{_unfolded(defaults, 'defaults', 'What is left at its default.', 'screen')}"
    )


def _unfolded(rows: list[tuple[str, str, str]], what: str, caption: str, kind: str = "") -> str:
    table = Table((Column("field"), Column("value"), Column("from")), tuple(rows))
    return f'<details class="{kind}"><summary>{len(rows)} {what}</summary>{table.html(caption)}</details>'


def _value(value: object) -> str:
    return "-" if value is None else str(value)


def _sources(found: Dossier) -> str:
    result = found.result
    notes = [f"input: {text}" for text in result.provenance.inputs]
    notes += [f"extrapolated: {text}" for text in result.extrapolated]
    cited = [f"{source.of}: {source.text}" for source in cite(found.scenario, result).sources]
    version = f'<p class="muted">foretrain {escape(result.provenance.version)}</p>'
    return f"<h2>What it rests on</h2>\n{_listed(notes)}\n{_listed(cited)}\n{version}"


def _listed(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
