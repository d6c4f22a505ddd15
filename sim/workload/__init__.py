"""What one training step asks for: model families, their op graphs, layers, and minimal memory.

- `registry`: every family by name; `records`: the `Model`, `Layer`, `Parameter`, `Numerics` and `Shard` others see.
- `tape`, `recorder`, `graph`: forward ops recorded, backward generated, pointwise chains fused, loops folded.
- `liveness`: the fullest moment of a step; `expand`: layers, whole-step ops, sums by op type; `update`: the optimiser.
"""
