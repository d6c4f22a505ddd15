"""First-order requirements: a whole training step as one lump (Hestness et al. 2019, §4, Table 2).

For p parameters and a sub-batch b:  FLOPs = γ·p·b;  bytes accessed = λ·p + μ·b·√p;  minimal footprint = δ·p.
Asymptotic: FLOPs are linear above 30–100 M parameters, the footprint above about 500 M.
Forward is a third of either (backpropagation costs about twice the forward pass, §4.2).
The coefficients are of fp32 training with plain SGD and hold the update.
"""

from __future__ import annotations

import math
from dataclasses import field, replace
from typing import ClassVar, Final, Self

from sim.fields import Record, about
from sim.ops import BYTES_PER_ELEMENT, Lump
from sim.records import dataclass
from sim.workload.records import Layer, Numerics, Parameter, Recompute, Shard
from sim.workload.sizing import unsharded

FORWARD_SHARE: Final = 1.0 / 3.0  # §4.2: backward ≈ 2 × forward


@dataclass(frozen=True, slots=True)
class FirstOrder(Record):
    """γ, λ, μ, δ of one model family at `parameters`. The defaults are Table 2's word language model."""

    padded: ClassVar[bool] = True

    parameters: float = field(default=23.8e9, metadata=about("trainable parameters p", gt=0))
    flops_per_param: float = field(
        default=481.0, metadata=about("γ: training FLOPs per parameter and sample", "FLOP", gt=0)
    )
    bytes_per_param: float = field(
        default=1755.0, metadata=about("λ: bytes accessed per parameter and step", "B", ge=0)
    )
    bytes_batch_coefficient: float = field(
        default=30784.0, metadata=about("μ: bytes accessed per sample and √parameters", "B", ge=0)
    )
    footprint_per_param: float = field(
        default=11.94, metadata=about("δ: minimal memory footprint per parameter", "B", ge=0)
    )
    units_per_sample: float = field(default=25.4, metadata=about("words, characters, images … of one sample", gt=0))

    @property
    def name(self) -> str:
        """Family and size."""
        return f"first_order p={self.parameters:.3g}"

    @property
    def active_parameters(self) -> float:
        """All."""
        return self.parameters

    @classmethod
    def sized(cls, parameters: float, **fixed: float) -> Self:
        """The same coefficients at another size."""
        return cls(parameters=parameters, **fixed)

    @classmethod
    def of_domain(cls, domain: str, parameters: float | None = None) -> FirstOrder:
        """The paper's coefficients of a domain, at its frontier size (Table 3) unless another is given."""
        known = TABLE_2[domain]
        return known if parameters is None else replace(known, parameters=parameters)

    def flops(self, sub_batch: int) -> float:
        """γ·p·b."""
        return self.flops_per_param * self.parameters * sub_batch

    def bytes(self, sub_batch: int) -> float:
        """λ·p + μ·b·√p."""
        return self.bytes_per_param * self.parameters + self.bytes_batch_coefficient * sub_batch * math.sqrt(
            self.parameters
        )

    def flops_per_sample(self) -> tuple[float, float]:
        """Forward and training FLOPs of one sample."""
        return FORWARD_SHARE * self.flops(1), self.flops(1)

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """One layer with one lump forward, one backward; `saved` is what δ leaves beside weights and gradients."""
        unsharded("first_order", shard)
        flops, moved, p = self.flops(sub_batch), self.bytes(sub_batch), self.parameters
        kept = BYTES_PER_ELEMENT[numerics.weights] + BYTES_PER_ELEMENT[numerics.gradients]
        forward = Lump("forward", FORWARD_SHARE * flops, FORWARD_SHARE * moved, format=numerics.compute)
        back = 1.0 - FORWARD_SHARE
        saved = max(0.0, (self.footprint_per_param - kept) * p)
        return (
            Layer(
                name="model",
                count=1,
                kind="block",
                forward=(forward,),
                backward=(Lump("backward and update", back * flops, back * moved, format=numerics.compute),),
                parameters=(Parameter("weights", p),),
                saved_bytes={Recompute.NONE: saved, Recompute.SELECTIVE: saved, Recompute.FULL: saved},
                recompute={Recompute.NONE: (), Recompute.SELECTIVE: (), Recompute.FULL: ()},
                updated=True,
            ),
        )


TABLE_2: Final[dict[str, FirstOrder]] = {
    # Table 2 coefficients; parameters: Table 3; units per sample: word from LM1B (768 M words in 30.3 M sentences),
    # image 1, the others backed out of the epoch column of Table 3.
    "word-lm": FirstOrder(23.8e9, 481, 1755, 30784, 11.94, 25.4),
    "char-lm": FirstOrder(146e9, 900, 3510, 102980, 12.47, 118),
    "nmt": FirstOrder(18.9e9, 149, 533, 22653, 10.32, 29.2),
    "speech": FirstOrder(727e6, 775, 3100, 162750, 32.94, 79),
    "image": FirstOrder(732e6, 1111, 66.7, 268862, 42.57, 1),
}
