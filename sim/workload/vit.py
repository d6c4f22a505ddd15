"""Vision Transformer (Dosovitskiy et al. 2021): patches as tokens through an encoder, a classifier on one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any, ClassVar

from sim.errors import InputError, Problem
from sim.fields import DEEPEST, Record, about, problem, size
from sim.records import dataclass
from sim.workload.expand import layer_of
from sim.workload.kernels import Frame, Kernels, Weight, gemm, pointwise, weight_gradient
from sim.workload.records import Layer, Numerics, Parameter, Shard
from sim.workload.rules import nearest_divisors
from sim.workload.sizing import solve_width
from sim.workload.transformer import Transformer, frame
from sim.workload.vocabulary import placed


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionTransformer(Record):
    """A ViT with its sizes."""

    padded: ClassVar[bool] = False

    name: str = field(metadata=about("name of the model"), default="vit")
    hidden: int = field(metadata=size("width of the residual stream", "elements"))
    depth: int = field(metadata=size("blocks", "blocks", most=DEEPEST))
    heads: int = field(metadata=size("attention heads", "heads"))
    ffn: int = field(metadata=size("width of the feed-forward part; 0: 4·hidden", "elements", least=0), default=0)
    image: int = field(metadata=size("side of a square image", "pixels"), default=224)
    patch: int = field(metadata=size("side of a square patch", "pixels"), default=16)
    channels: int = field(metadata=size("colour channels", "channels"), default=3)
    classes: int = field(metadata=size("outputs of the classifier", "classes"), default=1000)
    dropout: bool = field(metadata=about("dropout in training"), default=False)

    def contradictions(self) -> Iterator[Problem]:
        if self.image % self.patch:
            hint = f"nearest: {nearest_divisors(self.image, self.patch)}"
            yield problem("patch", f"must divide image = {self.image}", self.patch, hint)
            return
        try:
            _ = self.encoder
        except InputError as error:
            yield from error.problems

    @property
    def tokens(self) -> int:
        """Patches, and the class token."""
        return (self.image // self.patch) ** 2 + 1

    @property
    def encoder(self) -> Transformer:
        """The encoder of this ViT, with a classifier on one position and no token table to speak of."""
        return Transformer(
            name=self.name,
            kind="encoder",
            hidden=self.hidden,
            depth=self.depth,
            heads=self.heads,
            ffn=self.ffn,
            vocabulary=1,
            sequence=self.tokens,
            classes=self.classes,
            predictions=1,
            dropout=self.dropout,
        )

    @property
    def patch_elements(self) -> int:
        """Numbers in one patch: what the first product reduces over."""
        return self.patch**2 * self.channels

    @property
    def parameters(self) -> float:
        """Encoder with positions and classifier, class token in place of the table's one row, patch projection."""
        return self.encoder.parameters + self.hidden * (self.patch_elements + 1)

    @property
    def active_parameters(self) -> float:
        return self.parameters

    @property
    def units_per_sample(self) -> float:
        """A sample is one image, and so is the unit."""
        return 1.0

    def flops_per_sample(self) -> tuple[float, float]:
        """Encoder and patch projection; the projection has no data gradient, so it counts twice in training."""
        forward, training = self.encoder.flops_per_sample()
        patches = 2.0 * (self.tokens - 1) * self.patch_elements * self.hidden
        return forward + patches, training + 2 * patches

    def layers(self, sub_batch: int, numerics: Numerics, shard: Shard = Shard()) -> tuple[Layer, ...]:
        """Patch embedding, the encoder's blocks, classifier."""
        rest = self.encoder.layers(sub_batch, numerics, shard)[1:]
        return (self.patch_layer(frame(self.encoder, self.tokens, sub_batch, numerics, shard)), *rest)

    @classmethod
    def sized(cls, parameters: float, **fixed: Any) -> VisionTransformer:
        """The ViT of about `parameters`: heads of 64; 64 wide per block (ViT-B) unless `hidden` or `depth` is fixed."""
        if "hidden" in fixed and "depth" in fixed:
            return cls(**{"heads": max(1, fixed["hidden"] // 64), **fixed})

        def build(n: int) -> VisionTransformer:
            hidden = fixed.get("hidden", 64 * n)
            return cls(**{"heads": max(1, hidden // 64), "depth": n, **fixed, "hidden": hidden})

        return solve_width(build, parameters)

    def patch_layer(self, f: Frame) -> Layer:
        """Image to tokens: one product per patch, then positions and dropout."""
        patches, n, h = f.sub_batch * (self.tokens - 1), self.patch_elements, self.hidden
        k, elements = Kernels(f, "embedding", "embedding"), f.rows * self.hidden
        unfold = pointwise(f, "patches.unfold", patches * n, f.act, f.act, 0.0)
        pixels = k.kernel((), k.stored("patches", patches * n), [unfold], [])
        kept = k.operand(pixels, "patches")
        forward, back = [gemm(f, "patches", patches, h, n)], [weight_gradient(f, "patches.wgrad", h, n, patches)]
        makes = () if kept is pixels else (kept,)
        x = k.kernel((pixels,), k.stored("tokens", elements), forward, back, saves=(kept,), makes=makes, joins=True)
        k.left(placed(k, x, learned=True, added=True))
        weights = [Weight("patches", h * n + h, "none"), Weight("positions", self.tokens * h + h, "none")]
        parameters = tuple(Parameter(w.part, w.elements) for w in weights)
        return layer_of(k, parameters, 1, elements * f.act)
