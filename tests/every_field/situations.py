"""Scenarios in which fields count: together they give every record of every input once."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest import mock

from sim.axes import Axes, axis
from sim.files import hardware
from sim.files.fields import read
from sim.files.frameworks import load_framework, read_framework
from sim.files.generations import read_generation
from sim.files.hardware import AcceleratorFile
from sim.files.library import find
from sim.files.lint import lint_file
from sim.files.loader import load, parse
from sim.files.scenario import build, document_of
from sim.files.yaml_text import yaml_text
from sim.report import hardware as report
from sim.report.frameworks import framework_json, listing_json
from sim.report.projection import to_json as projection_json
from sim.scaling import Domain, project
from sim.simulation import simulate
from sim.study.designs import Designs
from sim.study.projection import Projected

Tree = dict[str, Any]

CHIP = """\
name: chip
vendor: somebody
status: shipped
date: 2024-05
generation: hopper
compute:
  achievable: 0.8
  formats:
    fp32: {peak: 60 TFLOP/s, unit: vector, achievable: 0.9}
    bf16: {peak: 900 TFLOP/s, other: {peak: 890 TFLOP/s, source: a talk}}
    fp8: {peak: 1800 TFLOP/s, achievable: 0.75}
  matrix_unit: {units: 132, tile: [256, 128, 64]}
  kernel_overhead: 3 us
  sparsity: 2
  zero_skipping: 0.5
  sustained: 0.7
  host: 10 us
  attention: {forward: 0.7, backward: 0.5, softmax_dim: 20, first: 0.6, block: 64}
  source: a data sheet
  confidence: A
memory: {type: HBM3, capacity: 80 GiB, bandwidth: 3 TB/s, achievable: 0.9, pointwise: 0.8, reserve: 2 GiB, access: 32 B,
  random: 64 B, tiers: [{name: host, bandwidth: 20 GB/s, capacity: 1 GB}, {name: cxl, bandwidth: 5 GB/s,
  capacity: 2 TB}], near: 4, near_energy: 0.3, source: a data sheet, confidence: A}
cache: {capacity: 50 MiB, bandwidth: 8 TB/s, source: a data sheet, confidence: B}
links: {types: [infiniband-ndr, nvlink4], source: a data sheet, confidence: A}
power: {peak: 700 W, idle: 100 W, cap: 600 W, dram: 40 pJ/B, cache: 1 pJ/B, link: 60 pJ/B, source: a sheet,
  confidence: A}
price: {purchase: 30000 USD, source: a price list, confidence: B}
reliability: {mtbf: 50000 h, source: a report, confidence: A}
"""

BUDGET = """\
name: bought
budget: {area: 600 mm2, power: 700 W, stacks: 6, year: 2026, node: n3, memory: HBM3e, core: simt, matrix_share: 0.08,
  cache_share: 0.1, width: 2048, local: 512 KiB, dies: 1, enabled: 0.9, links: [nvlink5], margin: 2}
generation: hopper
reliability: {mtbf: 50000 h, source: a report, confidence: A}
"""

CLUSTER = """\
name: pod
status: shipped
confidence: A
source: a drawing
levels:
  - name: node
    topology: switch
    size: 4
    link: {bandwidth: 300 GB/s, latency: 1 us, efficiency: 0.8, base: 10 us, links_per_device: 4, compute_share: 0.1,
      memory_share: 0.1, in_network_reduction: true, reduction_efficiency: 0.7, fast_latency: 0.5,
      fast_bandwidth: 0.4, message_base: 5 us, source: a sheet, confidence: A}
  - name: fabric
    topology: fat_tree
    size: 8
    link: {like: infiniband-ndr, fast_bandwidth: 0.3, hop_latency: 1 us}
    nics: 4
    oversubscription: 2
    options: {leaf: 2}
host: {name: host, accelerators: 4, cores: 32, memory: 512 GiB, link_bandwidth: 20 GB/s, core_speed: 1.2,
  source: a sheet, confidence: A}
