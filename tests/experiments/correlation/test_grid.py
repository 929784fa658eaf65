import dataclasses

import pytest

from experiments.correlation.grid import Grid
from experiments.correlation.presets import PRESETS, quick

GRID = Grid((8, 16), (0.1, 0.2), (0.0, 0.1), (0.0, 0.5))


def test_dropout_varies_fastest():
    assert GRID.of_a_batch_size[:3] == [(0.1, 0.0, 0.0), (0.1, 0.0, 0.5), (0.1, 0.1, 0)]
    assert GRID.shape == (2, 2, 2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dropout": (0.1,)}, "dropout needs two values"),
        ({"weight_decay": (0.1, 0.1)}, "weight_decay needs two values"),
        ({"learning_rate": (-0.1, 0.1)}, "learning_rate must be finite"),
        ({"dropout": (0.5, 1.0)}, "dropout below 1"),
        ({"batch_size": (0, 1)}, "batch_size must be at least 1"),
    ],
)
def test_what_is_no_grid_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(GRID, **change)


def test_measures_with_different_numbers_of_radii_are_refused():
    study = PRESETS["digits"]
    with pytest.raises(ValueError, match="equally many"):
        dataclasses.replace(study, plain_inf_rhos=(0.1,))
    with pytest.raises(ValueError, match="each measure needs a radius"):
        dataclasses.replace(
            study,
            plain_l2_rhos=(),
            adaptive_l2_rhos=(),
            plain_inf_rhos=(),
            adaptive_inf_rhos=(),
        )


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_papers_81_models_and_a_quick_variant(name):
    study = PRESETS[name]
    assert study.grid.shape == (3, 3, 3, 3)
    assert quick(study).grid.shape == (2, 2, 2, 2)
    assert quick(study).quick
