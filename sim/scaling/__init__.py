"""From an accuracy target to data, model size, passes, samples and steps."""

from sim.scaling.batch import parse_critical_batch, samples_at, steps_at
from sim.scaling.laws import data_for, data_scale, error_at, parameters_for, region
from sim.scaling.loss import loss_at, optimum, optimum_for_compute, optimum_with_repeats
from sim.scaling.projection import Effort, Projection, consistency, critical_batch_of, effort, error_of_size, project
from sim.scaling.records import (
    CriticalBatch,
    Domain,
    Errors,
    LearningCurve,
    LossLaw,
    Passes,
    Printed,
    Repeats,
    SizeLaw,
)

__all__ = [
    "CriticalBatch",
    "Domain",
    "Effort",
    "Errors",
    "LearningCurve",
    "LossLaw",
    "Passes",
    "Printed",
    "Projection",
    "Repeats",
    "SizeLaw",
    "consistency",
    "critical_batch_of",
    "data_for",
    "data_scale",
    "effort",
    "error_at",
    "error_of_size",
    "loss_at",
    "optimum",
    "optimum_for_compute",
    "optimum_with_repeats",
    "parameters_for",
    "parse_critical_batch",
    "project",
    "region",
    "samples_at",
    "steps_at",
]
