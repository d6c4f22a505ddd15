"""The footprint of a trained model on one chip (Menghani, "Efficient Deep Learning", ACM Computing Surveys 2023):
parameters, size on disk, memory, latency, throughput and energy of a query, by weight format and for a pruned and a
distilled variant, beside what training it takes.

A query is one forward pass over one sample (a sequence, an image, a sentence pair), or the next token of a sequence
whose keys and values are kept (issued as a captured graph, as serving engines do; recalled).  Quality of the variants
is not predicted but looked up where it was published (scenarios/quality.yaml), relative to the same model before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from sim.device import Accelerator, ops_energy, time_ops
from sim.errors import InputError, Problem
from sim.files.quality import Quality
from sim.ops import BYTES_PER_ELEMENT, Attention, Convolution, Format, Gemm, Op, Sparsity
from sim.plan.energy import step_energy
from sim.plan.expense import Prices, expenses, site_of
from sim.plan.prepare import single_device
from sim.records import dataclass
from sim.workload.decoding import decoding
from sim.workload.records import Layer, Model, Numerics

FORMATS: Final[tuple[Format, ...]] = ("fp32", "bf16", "fp8", "int8")
UNITS_PER_PARAMETER: Final = 20.0
"""Training data where nothing else is said, per parameter that a unit of data meets: Hoffmann et al. 2022, about 20
tokens, of dense models.  Of the rows of an embedding table and of the experts of a mixture only those met count."""
PRUNED: Final = Sparsity()  # 2:4
TRAINABLE: Final[tuple[Format, ...]] = ("bf16", "fp16", "fp32")
"""Formats of activations and gradients, the preferred one first; 8-bit products are trained between them."""
_PRODUCTS: Final = (Gemm, Convolution)
PRICES: Final = Prices()  # the defaults of `campaign.prices`
DISTILLED_DEPTH: Final = 0.5
"""A distilled model keeps half of the blocks, as DistilBERT does (Sanh et al., arXiv:1910.01108)."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to deploy the model. What the chip cannot run has a `note` and no times."""

    name: str
    format: Format
    parameters: float
    disk_bytes: float
    memory_bytes: float
    latency_s: float | None
    throughput_per_s: float | None
    energy_j: float | None
    fits: bool
    note: str = ""
    batch: int = 1  # queries at once that memory, throughput and energy are for
    quality: Quality | None = None  # published
    cost_usd: float | None = None  # of a query: devices, servers, network, upkeep, electricity at the usual prices
    best: bool | None = None  # no other of known quality has as much of it in less memory, time and energy


@dataclass(frozen=True, slots=True)
class Training:
    """What training takes on this chip alone: no communication, no failures."""

    samples: float
    flops: float
    device_s: float
    energy_j: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class ModelFootprint:
    """Every variant beside the training cost; queries whose energy equals that of training, by the 16-bit variant."""

    model: str
    accelerator: str
    batch: int
    variants: tuple[Variant, ...]
    training: Training | None  # None: the chip has no format to train in, as `no_training` says
    no_training: str = ""
    decode: int | None = None  # tokens before the one a query adds

    @property
    def queries_to_equal_training(self) -> float | None:
        """Training energy / energy of a query."""
        query = next((v.energy_j for v in self.variants if v.name == "16-bit"), None)
        spent = self.training.energy_j if self.training else None
        return spent / query if query and spent else None


def footprint(
    model: Model,
    accelerator: Accelerator,
    batch: int = 32,
    samples: float | None = None,
    decode: int | None = None,
    published: Mapping[str, Quality] = MappingProxyType({}),
) -> ModelFootprint:
    """The model on the chip: latency for one query; memory, throughput and energy for `batch` at once, or as many of
    them (halved until it fits) as the memory holds.  `decode`: a query is one token after so many; `published`: variant
    → its quality.
    """
    if model.parameters <= 0:
        raise InputError(Problem("has no parameters, so there is nothing to keep or to ask", "model", model.name))
    narrow = sixteen(accelerator)
    asked, chip = (
        (model, accelerator) if decode is None else (decoding(model, decode), replace(accelerator, host_s=0.0))
    )
    narrower = (name for name in chip.compute if BYTES_PER_ELEMENT[name] < BYTES_PER_ELEMENT["bf16"])
    formats = tuple(dict.fromkeys((*(narrow if name == "bf16" else name for name in FORMATS), *narrower)))
    variants = [_variant(_name(name), name, asked, chip, batch) for name in formats]
    variants.append(_four_bits(narrow, asked, chip, batch))
    variants.append(_pruned(narrow, asked, chip, batch))
    variants.append(_variant("distilled", narrow, asked, chip, batch, _halved))
    variants = _judged(variants, published)
    amount = samples or UNITS_PER_PARAMETER * model.active_parameters / model.units_per_sample
    trains = narrow in TRAINABLE
    training = _training(model, accelerator, narrow, batch, amount) if trains else None
    reason = "" if trains else f"{accelerator.name} computes in {', '.join(accelerator.compute)} only: inference"
    return ModelFootprint(model.name, accelerator.name, batch, tuple(variants), training, reason, decode)