storage: {name: disks, local: false, read: 50 GB/s, write: 30 GB/s, node_read: 2 GB/s, node_write: 1 GB/s,
  node_requests: 5000, source: a sheet, confidence: A}
"""

LANGUAGE = """\
name: language
description: a language model
objective: time
sources: [a paper]
workload:
  family: transformer
  sizes: {depth: 8, hidden: 512, heads: 8, vocabulary: 4096, sequence: 512}
  numerics: {attention: plain}
plan: {global_batch: 64, sub_batch: 2, tensor: 2, pipeline: 2, data: 8}
"""

LAWS = """\
target: {error: 3.6}
scaling:
  name: tokens
  unit: token
  error_unit: nat/token
  loss: {size_coefficient: 482, data_coefficient: 2085, size_exponent: 0.35, data_exponent: 0.37, irreducible: 1.8,
    fitted_parameters: [4.4e+7, 1.6e+10], errors: {standard: {size_coefficient: 120, size_exponent: 0.02},
    correlations: {size_coefficient size_exponent: 0.9}, source: a fit}}
  target_error: 3.0
  fitted_to_units: 1.0e+7
  critical_batches:
    - {units: 2.0e+8, error_exponent: 0.21, standard_error: 0.1, measured_at: while the loss falls, source: a paper}
    - {samples: 300, measured_at: "3.5", source: another}
  source: a paper
training: {units_per_sample: 500, step_error: 0.02, jitter: 0.05, passes: 2}
"""

REPEATS = """\
target: {error: null}
scaling:
  available_units: 2.0e+8
  target_error: 3.9
  loss: {repeats: {data_decay: 15, size_decay: 5, most_passes: 4, source: a paper}}
"""

CAMPAIGN = """\
target: {steps: 2000000}
campaign:
  failures:
    - {component: device, mtbf: 300 h}
    - {component: node, mtbf: 90 h, count: 8, process: weibull, shape: 0.7}
    - {component: switch, mtbf: 90 h, process: infant_mortality, early_factor: 5, burn_in: 1 h}
    - {component: rack, mtbf: 90 h}
    - {component: power_domain, mtbf: 90 h}
    - {component: link, mtbf: 90 h, slow_factor: 1.5, found: 10 min}
  checkpoints: {policy: asynchronous, interval: 5 min, size: 3 GB, write: 10 s, read: 20 s, interference: 0.1}
  recovery: {policy: replace, detect: 30 s, restart: 60 s, spares: 1, repair: 2 h}
  evaluation: {every_samples: 20000, samples: 500}
  maintenance: {every: 2 h, lasts: 10 min}
  phases: [{start: 0, end: 0.5, global_batch: 32}, {start: 0.5, end: 1, sizes: {sequence: 256}}]
  startup: 5 min
  nodes_per_rack: 2
  nodes_per_power_domain: 4
  prices: {server_factor: 1.4, network_share: 0.2, lifetime: 1000 days, upkeep: 0.1,
    electricity: 0.1 USD/kWh, host_power: 0.4, pue: 1.3, carbon: 0.3 kg/kWh}
  seeds: 3
"""


CURVE = """\
name: curve
target: {error: 2.9, metric: nat/word}
scaling:
  name: words
  unit: word
  error_unit: nat/word
  curve: {alpha: 13.0, beta: -0.066, irreducible: 0.1, best_guess: 9.2, best_guess_source: ln 10004,
    errors: {standard: {beta: 0.00066}, source: a fit}}
  size: {sigma: 940, beta: 0.68, errors: {standard: {sigma: 9}, source: a fit}}
  current_error: 3.4
  current_units: 7.68e+8
  target_error: 2.5
  units_per_sample: 25
  units_per_sample_source: counted
  fitted_to_units: 1.0e+9
  critical_batches: [{samples: 4000, measured_at: averaged, source: a paper}]
  passes: [{passes: 5, model: LSTM, data_set: words, confidence: recalled, source: a paper}]
  printed: {data_scale: 100, model_scale: 23, dataset_units: 7.7e+10, parameters: 2.4e+10, sub_batch: 128,
    flops_per_step: 1.4e+15, bytes_per_step: 4.2e+13, footprint_bytes: 2.9e+11, step_s: 115, epoch_days: 31000,
    mismatches: [a sentence]}
  source: a paper
