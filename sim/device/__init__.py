"""Accelerators as data, and the time and energy of an op on one of them."""

from sim.device.energy import default_power, op_energy, ops_energy
from sim.device.records import (
    Accelerator,
    Cache,
    Compute,
    FusedAttention,
    MatrixUnit,
    Memory,
    OpEnergy,
    OpsTime,
    OpTime,
    Power,
    Source,
    TileShape,
)
from sim.device.roofline import ridge_point, roofline_time
from sim.device.timing import choices, compute_of, op_time, sparse_gain, time_ops, timer, vector_rate, with_kernels

__all__ = [
    "Accelerator",
    "Cache",
    "Compute",
    "FusedAttention",
    "MatrixUnit",
    "Memory",
    "OpEnergy",
    "OpTime",
    "OpsTime",
    "Power",
    "Source",
    "TileShape",
    "choices",
    "compute_of",
    "default_power",
    "op_energy",
    "op_time",
    "ops_energy",
    "ridge_point",
    "roofline_time",
    "sparse_gain",
    "time_ops",
    "timer",
    "vector_rate",
    "with_kernels",
]