def _judged(variants: Sequence[Variant], published: Mapping[str, Quality]) -> list[Variant]:
    """The variants with their published quality, and whether one lies on the frontier of quality against footprint."""
    known = [replace(v, quality=published.get(v.name)) for v in variants]
    costs = {v.name: cost for v in known if v.fits and (cost := _costs(v)) is not None}

    def best(one: Variant) -> bool | None:
        if one.name not in costs:
            return None
        others = (cost for name, cost in costs.items() if name != one.name)
        return not any(
            all(a <= b for a, b in zip(cost, costs[one.name], strict=True)) and cost != costs[one.name]
            for cost in others
        )

    return [replace(v, best=best(v)) for v in known]


def _costs(v: Variant) -> tuple[float, ...] | None:
    """What is better the less of it there is: memory, latency, energy of a query, relative quality lost."""
    if v.quality is None or v.latency_s is None:
        return None
    return v.memory_bytes / v.batch, v.latency_s, v.energy_j or 0.0, -v.quality.relative


def sixteen(accelerator: Accelerator) -> Format:
    """bf16 where the chip has it, else fp16, else fp32; on a chip for inference alone whatever it computes in."""
    return next((name for name in TRAINABLE if name in accelerator.compute), next(iter(accelerator.compute)))


def _name(number: Format) -> str:
    return "16-bit" if number in ("bf16", "fp16") else number


def _numerics(number: Format, accelerator: Accelerator) -> Numerics:
    """Weights and products in `number`; what flows between ops in 16 bits, or 32 for fp32."""
    between = "fp32" if number == "fp32" else sixteen(accelerator)
    return Numerics(compute=number, activations=between, weights=number, gradients=between)


def _four_bits(number: Format, model: Model, chip: Accelerator, batch: int) -> Variant:
    """Weights of every block in 4 bits with their scales, widened to `number` on the way to the products; what widening
    takes in a kernel is not counted."""
    layers = model.layers(1, _numerics(number, chip))
    blocks = sum(layer.count * layer.parameter_elements for layer in layers if layer.kind == "block")
    removed = blocks * (BYTES_PER_ELEMENT[number] - BYTES_PER_ELEMENT["int4"])
    found = _variant("int4 weights", number, model, chip, batch, partial(_in_blocks, kept_as="int4"), (0.0, removed))
    return found if found.note else replace(found, note=f"blocks; products in {number}")


Change = Callable[[Sequence[Layer]], list[Layer]]


def _same(layers: Sequence[Layer]) -> list[Layer]:
    return list(layers)


def _halved(layers: Sequence[Layer]) -> list[Layer]:
    """Half of the blocks, at least one of each kind; embedding and head stay."""
    return [
        replace(layer, count=max(1, round(layer.count * DISTILLED_DEPTH))) if layer.kind == "block" else layer
        for layer in layers
    ]


def _in_blocks(layers: Sequence[Layer], **weights: Any) -> list[Layer]:
    """Blocks with the weights of every product kept so; embedding and head stay as they are."""
    return [
        replace(
            layer,
            forward=tuple(replace(op, **weights) if isinstance(op, _PRODUCTS) else op for op in layer.forward),
        )
        if layer.kind == "block"
        else layer
        for layer in layers
    ]


def _variant(
    name: str,
    number: Format,
    model: Model,
    chip: Accelerator,
    batch: int,
    change: Change = _same,
    removed: tuple[float, float] = (0.0, 0.0),
) -> Variant:
    """`removed`: parameters and bytes that are not stored."""
    numerics = _numerics(number, chip)
    single = change(model.layers(1, numerics))
    parameters = _parameters(single) if change is _halved else model.parameters
    disk = parameters * BYTES_PER_ELEMENT[number] - removed[1]
    memory = disk + _activations(change(model.layers(batch, numerics)))
    while batch > 1 and memory > _room(chip):
        batch //= 2
        memory = disk + _activations(change(model.layers(batch, numerics)))
    return _priced(name, number, model, chip, batch, change, parameters - removed[0], disk, memory)


