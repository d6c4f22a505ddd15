"""The sources behind a run: where its figures come from, and who published the models it was computed with.

Papers are named where their model took part in the run (a tensor degree of 1 cites nobody); hardware, scaling domain
and scenario bring the sources of their files. Bibliographic data of papers is recalled, not copied from a library.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from sim.answer import Answer
from sim.plan.records import PipelineSchedule, Sharding
from sim.plan.speedups import SPEEDUPS
from sim.records import dataclass
from sim.result import Result
from sim.scenario import Scenario
from sim.workload.records import Recompute


@dataclass(frozen=True, slots=True)
class Paper:
    """A publication, as BibTeX needs it; `place` is the journal, the proceedings or the arXiv number."""

    key: str
    authors: str
    title: str
    place: str
    year: int

    @property
    def text(self) -> str:
        """In one line."""
        first, *others = self.authors.split(" and ")
        names = first + (" and " + others[0] if len(others) == 1 else " et al." if others else "")
        return f"{names}: {self.title}. {self.place}, {self.year}"


@dataclass(frozen=True, slots=True)
class Source:
    """One source: what it stands behind, in words, and the paper where it is one."""

    of: str
    text: str
    paper: Paper | None = None


@dataclass(frozen=True, slots=True)
class Sources(Answer):
    """Every source of a run, each once."""

    REPORT: ClassVar[str] = "sim.report.cite"
    name: str
    version: str
    sources: tuple[Source, ...]


PAPERS: Final = {
    paper.key: paper
    for paper in (
        Paper("williams2009", "Samuel Williams and Andrew Waterman and David Patterson",
              "Roofline: an insightful visual performance model for multicore architectures",
              "Communications of the ACM 52(4)", 2009),
        Paper("hestness2017", "Joel Hestness and Sharan Narang and Newsha Ardalani and others",
              "Deep Learning Scaling is Predictable, Empirically", "arXiv 1712.00409", 2017),
        Paper("hestness2019", "Joel Hestness and Newsha Ardalani and Gregory Diamos",
              "Beyond Human-Level Accuracy: Computational Challenges in Deep Learning", "PPoPP", 2019),
        Paper("hoffmann2022", "Jordan Hoffmann and Sebastian Borgeaud and Arthur Mensch and others",
              "Training Compute-Optimal Large Language Models", "arXiv 2203.15556", 2022),
        Paper("muennighoff2023", "Niklas Muennighoff and Alexander Rush and Boaz Barak and others",
              "Scaling Data-Constrained Language Models", "arXiv 2305.16264", 2023),
        Paper("mccandlish2018", "Sam McCandlish and Jared Kaplan and Dario Amodei and OpenAI Dota Team",
              "An Empirical Model of Large-Batch Training", "arXiv 1812.06162", 2018),
        Paper("patarasuk2009", "Pitch Patarasuk and Xin Yuan",
              "Bandwidth optimal all-reduce algorithms for clusters of workstations",
              "Journal of Parallel and Distributed Computing 69(2)", 2009),
        Paper("rajbhandari2020", "Samyam Rajbhandari and Jeff Rasley and Olatunji Ruwase and Yuxiong He",
              "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", "arXiv 1910.02054", 2020),
        Paper("shoeybi2019", "Mohammad Shoeybi and Mostofa Patwary and Raul Puri and others",
              "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism",
              "arXiv 1909.08053", 2019),
        Paper("narayanan2021", "Deepak Narayanan and Mohammad Shoeybi and Jared Casper and others",
              "Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM",
              "arXiv 2104.04473", 2021),
        Paper("huang2019", "Yanping Huang and Youlong Cheng and Ankur Bapna and others",
              "GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism",
              "arXiv 1811.06965", 2019),
        Paper("qi2023", "Penghui Qi and Xinyi Wan and Guangxing Huang and Min Lin",
              "Zero Bubble Pipeline Parallelism", "arXiv 2401.10241", 2023),
        Paper("qi2024", "Penghui Qi and Xinyi Wan and Nyamdavaa Amar and Min Lin",
              "Pipeline Parallelism with Controllable Memory", "arXiv 2405.15362", 2024),
        Paper("deepseek2024", "DeepSeek-AI", "DeepSeek-V3 Technical Report", "arXiv 2412.19437", 2024),
        Paper("korthikanti2022", "Vijay Korthikanti and Jared Casper and Sangkug Lym and others",
              "Reducing Activation Recomputation in Large Transformer Models", "arXiv 2205.05198", 2022),
        Paper("daly2006", "John T. Daly",
              "A higher order estimate of the optimum checkpoint interval for restart dumps",
              "Future Generation Computer Systems 22(3)", 2006),
    )
}  # fmt: skip


SCHEDULES: Final = {
    PipelineSchedule.ONE_F_ONE_B: "narayanan2021",
    PipelineSchedule.GPIPE: "huang2019",
    PipelineSchedule.ZB_H1: "qi2023",
    PipelineSchedule.ZB_V: "qi2024",
    PipelineSchedule.DUALPIPE: "deepseek2024",
}


def cite(scenario: Scenario, result: Result) -> Sources:
    """The sources behind a run."""
    named = dict.fromkeys(sources(scenario, result))
    return Sources(result.name, result.provenance.version, tuple(named))


def sources(scenario: Scenario, result: Result) -> Iterator[Source]:
    """Papers of the models that took part, then the sources of the files."""
    for of, key in _models(scenario, result):
        yield Source(of, PAPERS[key].text, PAPERS[key])
    for request in scenario.speedups:
        yield Source(f"speed-up {request.method}", SPEEDUPS[request.method].source)
    groups: dict[str, list[str]] = {}
    for group, source in scenario.accelerator.sources.items():
        groups.setdefault(source.text, []).append(group)
    for text, names in groups.items():
        yield Source(f"accelerator {scenario.accelerator.name}: {', '.join(names)}", text)
    if scenario.cluster.source:
        yield Source(f"cluster {scenario.cluster.name}", scenario.cluster.source)
    if scenario.scaling is not None and scenario.scaling.source:
        yield Source(f"scaling domain {scenario.scaling.name}", scenario.scaling.source)
    for text in scenario.sources:
        yield Source("scenario", text)


def _models(scenario: Scenario, result: Result) -> Iterator[tuple[str, str]]:
    """(what it stands behind, key of the paper)."""
    plan, domain, goal = result.plan, scenario.scaling, result.time_to_target
    yield "time of an op", "williams2009"
    if domain is not None and domain.curve is not None:
        yield "learning curve", "hestness2017"
        yield "projection of data and model size", "hestness2019"
    if domain is not None and domain.loss is not None:
        yield "loss law", "hoffmann2022"
        if domain.loss.repeats is not None:
            yield "repeated data", "muennighoff2023"
    if goal is not None and goal.critical_batch is not None:
        yield "samples against batch", "mccandlish2018"
    if plan.data > 1:
        yield "ring collectives", "patarasuk2009"
    if plan.sharding != Sharding.NONE:
        yield "sharding", "rajbhandari2020"
    if plan.tensor > 1:
        yield "tensor parallelism", "shoeybi2019"
    if plan.pipeline > 1:
        yield "pipeline", SCHEDULES[plan.schedule]
    if plan.sequence_parallel or plan.recompute == Recompute.SELECTIVE:
        yield "sequence parallelism, selective recomputation", "korthikanti2022"
    if result.campaign is not None and result.campaign.intervals:
        yield "interval between checkpoints", "daly2006"
