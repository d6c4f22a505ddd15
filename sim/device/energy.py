"""Energy of an op: arithmetic by format, movement by level, the power at rest and of running kernels over the time.

E = e_flop(format)·s²·FLOPs + e_dram·DRAM bytes + e_cache·cache bytes + (P_idle + P_busy·s³)·t at a clock s (1: no power
limit binds);
bytes that memory stacks read and write among themselves cost `near_energy` of e_dram

The default energy of a FLOP is what idle and busy power leave of the board's power at full rate, so that a full-rate
product, which hardly touches memory, draws the board's peak power.  Where products and memory traffic together would
draw more, the clock falls (`sim.simulation.power`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from sim.device.records import NEAR_ENERGY, Accelerator, Compute, OpEnergy, OpTime, Power
from sim.device.timing import timer
from sim.device.traffic import near_bytes
from sim.ops import BYTES_PER_ELEMENT, Collective, Format, Lump, Op, executed_flops

PICO: Final = 1e-12
BITS_PER_BYTE: Final = 8.0

DRAM_PJ_PER_BIT: Final[Mapping[str, float]] = MappingProxyType(
    {
        "GDDR5": 14.0,  # O'Connor et al., MICRO-50 (2017)
        "GDDR6": 7.5,  # Micron, Ultra-Bandwidth Solutions
        "HBM2": 3.97,  # O'Connor et al., MICRO-50 (2017): activate 1.21 + transfer 2.54 + I/O 0.22
        "HBM2E": 6.0,  # Micron, average device power with interposer I/O
        "HBM3": 4.5,  # DeepFlow, H100 configuration
        "HBM3E": 4.5,  # as HBM3
    }
)
CACHE_PJ_PER_BIT: Final = 0.13  # SRAM of 7-12 nm, DeepFlow configurations
IDLE_SHARE: Final = 0.12  # of board power: A100 and H100 idle at 0.10-0.17 (recalled)
LINK_PJ_PER_BIT: Final = 13.0  # off-package electrical link, DeepFlow configurations
VECTOR_PJ_PER_BYTE: Final = 4.4
"""Most a FLOP of a vector unit costs, per byte of its format, beside a matrix unit: 17.7 pJ in fp32, the V100's
(300 W − idle)/(15.7 TFLOP/s · 0.95), the most of any GPU that has both units.
Without the limit the few vector FLOP/s of a TPU would share the board's whole power: 84 to 107 pJ each.
"""


def default_power(
    peak_w: float,
    compute: Mapping[Format, Compute],
    dram_pj_per_bit: float = DRAM_PJ_PER_BIT["HBM3"],
    idle_w: float | None = None,
    sustained: float = 1.0,
    arithmetic_w: float | None = None,
    busy: float = 0.0,
) -> Power:
    """e_flop = (P_peak − P_idle − P_busy) / (peak·achievable·sustained), by format (J); `arithmetic_w` / (…) where that
    is known; P_busy = `busy`·P_peak.

    It is the power limit that keeps a device from its burst rate, so the sustained rate is the one at peak power.
    At least a fifth of the board's power is left to FLOPs (an assumption, for figures that do not fit together).
    A vector unit beside a matrix unit need not be able to draw that power: its FLOPs are held to VECTOR_PJ_PER_BYTE.
    """
    idle = IDLE_SHARE * peak_w if idle_w is None else idle_w
    busy_w = busy * peak_w
    dram_byte_j = dram_pj_per_bit * BITS_PER_BYTE * PICO
    dynamic_w = max(0.2 * peak_w, peak_w - idle - busy_w) if arithmetic_w is None else arithmetic_w
    flop_j = {
        name: dynamic_w / (entry.peak_flops * entry.achievable * (sustained if entry.matrix else 1.0))
        for name, entry in compute.items()
    }
    if any(entry.matrix for entry in compute.values()):
        flop_j = {
            name: joules if compute[name].matrix else min(joules, VECTOR_PJ_PER_BYTE * BYTES_PER_ELEMENT[name] * PICO)
            for name, joules in flop_j.items()
        }
    cache_byte_j, link_byte_j = CACHE_PJ_PER_BIT * BITS_PER_BYTE * PICO, LINK_PJ_PER_BIT * BITS_PER_BYTE * PICO
    return Power(peak_w, idle, busy_w, flop_j, dram_byte_j, cache_byte_j, link_byte_j)


def op_energy(op: Op, accelerator: Accelerator) -> OpEnergy:
    """Energy of one execution; zero throughout for a chip whose power is not known."""
    return ops_energy((replace(op, count=1),), accelerator)


def ops_energy(ops: Iterable[Op], accelerator: Accelerator) -> OpEnergy:
    """Energy of all ops, each `count` times."""
    power, time_of, squared = accelerator.power, timer(accelerator).time, accelerator.clock**2
    memory = accelerator.memory
    near = memory.near_energy or NEAR_ENERGY
    arithmetic = cache = dram = idle = 0.0
    for op in ops:
        if power is None or isinstance(op, Collective):
            continue
        time = time_of(op)
        arithmetic += op.count * (executed_flops(op) * flop_energy(op.format, power) * squared)
        cache += op.count * (time.cache_bytes * power.cache_byte_j)
        dram += op.count * ((time.dram_bytes + near * near_bytes(op, memory)) * power.dram_byte_j)
        idle += op.count * (time.seconds * power.running_w(accelerator.clock))
    return OpEnergy(arithmetic, cache, dram, idle)


def flop_energy(number_format: Format, power: Power) -> float:
    """J per FLOP of a format; of the most costly format listed where this one is not."""
    return power.flop_j.get(number_format) or max(power.flop_j.values(), default=0.0)


def average_power(op: Op, time: OpTime, energy: OpEnergy) -> float:
    """Power while the op runs (W); a replayed or empty op of no duration draws none."""
    if time.seconds <= 0.0 or (isinstance(op, Lump) and not op.flops):
        return 0.0
    return energy.total_j / time.seconds
