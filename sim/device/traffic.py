"""DRAM bytes of an op, given what the cache can hold."""

from __future__ import annotations

import math

from sim.device.records import Accelerator, Memory
from sim.device.tiles import Product
from sim.ops import ELEMENT_BYTES, Convolution, Gather, Gemm, Op, Pointwise

USABLE_CACHE = 0.5  # assumed: one op's blocks fill half of the cache, the next ones are loaded into the other


def gemm_bytes(op: Gemm, accelerator: Accelerator) -> float:
    """Compulsory traffic, or the tiled product's where the cache is too small for it."""
    product = Product(op.m, op.n, op.k, op.batch, ELEMENT_BYTES[op.format])
    reread = reread_bytes(product, accelerator.cache.capacity_bytes * USABLE_CACHE)
    return op.bytes_read + op.bytes_written + reread - near_bytes(op, accelerator.memory)


def near_bytes(op: Op, memory: Memory) -> float:
    """Bytes that stacks which compute read and write among themselves, off the bus.

    All of an op from memory to memory. Of the sum a product is added into, what the bus is spared: the product is sent
    once, and the stack reads and writes at `near` times the bus: max(1, 2/near) of the sum's bytes on it, not 2.
    """
    if memory.near == 1.0:
        return 0.0
    if isinstance(op, Pointwise):
        return op.reads + op.writes if op.stored else 0.0
    if isinstance(op, Gemm) and op.accumulate:
        return op.bytes_written * (2.0 - max(1.0, 2.0 / memory.near))
    return 0.0


def reread_bytes(product: Product, cache_bytes: float) -> float:
    """Bytes loaded beyond the first time by a product blocked for a cache of S elements.

    An operand that fits stays while the other streams by: no re-reads.  Else a block b_m × b_n = S of the output
    stays, A is read n/b_n times and B m/b_m times; b_m = b_n = √S gives the bound 2·m·n·k/√S
    (Hong & Kung 1981; constant of Smith et al. 2019, arXiv:1702.02017).
    """
    m, n, k = product.m, product.n, product.k
    elements = cache_bytes / product.size
    if elements <= 0.0 or min(m * k, k * n) <= elements:
        return 0.0
    block_m = min(m, math.sqrt(elements))
    block_n = min(n, elements / block_m)
    block_m = min(m, elements / block_n)
    extra = m * k * max(0.0, n / block_n - 1.0) + k * n * max(0.0, m / block_m - 1.0)
    return product.batch * extra * product.size


def convolution_product(op: Convolution) -> Product:
    """The implicit product of a convolution (per group): outputs × filters over the receptive field."""
    taps = op.kernel_h * op.kernel_w
    outputs = op.n * op.h_out * op.w_out
    c_in, c_out = op.c_in // op.groups, op.c_out // op.groups
    size = ELEMENT_BYTES[op.format]
    rows = (c_in, c_out)
    if op.direction == "forward":
        return Product(outputs, c_out, c_in * taps, op.groups, size, rows)
    if op.direction == "data":
        inputs = outputs * min(op.stride**2, taps)  # positions some output looked at
        return Product(inputs, c_in, c_out * max(1, round(taps / op.stride**2)), op.groups, size, rows)
    return Product(c_in * taps, c_out, outputs, op.groups, size, rows)


def convolution_bytes(op: Convolution, accelerator: Accelerator) -> float:
    """Compulsory traffic; filters that overflow the cache are read again for every block of the output they serve."""
    compulsory = op.bytes_read + op.bytes_written
    usable = accelerator.cache.capacity_bytes * USABLE_CACHE
    if usable <= 0.0 or op.weight_bytes <= usable:
        return compulsory
    return compulsory + reread_bytes(convolution_product(op), usable) / (op.kernel_h * op.kernel_w)


def gather_bytes(op: Gather, memory: Memory) -> float:
    """Rows padded to whole accesses, each with the cost of starting one; the dense side streams."""
    padded = math.ceil(op.row_bytes / memory.access_bytes) * memory.access_bytes + memory.random_bytes
    random_passes = 2 if op.scatter else 1  # a scatter reads and writes the table, a gather only reads it
    return op.rows * (random_passes * padded + op.row_bytes)


def pointwise_bytes(op: Pointwise, accelerator: Accelerator) -> float:
    """What streams from DRAM: a tensor that fits the usable cache is still there from the op before it."""
    streamed = op.reads + op.writes
    if accelerator.cache.bandwidth is None:
        return streamed
    return max(0.0, streamed - accelerator.cache.capacity_bytes * USABLE_CACHE)
