import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.correlation.nets import Dropout, mlp
from experiments.correlation.training import evaluate, mean_loss, train
from experiments.data.order import epoch_order

from .tiny import DATA, STUDY

NET = mlp(4, STUDY.widths, 10)
KEYS = jax.random.split(jax.random.key(3), 3)  # of weights, order and dropout


def ignore(step, models):
    pass


@jax.jit
@jax.grad
def grad_fn(params, batch, key, dropout):
    return mean_loss(NET, params, batch, Dropout(key, dropout))


def reference(learning_rate, weight_decay, dropout):
    """One model of batches of 5 after 12 steps: no Optax, no vmap, no scan."""
    rows = np.concatenate([epoch_order(KEYS[1], epoch, 20, 5) for epoch in range(3)])
    params = NET.init(KEYS[0])
    velocity = jax.tree.map(np.zeros_like, params)
    for step, indices in enumerate(rows):
        key = jax.random.fold_in(KEYS[2], step)
        grads = grad_fn(params, DATA.train.take(indices), key, dropout)
        rate = learning_rate * (1 + np.cos(np.pi * step / 12)) / 2
        velocity = jax.tree.map(
            lambda v, g, w: 0.9 * v + g + weight_decay * w, velocity, grads, params
        )
        params = jax.tree.map(lambda w, v, r=rate: w - r * v, params, velocity)
    return params


@pytest.fixture(scope="module")
def trained():
    """Models that never reach the target, in batches of 5, and what was told."""
    told = []
    models = train(NET, DATA, STUDY, 5, 3, lambda step, _: told.append(step))
    return models, told


def test_each_model_is_trained_as_if_alone(trained):
    models, told = trained
    assert told == [4, 8, 12]
    for i in (0, 7):
        expected = reference(*STUDY.grid.of_a_batch_size[i])
        for leaf, other in zip(
            jax.tree.leaves(models.params), jax.tree.leaves(expected), strict=True
        ):
            np.testing.assert_allclose(leaf[i], other, atol=1e-5)
    assert (np.asarray(models.reached_at) == -1).all()


def test_a_model_stays_as_it_was_when_first_seen_below_the_target(trained):
    history = []
    never, _ = trained
    whole = dataclasses.replace(STUDY, target_loss=float(np.max(never.train_loss)))

    def record(step, models):
        history.append((step, jax.device_get((models.params, models.train_loss))))

    models = train(NET, DATA, whole, 5, 3, record)
    losses = np.array([loss for _, (_, loss) in history])
    below = losses < whole.target_loss
    reached_at = np.asarray(models.reached_at)
    assert len(set(reached_at)) > 1  # else nothing below is tested
    for i, step in enumerate(reached_at):
        if step < 0:
            assert not below[:, i].any()
            continue
        first = int(np.argmax(below[:, i]))
        assert step == history[first][0]
        at_first, loss = history[first][1]
        for leaf, kept in zip(
            jax.tree.leaves(at_first), jax.tree.leaves(models.params), strict=True
        ):
            np.testing.assert_array_equal(leaf[i], kept[i])
        assert float(models.train_loss[i]) == pytest.approx(loss[i], rel=1e-6)


def test_training_ends_when_all_models_are_there():
    told = []
    easy = dataclasses.replace(STUDY, target_loss=100.0)
    models = train(NET, DATA, easy, 5, 3, lambda step, _: told.append(step))
    assert told == [4]
    assert (np.asarray(models.reached_at) == 4).all()


def test_more_steps_between_checks_than_steps_are_refused():
    study = dataclasses.replace(STUDY, check_every=13)
    with pytest.raises(ValueError, match="fewer steps than"):
        train(NET, DATA, study, 5, 3, ignore)


def test_evaluation_counts_every_example(monkeypatch):
    monkeypatch.setattr("experiments.correlation.training.CHUNK", 3)  # 7 = 2 * 3 + 1
    params = NET.init(KEYS[0])
    loss, error = jax.jit(functools.partial(evaluate, NET))(params, DATA.test)
    logits = np.asarray(NET.apply(params, jnp.asarray(DATA.test.images), None))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    labels = DATA.test.labels
    assert float(loss) == pytest.approx(-np.mean(log_p[np.arange(7), labels]), rel=1e-5)
    assert float(error) == pytest.approx(np.mean(logits.argmax(axis=1) != labels))
    assert float(loss) == pytest.approx(
        float(mean_loss(NET, params, DATA.test)), rel=1e-6
    )
