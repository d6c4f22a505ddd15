"""Zeros among the weights of a product: which values are kept, and what saying so takes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sim.records import dataclass


class SparsePattern(StrEnum):
    """Where the kept weights lie: two of every four in a row, or anywhere."""

    TWO_OF_FOUR = "2:4"
    UNSTRUCTURED = "unstructured"


INDEX_BITS: Final = 2.0
"""Of a kept value under 2:4: its place among four (Mishra et al. 2021, arXiv:2104.08378)."""
MASK_BITS: Final = 1.0
"""Of every value, kept or not, where the kept ones lie anywhere: a bitmap."""


@dataclass(frozen=True, slots=True)
class Sparsity:
    """Of the second operand of a product, the share `kept`."""

    pattern: SparsePattern = SparsePattern.TWO_OF_FOUR
    kept: float = 0.5

    def bytes_per_element(self, size: float) -> float:
        """Stored bytes of a weight of `size` bytes, zeros averaged in: what is kept, and where it lies."""
        bits = INDEX_BITS * self.kept if self.pattern == SparsePattern.TWO_OF_FOUR else MASK_BITS
        return self.kept * size + bits / 8.0
