import dataclasses

import pytest

from experiments.digits.config import Config, quick_config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sam_rhos": (0.1,)}, "equally long"),
        ({"sam_rhos": (), "asam_rhos": ()}, "equally long"),
        ({"sam_rhos": (0.2, 0.1), "asam_rhos": (1.0, 2.0)}, "--sam-rhos .* increasing"),
        ({"sam_rhos": (0.1, 0.2), "asam_rhos": (0.0, 2.0)}, "--asam-rhos .* positive"),
        ({"noise_rates": (1.0,)}, r"in \[0, 1\)"),
        ({"noise_rates": (0.4, 0.4)}, "different"),
        ({"noise_rates": ()}, "different"),
        ({"num_seeds": 0}, "--num-seeds must be at least 1"),
        ({"epochs": 0}, "--epochs"),
        ({"num_validation": 0}, "--num-validation"),
        ({"batch_size": 961}, "Lower --batch-size"),
        ({"num_train": 1600}, "for the test"),
        ({"hidden_sizes": ()}, "--hidden-sizes"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"eta": -0.1}, "--eta"),
    ],
)
def test_settings_that_cannot_be_run_or_compared_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Config(), **changes)


def test_defaults_tune_both_methods_over_the_same_number_and_range():
    config = Config()
    assert len(config.sam_rhos) == len(config.asam_rhos)
    assert config.sam_rhos[-1] / config.sam_rhos[0] == pytest.approx(
        config.asam_rhos[-1] / config.asam_rhos[0], rel=0.05
    )
    assert quick_config().quick
