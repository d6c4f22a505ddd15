"""Layer parallelism of a recurrent model: its layers on different devices, overlapped over time steps.

none       one stage after the other
wavefront  recurrent layers overlap (layer l works on time step t while layer l−1 works on t+1); embedding and head wait
pipelined  every stage works time step by time step
(PPoPP 2019, §6.2: 4 devices per worker; the schedule behind Table 5 is not stated there.)
"""

from __future__ import annotations

from sim.engine.slots import Skeleton, Slot
from sim.engine.stages import Builder
from sim.plan.records import LayerSchedule
from sim.plan.step_record import StepRecord, Way


def build(record: StepRecord, *, detail: bool = False) -> Skeleton:
    """The tasks of one step whose passes are cut into time steps."""
    builder = Builder(record, detail=detail)
    for micro_batch in range(record.micro_batches):
        arrivals: list[int] = []
        for stage in range(len(record.stages)):
            arrivals = _pass(builder, stage, True, micro_batch, arrivals)
        arrivals = []
        for stage in reversed(range(len(record.stages))):
            arrivals = _pass(builder, stage, False, micro_batch, arrivals)
    return builder.finished()


def _pass(builder: Builder, stage: int, forward: bool, micro_batch: int, arrivals: list[int]) -> list[int]:
    """One pass of one stage; `arrivals` bring its input, one per time step or one for all. Returns what it sends."""
    p = builder.record
    slices = p.time_steps if _sliced(p, stage) else 1
    chunk = p.stages[stage].chunks[0]
    name = f"{'forward' if forward else 'backward'} {micro_batch}"
    track = builder.track_of(stage, "send forward" if forward else "send backward", "link")
    sent: list[int] = []
    for t in range(slices):
        after = (arrivals[t],) if len(arrivals) == slices else tuple(arrivals[-1:])
        slot = Slot("sliced", stage, 0, Way.FORWARD if forward else Way.BACKWARD, slices)
        done = builder.run_kernels(stage, f"{name} step {t}" if slices > 1 else name, slot, after)
        if p.send_s > 0.0:
            done = builder.add(track, name, Slot("sliced send", first=slices), (done,))
        sent.append(done)
    if not forward and p.plan.framework.overlap_gradients and micro_batch == p.micro_batches - 1:
        ready = builder.recent[stage]
        builder.pending[stage] += builder.reduce(stage, 0, list(enumerate(chunk.reductions)), (ready,))
    return sent


def _sliced(record: StepRecord, stage: int) -> bool:
    if record.plan.layer_schedule == LayerSchedule.PIPELINED:
        return True
    blocks = record.stages[stage].chunks[0].blocks
    return record.plan.layer_schedule == LayerSchedule.WAVEFRONT and all(b.kind == "block" for b in blocks)
