"""Published learning curves and batch curves against the laws fitted to them."""

from __future__ import annotations

import pytest

from sim.files.scaling import load_domain
from sim.validation.learning import _fit
from sim.validation.published import load_validation_set
from sim.validation.sets import find_set, validate


def test_the_refit_of_chinchilla_is_besiroglus():
    """Besiroglu et al. 2024, table 1: every constant within its published standard error."""
    law = _fit(load_validation_set(find_set("learning_chinchilla"))).law
    published = load_domain("chinchilla").loss
    errors = {"size_coefficient": 124.58, "data_coefficient": 1293.23, "size_exponent": 0.02}
    errors |= {"data_exponent": 0.02, "irreducible": 0.03}
    for name, error in errors.items():
        assert abs(getattr(law, name) - getattr(published, name)) <= error, name


def test_models_of_a_billion_parameters_from_smaller_ones():
    """Median error of the loss at most 3 %; the published constants alone are above 5 %."""
    report = validate(find_set("learning_datablations"))
    assert report.summaries[0].median_abs_error <= 0.03
    assert len(report.summaries[0].rows) == 23
    beside = next(note for note in report.notes if note.startswith("data-constrained"))
    assert float(beside.rsplit("error of its constants ", 1)[1].split(" %")[0]) > 5.0


@pytest.mark.parametrize("workload", ["LSTM/LM1B", "Transformer/LM1B", "Simple CNN/MNIST"])
def test_steps_of_a_batch_left_out(workload):
    """rms of ln steps at most 0.15."""
    report = validate(find_set("batch_steps"))
    note = next(note for note in report.notes if note.startswith(workload))
    assert float(note.split("rms ")[1].split(" ")[0]) <= 0.15