workload: {family: lstm_lm, sizes: {vocabulary: 10004, unroll: 20}, parameters: 2e+8, numerics: {fused: false}}
plan: {global_batch: 2048, sub_batch: 64}
framework: {communication_format: fp16}
training: {passes: 3, critical_batch: 3000 samples}
"""

IMAGES = """\
name: images
scaling:
  name: photographs
  unit: image
  error_unit: top-1 error
  data_set_units: 1281167
  target_error: 0.25
  units_per_sample: 1
  passes:
    - {passes: 35, model: ResNet-50, data_set: ImageNet, error: 0.25, critical_batch: 47200, largest_batch: 67840,
      largest_batch_source: a round, errors: {standard: {passes: 0.5, critical_batch: 2600}, source: a fit},
      confidence: derived, source: a round}
    - {passes: 90, model: ResNet-50, data_set: ImageNet, error: 0.23, confidence: seen, source: a paper}
workload: {family: resnet, sizes: {depth: 50}, numerics: {optimizer: momentum}}
plan: {global_batch: 4096}
training:
  batch_tolerance: 0.1
  input: {name: jpeg, stored: 110 kB, decoded: 150 kB, core: 20 ms, requests: 30, samples: 5000000, cached_share: 0.5,
    prefetch: 3, source: a loader, confidence: C}
"""

TABLES = """\
target: {steps: 100}
workload: {family: lstm_lm, sizes: {hidden: 512, projection: 256, vocabulary: 100000, unroll: 80}, numerics: paper}
plan: {global_batch: 16384, sub_batch: 64, pipeline: 4, data: 8, sparse_embeddings: true, embedding_shards: 3,
  layer_schedule: wavefront}
framework: {duplicate_rows: true, overlap_gradients: false}
"""

RENT = """\
target: {units: 1e12}
campaign:
  failures: [{component: node, mtbf: 300 h}, {component: device},
    {component: device, process: weibull, shape: 0.7, mtbf: 200 h}]
  checkpoints: {policy: synchronous}
  evaluation: {every_samples: 1e6, lasts: 30 s}
  prices: {device_hour: 3 USD/h}
  seeds: 2
"""

MIXTURE = """\
name: mixture
target: {steps: 1000}
workload:
  family: transformer
  sizes: {depth: 8, hidden: 512, heads: 8, vocabulary: 4096, sequence: 512, experts: 8, top_k: 2}
plan: {global_batch: 128, sub_batch: 2, pipeline: 2, context: 2, data: 8, expert: 4, virtual_stages: 2, sharding: full,
  shard_group: 4, recompute: full, order: [context, tensor, data, pipeline]}
framework: {bucket: 10 MB}
"""

CLICKS = """\
name: clicks
target: {samples: 1e9}
workload: {family: dlrm, sizes: {tables: [1000000, 2000000, 50000]}}
plan: {global_batch: 4096, sub_batch: 128, data: 32, expert: 1, sparse_embeddings: true}
"""

OPTICAL = """\
name: slices
accelerator: tpu-v4
levels:
  - {name: slice, topology: torus, sizes: [4, 4, 4], link: tpu-ici-v4}
optical: {block: [2, 2, 2], reconfigure: 10 min, source: a paper, confidence: C}
shape: [2, 4, 4]
twisted: false
"""

GRAPH = """\
name: graph
accelerator: a100-sxm4-80gb
graph:
  edges:
    - {ends: [0, a], bandwidth: 20 GB/s, latency: 1 us}
    - {ends: [1, a], link: infiniband-hdr, latency: 2 us}
    - {ends: [2, b], link: infiniband-hdr}
    - {ends: [3, b], link: infiniband-hdr}
    - {ends: [a, b], bandwidth: 10 GB/s, latency: 1 us, directed: true}
    - {ends: [a, c], link: infiniband-hdr}
    - {ends: [c, b], link: infiniband-hdr}
    - {ends: [a, d], link: infiniband-hdr}
    - {ends: [d, b], link: infiniband-hdr}
    - {ends: [a, e], link: infiniband-hdr}
    - {ends: [e, b], link: infiniband-hdr}
