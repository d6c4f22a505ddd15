"""Number formats and their storage size."""

from __future__ import annotations

from typing import Final, Literal

Format = Literal["fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4"]

BYTES_PER_ELEMENT: Final[dict[Format, float]] = {
    "fp64": 8.0,
    "fp32": 4.0,
    "tf32": 4.0,  # stored as fp32, multiplied with a 10-bit mantissa
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "fp4": 0.5,
}
