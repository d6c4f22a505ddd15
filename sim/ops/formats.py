"""Number formats and their storage size.

Block-scaled formats share one scale among the elements of a block: MX (OCP Microscaling Formats 1.0, 2023) 8 bits among
32, NVFP4 (NVIDIA, Transformer Engine documentation) 8 bits among 16; weights of int4 16 bits among 128 (the group of
GPTQ, arXiv:2210.17323, and AWQ, arXiv:2306.00978, as commonly released; recalled).
"""

from __future__ import annotations

from typing import Final, Literal

Format = Literal[
    "fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4", "int4", "mxfp8", "mxfp6", "mxfp4", "nvfp4"
]

ELEMENT_BYTES: Final[dict[Format, float]] = {
    "fp64": 8.0,
    "fp32": 4.0,
    "tf32": 4.0,  # stored as fp32, multiplied with a 10-bit mantissa
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "fp4": 0.5,
    "int4": 0.5,
    "mxfp8": 1.0,
    "mxfp6": 0.75,
    "mxfp4": 0.5,
    "nvfp4": 0.5,
}
"""Of an element alone, without its share of a scale."""

BLOCKS: Final[dict[Format, int]] = {"mxfp8": 32, "mxfp6": 32, "mxfp4": 32, "nvfp4": 16, "int4": 64}
"""Elements for every byte of scale."""

PLAIN: Final[dict[Format, Format]] = {
    "mxfp8": "fp8", "mxfp6": "fp8", "mxfp4": "fp4", "nvfp4": "fp4", "int4": "int8",
}  # fmt: skip
"""The format whose unit a chip uses for one it states no more of: the narrowest plain one that holds the elements."""

BYTES_PER_ELEMENT: Final[dict[Format, float]] = {
    name: size + (1.0 / BLOCKS[name] if name in BLOCKS else 0.0) for name, size in ELEMENT_BYTES.items()
}
"""Stored, with the share of a scale."""