dead_links: [[a, c]]
degraded_links: [["0", a, 0.5]]
rank_order: [0, 2, 1, 3]
"""


def laid(base: Tree, over: Mapping[str, Any]) -> Tree:
    """`over` on `base`, mapping by mapping; None drops a key."""
    made = copy.deepcopy(base)
    for key, value in over.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(made.get(key), dict):
            made[key] = laid(made[key], value)
        else:
            made[key] = copy.deepcopy(value)
    return made


def tree(text: str) -> Tree:
    """YAML as plain values."""
    return dict(parse(text).plain)


def pod() -> Tree:
    """The cluster with its chip."""
    return laid(tree(CLUSTER), {"accelerator": tree(CHIP)})


def scenario(*texts: str, **over: Any) -> Tree:
    """The language model's scenario, or another, with further parts."""
    made: Tree = {"cluster": pod()}
    for text in texts:
        made = laid(made, tree(text))
    return laid(made, over)


FRAMEWORK = """\
name: framework
description: ours
limits: [{key: plan.context, allowed: "<= 1", source: its code, confidence: A}]
releases:
  "1.0":
    date: 2024-01
    habits:
      - {key: framework.overlap_gradients, value: false, when: {plan.data: "> 1"}, source: its code, confidence: A,
         rows: [a set]}
  "1.1":
    date: 2024-06
    habits: []
"""
PUBLISHED: Final = {
    "value": "2 ms",
    "source": "a paper",
    "sub_batch": 2,
    "peak_flops": "900 TFLOP/s",
    "bandwidth": "3 TB/s",
}
CUBE: Final = [
    {"name": "node", "topology": "hybrid_cube_mesh", "size": 8, "link": {"like": "nvlink1"}},
    {"name": "fabric", "topology": "torus", "sizes": [2, 2], "link": {"like": "infiniband-ndr"}, "nics": 4},
]


def designs(tree: Tree) -> object:
    """Every design of a study."""
    chosen = read(Axes, parse(yaml_text(tree["study"])))
    axes = tuple(axis(path, values) for path, values in chosen.axes.items())
    space = Designs(axes, chosen.combine, chosen.samples, 0)
    return [space[number] for number in range(len(space))]


SIZES: Final[Mapping[str, tuple[Tree, ...]]] = {
    "attention_nmt": ({"hidden": 256, "vocabulary": 4000},),
    "attention_speech": ({"hidden": 256},),
    "conv_net": ({"width": 16},),
    "dlrm": ({"tables": [100000, 20000], "pooling": [2, 3]}, {"tables": [100000, 20000], "interaction": "cross"}),
    "first_order": ({"parameters": 1e8},),
    "highway_lm": ({"hidden": 256},),
    "lstm_lm": ({"hidden": 256, "projection": 64},),
    "ops": ({"ops": [{"kind": "gemm", "m": 64, "n": 64, "k": 64}]},),
    "resnet": ({"depth": 18},),
    "transformer": (
        {"kv_heads": 4, "experts": 8, "dense_layers": 2, "shared_experts": 1, "moe_every": 2},
        {"window": 128, "global_every": 3, "dropout": True},
        {"window": 32, "chunked": True},
        {"kind": "encoder_decoder", "relative_buckets": 32, "kv_heads": 8},
        {"positions": "rotary", "rotary_dim": 16, "cutoffs": [1000, 2000], "tied": False},
        {"positions": "rotary", "kv_rank": 64, "q_rank": 64, "v_head_dim": 32, "head_dim": 32},
        {"kind": "encoder", "token_types": 2, "transform": True, "predictions": 20, "positions": "learned"},
    ),
    "vit": ({"hidden": 128, "depth": 4, "heads": 4},),
}
"""Sizes of every family, so that each of its options is in use once."""
SMALL: Final = {"hidden": 256, "depth": 4, "heads": 8, "vocabulary": 4000, "sequence": 128}


