import shutil
import signal

import jax
import numpy as np
import pytest

from experiments.training.averages import averaged_params, averaged_steps
from experiments.training.checkpoint import CheckpointError
from experiments.training.config import Cadence
from tests.experiments.training.running import (
    SMALL,
    assert_same_bits,
    interrupted_at,
    train_tiny,
)
from tests.experiments.training.tiny import tiny_task

AVERAGED = tiny_task(SMALL, seed=0)._replace(averaged=3)


@pytest.mark.parametrize(
    ("averaged", "steps"), [(1, [40]), (3, [20, 30, 40]), (4, [10, 20, 30, 40])]
)
def test_the_last_epochs_are_averaged(averaged, steps):
    task = AVERAGED._replace(averaged=averaged)
    assert list(averaged_steps(task)) == steps


def mean_of(outcome):
    return averaged_params(AVERAGED, outcome.folder, outcome.state)


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """Returns a run, and the parameters at the end of each of its epochs."""
    params_of_epochs = []

    def evaluate(params, model_state):
        params_of_epochs.append(jax.device_get(params))
        return AVERAGED.evaluate(params, model_state)

    task = AVERAGED._replace(evaluate=evaluate)
    outcome = train_tiny(tmp_path_factory.mktemp("averaged"), task=task)
    return outcome, params_of_epochs


def test_the_average_is_the_mean_over_the_last_epochs(averaged):
    outcome, (_, *params_of_epochs) = averaged
    saved = {path.name for path in outcome.folder.checkpoints.iterdir()}
    assert saved == {"20", "30", "40"}
    assert len(params_of_epochs) == 3
    jax.tree.map(
        lambda mean, *x: np.testing.assert_allclose(
            mean, np.mean(x, axis=0, dtype=float), rtol=1e-6, atol=1e-7
        ),
        mean_of(outcome),
        *params_of_epochs,
    )


def test_the_average_does_not_depend_on_when_the_run_writes(tmp_path, averaged):
    seldom = Cadence(log_every=40, eval_every=4, checkpoint_every=3)
    outcome = train_tiny(tmp_path, task=AVERAGED, cadence=seldom)
    saved = {path.name for path in outcome.folder.checkpoints.iterdir()}
    assert saved == {"20", "30", "40"}
    assert_same_bits(mean_of(outcome), mean_of(averaged[0]))


def test_the_average_is_that_of_an_unbroken_run(tmp_path, averaged):
    # A stop in the middle of an epoch, a signal, and a kill before step 40 is saved.
    train_tiny(tmp_path, task=AVERAGED, max_steps=25)
    task = interrupted_at(33, signal.SIGTERM)._replace(averaged=3)
    assert not train_tiny(tmp_path, task=task).finished
    outcome = train_tiny(tmp_path, task=AVERAGED)
    shutil.rmtree(outcome.folder.checkpoints / "40")
    outcome = train_tiny(tmp_path, task=AVERAGED)
    assert outcome.finished
    assert_same_bits(mean_of(outcome), mean_of(averaged[0]))


def test_a_part_of_the_average_that_is_lost_can_be_made_again(tmp_path, averaged):
    outcome = train_tiny(tmp_path, task=AVERAGED)
    shutil.rmtree(outcome.folder.checkpoints / "30")
    with pytest.raises(CheckpointError, match=r"30 cannot .* Remove it and the "):
        mean_of(outcome)
    shutil.rmtree(outcome.folder.checkpoints / "40")
    outcome = train_tiny(tmp_path, task=AVERAGED)
    assert_same_bits(mean_of(outcome), mean_of(averaged[0]))