def _room(chip: Accelerator) -> float:
    """Bytes a model may take on the chip."""
    return chip.memory.capacity_bytes - chip.memory.reserve_bytes


def _priced(
    name: str,
    number: Format,
    model: Model,
    chip: Accelerator,
    batch: int,
    change: Change,
    parameters: float,
    disk: float,
    memory: float,
) -> Variant:
    """Times and energy, or the reason there are none."""
    numerics = _numerics(number, chip)
    fits = memory <= _room(chip)
    if number not in chip.compute:
        note = f"{chip.name} has no {number}"
        return Variant(name, number, parameters, disk, memory, None, None, None, fits, note, batch)
    try:
        alone = time_ops(_forward(change(model.layers(1, numerics))), chip).seconds
        ops = _forward(change(model.layers(batch, numerics)))
        rate = batch / time_ops(ops, chip).seconds
        energy = ops_energy(ops, chip).total_j / batch if chip.power else None
        cost = _cost(chip, 1.0 / rate, energy)
    except InputError as error:
        return Variant(name, number, parameters, disk, memory, None, None, None, fits, error.problems[0].rule, batch)
    return Variant(name, number, parameters, disk, memory, alone, rate, energy, fits, batch=batch, cost_usd=cost)


def _pruned(number: Format, model: Model, chip: Accelerator, batch: int) -> Variant:
    """Blocks pruned 2:4, embedding and head dense; faster only where the chip multiplies sparse operands."""
    layers = model.layers(1, _numerics(number, chip))
    blocks = sum(layer.count * layer.parameter_elements for layer in layers if layer.kind == "block")
    size = BYTES_PER_ELEMENT[number]
    removed = blocks * (1.0 - PRUNED.kept), blocks * (size - PRUNED.bytes_per_element(size))
    skips = chip.sparsity > 1.0
    found = _variant(
        "pruned 2:4", number, model, chip, batch, partial(_in_blocks, sparsity=PRUNED) if skips else _same, removed
    )
    return found if skips or found.note else replace(found, note=f"{chip.name} has no structured sparsity")


def _parameters(layers: Iterable[Layer]) -> float:
    return sum(layer.count * layer.parameter_elements for layer in layers)


def _activations(layers: Sequence[Layer]) -> float:
    """What is live in a forward pass: the stream between blocks twice, the widest result of an op, and keys and values
    of tokens before."""
    stream = max((layer.output_bytes for layer in layers), default=0.0)
    widest = max((op.bytes_written for layer in layers for op in layer.forward), default=0.0)
    return 2.0 * stream + widest + sum(layer.count * _kept(op) for layer in layers for op in layer.forward)


def _kept(op: Op) -> float:
    """Keys and values of the tokens before one that is added."""
    if not isinstance(op, Attention) or op.q_len > 1:
        return 0.0
    width = op.head_dim + (op.v_head_dim or op.head_dim)
    return op.count * op.batch * op.kv_heads * op.kv_len * width * BYTES_PER_ELEMENT[op.format]


def _forward(layers: Iterable[Layer]) -> list[Op]:
    """Every op as often as its block runs: the host issues each of them."""
    return [op for layer in layers for op in layer.forward * layer.count]


def _training(model: Model, chip: Accelerator, number: Format, batch: int, samples: float) -> Training:
    """Steps of `batch` samples on one device, one after the other."""
    numerics = Numerics(compute=number, activations=number, weights=number, gradients=number)
    record = single_device(model, batch, numerics, chip)
    stage, steps = record.stages[0], samples / batch
    step_s = stage.pass_s + stage.update.seconds
    device_s = steps * step_s
    energy = step_energy(record, chip, step_s, steps).target_j if chip.power else None
    return Training(samples, samples * model.flops_per_sample()[1], device_s, energy, _cost(chip, device_s, energy))


def _cost(chip: Accelerator, device_s: float, energy_j: float | None) -> float | None:
    """USD of so many seconds of one device and its energy; None where the chip has no price."""
    if chip.price_usd is None:
        return None
    site_j = None if energy_j is None else site_of(PRICES, energy_j, 0.0, 1, 0.0).site_j
    return sum(expenses(PRICES, chip.price_usd, 1, device_s, site_j).values())
