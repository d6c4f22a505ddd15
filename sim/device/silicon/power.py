"""Where the power of a chip goes while a large product runs and memory streams.

    P = p_idle·area + bandwidth·achievable·(e_stack + e_phy) + e_flop·peak·achievable·s        [W]

s ≤ `sustained`: the share of the clock that the power leaves. The energy of a FLOP is that of the node at the clock a
power limit leaves; that it falls further with the voltage is left out. Links draw beside it when they are used.
Sources: the coefficients', in hardware/process. Validity: boards of 200 to 1,400 W within what `hardware new --check`
prints.
"""

from __future__ import annotations

from sim.device.energy import BITS_PER_BYTE, PICO
from sim.device.silicon.area import Parts
from sim.records import dataclass

GIGA = 1e9


@dataclass(frozen=True, slots=True)
class PowerSplit:
    """Watts of a chip in a large product, and the share of the clock kept."""

    idle_w: float
    memory_w: float
    compute_w: float
    full_w: float  # of arithmetic at the full clock
    links_w: float  # beside it, where they are used in full
    sustained: float
    flop_j: float
    dram_byte_j: float
    link_byte_j: float

    @property
    def total_w(self) -> float:
        """What the board draws in such a product."""
        return self.idle_w + self.memory_w + self.compute_w


def power_of(
    parts: Parts, silicon: float, bandwidth: float, rate: float, limit_w: float, sustained: float | None = None
) -> PowerSplit:
    """The split at `rate` FLOP/s of a full clock and `bandwidth` B/s reached, within `limit_w`, or at a clock given."""
    blocks = parts.blocks
    dram_byte_j = (parts.stack.energy.value + blocks.phy_energy.value) * PICO * BITS_PER_BYTE
    flop_j = parts.core.energy.value * parts.node.energy.value * PICO
    idle_w, memory_w = blocks.idle.value * silicon, bandwidth * dram_byte_j
    share = sustained
    if share is None:
        share = min(blocks.sustained.value, max(0.0, limit_w - idle_w - memory_w) / (flop_j * rate))
    links_w = parts.lanes * parts.lane_rate * GIGA * blocks.serdes_energy.value * PICO
    link_byte_j = blocks.serdes_energy.value * PICO * BITS_PER_BYTE
    full_w = flop_j * rate
    return PowerSplit(idle_w, memory_w, full_w * share, full_w, links_w, share, flop_j, dram_byte_j, link_byte_j)
