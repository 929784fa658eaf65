import dataclasses

import jax
import numpy as np
import optax
import pytest

from experiments.digits.tasks import noisy_digits
from experiments.frontier import digits
from experiments.frontier.digits import Digits, results_of
from experiments.frontier.digits_training import (
    NET,
    NUM_EVALUATIONS,
    Accuracies,
    draw,
    loss_fn,
    program,
)
from experiments.frontier.methods import METHODS, Method
from experiments.frontier.results import read_study
from experiments.training.config import Ascent
from experiments.training.gradient import gradient_fn
from experiments.training.optimizer import sgd
from experiments.training.step import init_state, make_train_step
from tests.experiments.training.test_step import count_primitive

SETTINGS = {"num_train": 48, "num_validation": 16, "batch_size": 20}
OPTIONS = Digits(num_seeds=2, epochs=10)
CONFIG = dataclasses.replace(OPTIONS.config, **SETTINGS)
NUM_STEPS = 20


# Its step has a branch, and its state the gradient of the step before.
EVERY_SECOND = Method(
    "stale, every 2", Ascent(normalization="elementwise", source="stale", every=2)
)
RHO = 0.3


def alone(seed):
    """Returns the state after one run, by a plain loop over compiled steps."""
    task = noisy_digits(seed, 0.4, num_train=48, num_validation=16)
    schedule = optax.cosine_decay_schedule(0.1, NUM_STEPS)
    optimizer = sgd(learning_rate=schedule, momentum=0.9, weight_decay=5e-4)
    gradient = gradient_fn(loss_fn, EVERY_SECOND.ascent(RHO), NUM_STEPS)
    step = jax.jit(make_train_step(gradient, lambda batch, key: batch, optimizer, seed))
    state = init_state(
        NET.init, optimizer, ("loss", "accuracy"), seed, keeps_grads=True
    )
    for rows in draw(EVERY_SECOND, CONFIG).order[seed].reshape(NUM_STEPS, 20):
        state = step(state, task.train.take(rows))

    def accuracy(split):
        logits, _ = NET.apply(state.params, {}, split.images, False)
        return np.mean(np.argmax(np.asarray(logits), axis=-1) == split.labels)

    return accuracy(task.validation), accuracy(task.test)


def test_all_seeds_at_once_are_the_runs_one_by_one():
    run = program(EVERY_SECOND, CONFIG)
    found = jax.device_get(run(RHO, draw(EVERY_SECOND, CONFIG)))
    assert found.test.shape == (2, NUM_EVALUATIONS)
    for seed in (0, 1):
        validation, test = alone(seed)
        assert found.validation[seed, -1] == pytest.approx(validation, abs=1e-6)
        assert found.test[seed, -1] == pytest.approx(test, abs=2e-3)


def num_branches(method) -> int:
    """Counts the conditions in the program of a method."""
    run = program(METHODS[method], CONFIG)
    jaxpr = jax.make_jaxpr(run)(0.3, draw(METHODS[method], CONFIG))
    return count_primitive(jaxpr.jaxpr, "cond")


def test_a_step_that_does_not_climb_saves_the_second_gradient_of_all_seeds():
    assert num_branches("asam-every2") - num_branches("asam") == 1
    assert num_branches("asam-late") - num_branches("asam") == 1


def test_twice_the_epochs_are_twice_the_steps():
    once, twice = (draw(METHODS[name], CONFIG).order for name in ("sgd", "sgd-2x"))
    assert once.shape == (2, NUM_EVALUATIONS, 2, 20)
    assert twice.shape == (2, NUM_EVALUATIONS, 4, 20)
    np.testing.assert_array_equal(
        once.reshape(2, -1, 20), twice.reshape(2, -1, 20)[:, :NUM_STEPS]
    )


ACCURACIES = Accuracies(
    train=np.array([[0.1, 0.2], [0.3, 0.4]]),
    validation=np.array([[0.5, 0.4], [0.6, 0.3]]),
    test=np.array([[0.9, 0.8], [0.6, 0.7]]),
)


def test_a_result_holds_the_last_accuracies_and_the_highest():
    first, second = results_of("asam", 0.5, ACCURACIES)
    assert first == ("asam", 0.5, 0, 0.8, 0.9, 0.4, 0.2)
    assert second == ("asam", 0.5, 1, 0.7, 0.7, 0.3, 0.4)


def test_what_is_finished_is_not_trained_again(monkeypatch, tmp_path):
    trained = []

    def train(todo, config):
        for method, rho in todo:
            if len(trained) == 3:
                raise KeyboardInterrupt
            trained.append((method, rho))
            yield results_of(method, rho, ACCURACIES)

    monkeypatch.setattr(digits, "train", train)
    monkeypatch.setattr(digits, "write_report", lambda out: None)
    options = dataclasses.replace(OPTIONS, out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        digits.main(options)
    three = trained.copy()
    trained.clear()
    monkeypatch.setattr(
        digits,
        "train",
        lambda todo, config: (results_of(m, rho, ACCURACIES) for m, rho in todo),
    )
    digits.main(options)
    settings = [(m, rho) for m, rhos in digits.RHOS.items() for rho in rhos]
    assert three == settings[:3]
    found = read_study(tmp_path / "frontier-digits.json")
    expected = [(*pair, seed) for pair in settings for seed in (0, 1)]
    assert sorted(result[:3] for result in found.results) == sorted(expected)
    with pytest.raises(ValueError, match="another --out"):
        digits.main(dataclasses.replace(options, num_seeds=3))


def test_epochs_between_two_evaluations_are_refused():
    with pytest.raises(ValueError, match="epochs must be a multiple of 10, got 15"):
        Digits(epochs=15)
