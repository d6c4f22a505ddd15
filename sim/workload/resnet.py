"""Convolutional image classifiers: residual networks of any depth and width, and plain stacks.

ResNet (He et al. 2016): 7×7 stem, four stages of basic (18, 34) or bottleneck (50, 101, 152) blocks, global pooling,
classifier.  The stride of a bottleneck sits in its 3×3 convolution, as in the authors' graph and most libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Final

from sim.errors import Problem
from sim.fields import about, problem, size
from sim.ops import Convolution
from sim.records import dataclass
from sim.workload.expand import GraphModel
from sim.workload.graph import Graph, Tensor
from sim.workload.records import Numerics
from sim.workload.tape import Tape

STAGES: Final[dict[int, tuple[int, int, int, int]]] = {  # He et al. 2016, Table 1
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
POOL_FLOPS = 9.0  # 3×3 window: eight comparisons and a store


@dataclass(frozen=True, slots=True)
class Shape:
    """One convolution of a network: kernel size, channels, stride and output side."""

    name: str
    kernel: int
    c_in: int
    c_out: int
    stride: int
    side: int


@dataclass(frozen=True, slots=True)
class Block:
    """The convolutions of a residual branch and, where the shape changes, of the shortcut."""

    name: str
    branch: tuple[Shape, ...]
    shortcut: Shape | None


@dataclass(frozen=True, slots=True)
class ResNet(GraphModel):
    """Residual network; `width` is the number of channels of the first stage (64 in the original)."""

    FAMILY: ClassVar[str] = "resnet"
    FREE: ClassVar[str] = "width"

    depth: int = field(default=50, metadata=size("18, 34, 50, 101 or 152; from 50 on blocks are bottlenecks"))
    width: int = field(default=64, metadata=size("channels of stem and first stage"))
    image: int = field(default=224, metadata=size("image side", "pixels", least=32))
    classes: int = field(default=1000, metadata=size("classes"))
    blocks: tuple[int, ...] = field(default=(), metadata=size("blocks of the four stages; empty: those of `depth`"))
    input_gradient: bool = field(
        default=False, metadata=about("compute the gradient of the images too (the paper's graphs hold that op)")
    )

    def contradictions(self) -> Iterator[Problem]:
        if self.depth not in STAGES and not self.blocks:
            hint = f"one of {', '.join(map(str, STAGES))}, or give blocks"
            yield problem("depth", "no such ResNet", self.depth, hint)
        if len(self.blocks) not in (0, 4):
            yield problem("blocks", "needs one entry for each of four stages", self.blocks)

    @property
    def name(self) -> str:
        """Family, depth and width."""
        return f"resnet-{self.depth} width={self.width}"

    @property
    def bottleneck(self) -> bool:
        """1×1, 3×3, 1×1 blocks instead of two 3×3."""
        return self.depth >= 50

    @property
    def parameters(self) -> float:
        """Convolutions, two per channel of every normalisation, classifier with bias."""
        shapes = [self.stem]
        for block in self.residual_blocks():
            shapes += [*block.branch, *((block.shortcut,) if block.shortcut else ())]
        convolutions = sum(s.kernel**2 * s.c_in * s.c_out + 2 * s.c_out for s in shapes)
        return float(convolutions + (self.features + 1) * self.classes)

    @property
    def features(self) -> int:
        """Channels the classifier sees."""
        return self.width * 8 * (4 if self.bottleneck else 1)

    @property
    def stem(self) -> Shape:
        """The first convolution."""
        return Shape("stem", 7, 3, self.width, 2, self.image // 2)

    @property
    def units_per_sample(self) -> float:
        """A sample is an image."""
        return 1.0

    def residual_blocks(self) -> Iterator[Block]:
        """All blocks with their shapes."""
        c_in, side = self.width, self.image // 4
        for stage, number in enumerate(self.blocks or STAGES[self.depth]):
            inner = self.width * 2**stage
            out = inner * 4 if self.bottleneck else inner
            for index in range(number):
                stride = 2 if stage and not index else 1
                side = side // stride
                yield self._block(f"stage {stage + 1} block {index + 1}", c_in, inner, out, stride, side)
                c_in = out

    def _block(self, name: str, c_in: int, inner: int, out: int, stride: int, side: int) -> Block:
        if self.bottleneck:
            branch: tuple[Shape, ...] = (
                Shape(f"{name} 1×1 in", 1, c_in, inner, 1, side * stride),
                Shape(f"{name} 3×3", 3, inner, inner, stride, side),
                Shape(f"{name} 1×1 out", 1, inner, out, 1, side),
            )
        else:
            branch = (Shape(f"{name} 3×3 a", 3, c_in, out, stride, side), Shape(f"{name} 3×3 b", 3, out, out, 1, side))
        changed = stride > 1 or c_in != out
        return Block(name, branch, Shape(f"{name} shortcut", 1, c_in, out, stride, side) if changed else None)

    def graph(self, sub_batch: int, numerics: Numerics) -> Graph:
        """Stem, blocks, classifier; forward and backward."""
        return _resnet_graph(self, sub_batch, numerics)


@dataclass(frozen=True, slots=True)
class PlainConvNet(GraphModel):
    """3×3 convolutions in stages, each ended by 2×2 pooling, then dense layers (Simonyan & Zisserman 2015).

    Default: VGG-11. Batch normalisation after every convolution if `normalised`.
    """

    FAMILY: ClassVar[str] = "conv_net"
    FREE: ClassVar[str] = "width"

    stages: tuple[int, ...] = field(default=(1, 1, 2, 2, 2), metadata=size("convolutions of each stage"))
    width: int = field(default=64, metadata=size("channels of the first stage; doubled per stage up to eightfold"))
    dense: tuple[int, ...] = field(default=(4096, 4096), metadata=size("widths of the dense layers"))
    image: int = field(default=224, metadata=size("image side", "pixels"))
    classes: int = field(default=1000, metadata=size("classes"))
    channels: int = field(default=3, metadata=size("channels of an image"))
    normalised: bool = field(default=False, metadata=about("batch normalisation after every convolution"))

    def contradictions(self) -> Iterator[Problem]:
        if not self.stages:
            yield problem("stages", "needs at least one stage", self.stages)
        if self.image < 1 << len(self.stages):
            yield problem("image", f"must be at least {1 << len(self.stages)}: every stage halves it", self.image)

    @property
    def name(self) -> str:
        """Family and depth."""
        return f"conv_net {sum(self.stages) + len(self.dense) + 1} layers width={self.width}"

    @property
    def parameters(self) -> float:
        """Kernels and biases of convolutions and dense layers, scales and shifts."""
        each = 3 if self.normalised else 1
        total = float(sum(9 * s.c_in * s.c_out + each * s.c_out for s in self.convolutions()))
        widths = self.dense_widths
        return total + sum((a + 1) * b for a, b in pairwise(widths))

    @property
    def dense_widths(self) -> tuple[int, ...]:
        """Flattened features, dense layers, classes."""
        side = self.image >> len(self.stages)
        return (side * side * min(self.width << (len(self.stages) - 1), 8 * self.width), *self.dense, self.classes)

    @property
    def units_per_sample(self) -> float:
        """A sample is an image."""
        return 1.0

    def convolutions(self) -> Iterator[Shape]:
        """All convolutions in order."""
        c_in, side = self.channels, self.image
        for stage, number in enumerate(self.stages):
            c_out = min(self.width << stage, 8 * self.width)
            for index in range(number):
                yield Shape(f"stage {stage + 1} convolution {index + 1}", 3, c_in, c_out, 1, side)
                c_in = c_out
            side //= 2

    def graph(self, sub_batch: int, numerics: Numerics) -> Graph:
        """Convolutions and pooling, dense layers; forward and backward."""
        return _plain_graph(self, sub_batch, numerics)


def _convolve(tape: Tape, x: Tensor, shape: Shape, b: int) -> Tensor:
    kernel = tape.weight(f"{shape.name} kernel", shape.kernel**2 * shape.c_in, shape.c_out)
    geometry = Convolution(
        "", b, shape.side, shape.side, shape.c_in, shape.c_out, shape.kernel, shape.kernel, shape.stride
    )
    return tape.convolution(shape.name, x, kernel, geometry)


def _normalised(tape: Tape, x: Tensor, shape: Shape, b: int, *, relu: bool = False) -> Tensor:
    """Convolution, batch normalisation, and ReLU towards the next convolution."""
    return tape.batch_norm(shape.name, _convolve(tape, x, shape, b), shape.c_out, relu=relu, loaded=relu)


def _relu(tape: Tape, name: str, x: Tensor) -> Tensor:
    return tape.pointwise(f"{name} relu", (x,), x.elements, 1.0, saves_output=True)


def _images(tape: Tape, b: int, side: int, channels: int, differentiable: bool) -> Tensor:
    return tape.tensor("images", b * side * side * channels, differentiable=differentiable)


@lru_cache(maxsize=8)
def _resnet_graph(model: ResNet, b: int, numerics: Numerics) -> Graph:
    tape = Tape(numerics)
    tape.section("stem")
    x = _convolve(tape, _images(tape, b, model.image, 3, model.input_gradient), model.stem, b)
    x = tape.batch_norm(model.stem.name, x, model.stem.c_out, relu=True)
    side = model.image // 4
    x = tape.pointwise("max pool", (x,), b * side * side * model.width, POOL_FLOPS, saves=(x,), saves_output=True)
    for block in model.residual_blocks():
        tape.section(block.name)
        y = x
        *inner, last = block.branch
        for shape in inner:
            y = _normalised(tape, y, shape, b, relu=True)
        y = _convolve(tape, y, last, b)
        kept = _normalised(tape, x, block.shortcut, b) if block.shortcut else x
        x = tape.batch_norm(last.name, y, last.c_out, relu=True, addend=kept)
    tape.section("classifier", "head")
    pooled = tape.pointwise("mean", (x,), b * model.features, x.elements / (b * model.features))
    _dense(tape, "classifier", pooled, model.features, model.classes, b)
    return tape.graph()


@lru_cache(maxsize=8)
def _plain_graph(model: PlainConvNet, b: int, numerics: Numerics) -> Graph:
    tape = Tape(numerics)
    x = _images(tape, b, model.image, model.channels, False)
    shapes = iter(tuple(model.convolutions()))
    for stage, number in enumerate(model.stages):
        tape.section(f"stage {stage + 1}")
        for _ in range(number):
            shape = next(shapes)
            x = _convolve(tape, x, shape, b)
            x = tape.scale_shift(f"{shape.name} bias", x, (tape.weight(f"{shape.name} bias", shape.c_out),))
            if model.normalised:
                x = tape.normalise(f"{shape.name} norm", x, shape.c_out)
            x = _relu(tape, shape.name, x)
        x = tape.pointwise(f"pool {stage + 1}", (x,), x.elements / 4, 4.0, saves=(x,), saves_output=True)
    widths = model.dense_widths
    for index, (a, c) in enumerate(pairwise(widths)):
        last = index + 2 == len(widths)
        tape.section(f"dense {index + 1}", "head" if last else "block")
        x = _dense(tape, f"dense {index + 1}", x, a, c, b, loss=last)
    return tape.graph()


def _dense(tape: Tape, name: str, x: Tensor, a: int, c: int, b: int, *, loss: bool = True) -> Tensor:
    y = tape.matmul(name, (x,), tape.weight(f"{name} kernel", a, c), b)
    y = tape.scale_shift(f"{name} bias", y, (tape.weight(f"{name} bias", c),))
    if loss:
        tape.cross_entropy("softmax", y)
        return y
    return _relu(tape, name, y)