def families() -> Iterator[tuple[str, Tree]]:
    """Every family on one device."""
    alone = {"name": "one", "levels": [{"name": "node", "topology": "switch", "size": 1, "link": "nvlink3"}],
             "accelerator": tree(CHIP)}  # fmt: skip
    for family, choices in SIZES.items():
        for number, sizes in enumerate(choices):
            whole = SMALL | sizes if family == "transformer" else sizes
            yield f"{family} {number}", {
                "name": family, "target": {"steps": 10}, "workload": {"family": family, "sizes": whole},
                "cluster": alone, "plan": {"global_batch": 8, "sub_batch": 8},
            }  # fmt: skip


TRIES: Final[Mapping[str, tuple[Any, ...]]] = {
    "Transformer.kind": ("encoder",),
    "Transformer.qkv_bias": (False,),
    "Habit.value": (True,),
    "Limit.allowed": ("> 1",),
    "Habit.key": ("framework.overlap_gathers",),
    "OpList.ops": ([{"kind": "gemm", "m": 64, "n": 64, "k": 128}],),
    "Dlrm.interaction": ("cross",),
    "ResNet.blocks": ([1, 1, 1, 1],),
}


def projected(tree: Tree) -> object:
    """What `project` prints of a domain."""
    domain = read(Domain, parse(yaml_text(tree)))
    return projection_json([Projected(domain, project(domain))])


def file_of(tree: Tree, name: str = "") -> Path:
    """The tree in a file of its own name."""
    path = Path(tempfile.mkdtemp()) / f"{name or tree['name']}.yaml"
    path.write_text(yaml_text(tree), encoding="utf-8")
    return path


def lint(tree: Tree) -> object:
    """What `check` says of a chip."""
    return [problem.rule for problem in lint_file(file_of(tree))]


def applied(tree: Tree) -> object:
    """What a framework decides, and how fast the language model is with it."""
    path = file_of(tree, "framework")
    framework = load_framework(str(path))
    with_it = scenario(LANGUAGE, framework=f"{path}", target={"steps": 1000}, plan={"context": 1})
    step = simulate(build(document_of(with_it, "scenario")), levers=False).step
    return framework_json(framework), listing_json([read_framework(path)]), step.time_s


def generation() -> Tree:
    """Hopper's constants, nothing extended."""
    own = load(find("generations", "hopper")).plain
    base = load(find("generations", "ampere")).plain
    return {key: value for key, value in laid(base, own).items() if key != "extends"}


def of_generation(given: Tree) -> object:
    """A chip that leaves all it can to the generation: what `hardware show` prints of it, and steps of two models."""
    constants = read_generation(file_of(given))
    chip = read(AcceleratorFile, parse(yaml_text(laid(tree(CHIP), BARE))))
    with (
        mock.patch.object(hardware, "load_generation", return_value=constants),
        mock.patch.object(report, "load_generation", return_value=constants),
    ):
        built, told = hardware.build_accelerator(chip), report.accelerator_json(chip)
    times = []
    single = {"compute": "fp32", "activations": "fp32", "weights": "fp32", "gradients": "fp32"}
    in_vectors = scenario(IMAGES, workload={"sizes": {"depth": 18}, "numerics": single})
    for made in (scenario(LANGUAGE, target={"steps": 10}), scenario(CLICKS), scenario(IMAGES), in_vectors):
        found = simulate(replace(build(document_of(made, "scenario")), accelerator=built), levers=False)
        times.append((found.step.time_s, found.energy))
    return told, times


BARE: Final = {
    "compute": {"achievable": None, "kernel_overhead": None, "sustained": None, "host": None, "attention": None,
                "formats": {"fp32": {"achievable": None}, "fp8": {"achievable": None}},
                "matrix_unit": {"units": None, "tile": None}},
    "memory": {"achievable": None, "pointwise": None, "access": None, "random": None},
    "power": {"cap": None},
}  # fmt: skip
