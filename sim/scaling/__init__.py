"""Power laws from an accuracy target to data, model size, samples and steps."""

from sim.scaling.laws import data_for, data_scale, error_at, parameters_for, region, samples_at, steps_at
from sim.scaling.projection import Effort, Projection, consistency, effort, project
from sim.scaling.records import CriticalBatch, Domain, LearningCurve, Printed, SizeLaw

__all__ = [
    "CriticalBatch",
    "Domain",
    "Effort",
    "LearningCurve",
    "Printed",
    "Projection",
    "SizeLaw",
    "consistency",
    "data_for",
    "data_scale",
    "effort",
    "error_at",
    "parameters_for",
    "project",
    "region",
    "samples_at",
    "steps_at",
]
