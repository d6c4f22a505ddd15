"""Published quality of deployed variants of the library's models: scenarios/quality.yaml."""

from __future__ import annotations

from dataclasses import field
from typing import Final, Literal

from sim.fields import Confidence, Record, about
from sim.files.fields import read
from sim.files.library import folder, shown
from sim.files.loader import load
from sim.records import dataclass

FILE: Final = "quality.yaml"


@dataclass(frozen=True, slots=True)
class Quality(Record):
    """What one variant of a model reaches, and the same model before it."""

    model: str = field(metadata=about("a published model of the library"))
    variant: str = field(metadata=about("as `foretrain footprint` calls it"))
    metric: str = field(metadata=about("what was measured"))
    value: float = field(metadata=about("of the variant", gt=0))
    baseline: float = field(metadata=about("of the model before it, from the same source", gt=0))
    source: str = field(metadata=about("publication or measurement"))
    confidence: Confidence = field(metadata=about("A measured … D recalled or assumed"))
    better: Literal["higher", "lower"] = field(default="higher", metadata=about("which way quality grows"))

    @property
    def relative(self) -> float:
        """Of the baseline's: 1 where nothing is lost, less where something is."""
        return self.value / self.baseline if self.better == "higher" else self.baseline / self.value


@dataclass(frozen=True, slots=True)
class QualityFile(Record):
    """scenarios/quality.yaml."""

    qualities: tuple[Quality, ...] = field(metadata=about("one per variant"))


def qualities(model: str) -> dict[str, Quality]:
    """Variant → its quality, of a published model by its name in the library; empty where none is known."""
    path = folder("scenarios") / FILE
    found = read(QualityFile, load(path, shown(path))).qualities
    return {quality.variant: quality for quality in found if quality.model == model}
