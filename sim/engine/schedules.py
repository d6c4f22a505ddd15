"""Pipeline schedules: in which order a stage runs the passes of its micro-batches.

1F1B (PipeDream-Flush; Narayanan et al. 2021, §2.2): stage p of P runs min(P−p−1, m) forward passes ahead, then
alternates. Interleaved (same, §2.2.2): each stage holds v chunks of the model, micro-batches advance in groups of P
chunk by chunk. GPipe (Huang et al. 2019): all forward, then all backward. Bubbles with passes of f and b seconds:
1F1B, GPipe  (P−1)(f+b), interleaved 1/v of it
ZB-H1        (P−1)(f+b−2w): 1F1B whose gradients of weights (w of b) run p passes later, where a stage would wait (Qi et
             al. 2023, §2.2)
ZB-V         none where f, b−w and w are equal: two chunks a stage, down the pipeline and back (Qi et al. 2024, §3.2)
DualPipe     (P/2−1)(f&b+b−3w): micro-batches enter at both ends, every stage holds two parts of the model, and a
             forward pass of one direction runs beside a backward pass of the other in f&b seconds (DeepSeek-AI 2024,
             §3.2.1)
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sim.plan.records import PipelineSchedule
from sim.plan.step_record import Way


class Pass(NamedTuple):
    """One pass of one micro-batch through one chunk of one stage; of DualPipe numbered in its direction."""

    stage: int
    way: Way
    chunk: int
    micro_batch: int

    @property
    def forward(self) -> bool:
        return self.way.forward

    def __str__(self) -> str:
        chunk = f" chunk {self.chunk}" if self.chunk else ""
        return f"{self.way.words} {self.micro_batch}{chunk}"


def stage_order(stage: int, stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule) -> list[Pass]:
    """The passes of one stage, in the order it runs them; a forward pass `beside` a backward one comes right before."""
    if schedule == PipelineSchedule.GPIPE:
        return _all_forward_first(stage, micro_batches, chunks)
    if schedule == PipelineSchedule.ZB_H1:
        return _zb_h1(stage, stages, micro_batches)
    if schedule == PipelineSchedule.ZB_V:
        return _zb_v(stage, stages, micro_batches)
    if schedule == PipelineSchedule.DUALPIPE:
        return _dualpipe(stage, stages, micro_batches)
    if chunks > 1:
        return _interleaved(stage, stages, micro_batches, chunks)
    ahead = min(stages - stage - 1, micro_batches)
    forward = [Pass(stage, Way.FORWARD, 0, i) for i in range(micro_batches)]
    backward = [Pass(stage, Way.BACKWARD, 0, i) for i in range(micro_batches)]
    return _alternate(forward, backward, ahead)


def _all_forward_first(stage: int, micro_batches: int, chunks: int) -> list[Pass]:
    forward = [Pass(stage, Way.FORWARD, c, i) for c in range(chunks) for i in range(micro_batches)]
    backward = [Pass(stage, Way.BACKWARD, c, i) for c in reversed(range(chunks)) for i in range(micro_batches)]
    return forward + backward


def _interleaved(stage: int, stages: int, micro_batches: int, chunks: int) -> list[Pass]:
    total = micro_batches * chunks
    forward, backward = [], []
    for k in range(total):
        group, place = divmod(k, stages * chunks)
        chunk, inside = divmod(place, stages)
        micro_batch = group * stages + inside
        forward.append(Pass(stage, Way.FORWARD, chunk, micro_batch))
        backward.append(Pass(stage, Way.BACKWARD, chunks - 1 - chunk, micro_batch))
    ahead = min((stages - stage - 1) * 2 + (chunks - 1) * stages, total)
    return _alternate(forward, backward, ahead)


def _alternate(forward: list[Pass], backward: list[Pass], ahead: int) -> list[Pass]:
    order = forward[:ahead]
    for i in range(len(forward) - ahead):
        order += (forward[ahead + i], backward[i])
    return order + backward[len(forward) - ahead :]


def _zb_h1(stage: int, stages: int, micro_batches: int) -> list[Pass]:
    """1F1B; stage p computes the gradients of weights p micro-batches after those of inputs."""
    ahead = min(stages - stage - 1, micro_batches)
    order = [Pass(stage, Way.FORWARD, 0, i) for i in range(ahead)]
    for i in range(micro_batches):
        if ahead + i < micro_batches:
            order.append(Pass(stage, Way.FORWARD, 0, ahead + i))
        order.append(Pass(stage, Way.INPUTS, 0, i))
        if i >= stage:
            order.append(Pass(stage, Way.WEIGHTS, 0, i - stage))
    return order + [Pass(stage, Way.WEIGHTS, 0, i) for i in range(max(0, micro_batches - stage), micro_batches)]


class _Numbered:
    """Passes of one stage, every kind of pass through every chunk numbered as it comes."""

    def __init__(self, stage: int) -> None:
        self.stage = stage
        self.order: list[Pass] = []
        self.count: dict[tuple[bool, int], int] = {}
        self.waiting: deque[tuple[int, int]] = deque()  # (chunk, micro-batch) whose gradients of weights are to come

    def run(self, way: Way, chunk: int) -> int:
        """The next micro-batch through a chunk; its number."""
        number = self.count.get((way.forward, chunk), 0)
        self.count[way.forward, chunk] = number + 1
        self.order.append(Pass(self.stage, way, chunk, number))
        if way == Way.INPUTS:
            self.waiting.append((chunk, number))
        return number

    def weights(self) -> None:
        """The gradients of weights that have waited longest."""
        self.order.append(Pass(self.stage, Way.WEIGHTS, *self.waiting.popleft()))

    def both(self, forward: int, backward: int) -> None:
        """A forward pass beside a backward pass."""
        self.run(Way.FORWARD_BESIDE, forward)
        self.run(Way.BACKWARD_BESIDE, backward)


def _zb_v(stage: int, stages: int, micro_batches: int) -> list[Pass]:
    """Chunk 0 on the way down, chunk 1 on the way back up."""
    passes = _Numbered(stage)
    run, weights = passes.run, passes.weights

    def backward(chunk: int) -> None:
        run(Way.INPUTS, chunk)
        weights()

    for _ in range(2 * (stages - stage) - 1):
        run(Way.FORWARD, 0)
    for _ in range(stage):
        run(Way.FORWARD, 1)
        run(Way.FORWARD, 0)
    for _ in range(stages - stage):
        run(Way.FORWARD, 1)
        backward(1)
    for ahead in range(2 * stages - stage - 1, micro_batches + stages - stage - 1):
        if ahead < micro_batches:
            run(Way.FORWARD, 0)
        backward(0)
        run(Way.FORWARD, 1)
        backward(1)
    for _ in range(stage):
        run(Way.INPUTS, 0)
        run(Way.INPUTS, 1)
    for _ in range(stages - stage):
        run(Way.INPUTS, 0)
        weights()
    while passes.waiting:
        weights()
    return passes.order


def _dualpipe(stage: int, stages: int, micro_batches: int) -> list[Pass]:
    """Eight steps, as in DeepSeek's published implementation; `near` is the direction whose end is closer."""
    half, inward = stages // 2, min(stage, stages - 1 - stage)
    outward = half - inward - 1  # stages between this one and the middle
    near = 0 if stage < half else 1
    far = 1 - near
    passes = _Numbered(stage)
    run, both = passes.run, passes.both
    for _ in range(2 * outward):
        run(Way.FORWARD, near)
    for _ in range(inward + 1):
        run(Way.FORWARD, near)
        run(Way.FORWARD, far)
    for _ in range(outward):
        run(Way.INPUTS, far)
        passes.weights()
        run(Way.FORWARD, far)
    for i in range(micro_batches // 2 - stages + inward + 1):
        if i == 0 and outward == 0:  # the stages in the middle would only wait longer for both
            run(Way.FORWARD, near)
            run(Way.BACKWARD, far)
        else:
            both(near, far)
        both(far, near)
    for _ in range(outward):
        run(Way.BACKWARD, far)
        both(far, near)
    for k, chunk in enumerate((far, near) * (inward + 1)):  # the second half leaves gradients of weights for later
        run(Way.INPUTS if k > inward else Way.BACKWARD, chunk)
    for _ in range(outward):
        passes.weights()
        run(Way.INPUTS, near)
    while passes.waiting:
        passes.weights()
    return passes.order


def previous(
    stage: int, way: Way, chunk: int, stages: int, chunks: int, schedule: PipelineSchedule
) -> tuple[int, int] | None:
    """(stage, chunk) whose pass of the same direction feeds this one; None at the ends of the pipeline."""
    if way == Way.WEIGHTS:
        return None
    down = way.forward != (schedule.two_way and chunk == 1)  # fed by the stage before
    if down and stage > 0:
        return stage - 1, chunk
    if not down and stage < stages - 1:
        return stage + 1, chunk
    if schedule == PipelineSchedule.DUALPIPE:
        return None
    before = chunk - 1 if way.forward else chunk + 1
    if not 0 <= before < chunks:
        return None
    return (stage if schedule == PipelineSchedule.ZB_V else stages - 1 - stage), before


def in_flight(stage: int, stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule) -> tuple[int, ...]:
    """Most micro-batches of each chunk whose activations a stage holds at once, at the fullest moment of the sum."""
    held = [0] * chunks
    fullest: tuple[int, ...] = tuple(held)
    for item in stage_order(stage, stages, micro_batches, chunks, schedule):
        held[item.chunk] += _held(item.way)
        if sum(held) > sum(fullest):
            fullest = tuple(held)
    return fullest


def _held(way: Way) -> int:
    """Micro-batches a pass adds to those held: gradients of weights still need the inputs of the products."""
    return 1 if way.forward else 0 if way == Way.INPUTS else -1
