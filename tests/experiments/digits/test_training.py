import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.digits.config import quick_config
from experiments.digits.methods import methods
from experiments.digits.tasks import noisy_digits
from experiments.digits.training import data_order, initial_params, loss_fn, train

CONFIG = dataclasses.replace(
    quick_config(),
    epochs=2,
    num_train=48,
    num_validation=16,
    batch_size=20,
    hidden_sizes=(8,),
    sam_rhos=(0.1, 0.5),
    asam_rhos=(0.5, 1.0),
)
SEEDS = [0, 3]


def noisy(seed):
    return noisy_digits(seed, 0.4, num_train=48, num_validation=16)


grad_fn = jax.jit(jax.grad(lambda params, batch: loss_fn(params, batch)[0]))


def reference(name, rho, seed):
    """One run from the paper's formulas: no Optax, no vmap, no scan."""
    train_set = noisy(seed).train
    params = jax.tree.map(lambda leaf: leaf[0], initial_params([seed], CONFIG))
    trace = jax.tree.map(np.zeros_like, params)
    for step, indices in enumerate(
        np.concatenate([data_order(seed, epoch, CONFIG) for epoch in range(2)])
    ):
        batch = jax.tree.map(lambda array, i=indices: array[i], train_set)
        grads = grad_fn(params, batch)
        scales = jax.tree.map(jnp.ones_like, params)
        if name == "ASAM":
            for layer, scale in zip(params, scales, strict=True):
                scale["kernel"] = abs(layer["kernel"]) + CONFIG.eta
        scaled = jax.tree.map(jnp.multiply, scales, grads)
        norm = np.sqrt(sum(np.sum(leaf**2) for leaf in jax.tree.leaves(scaled)))
        perturbed = jax.tree.map(
            lambda w, t, g, n=norm: w + rho * t * g / n, params, scales, scaled
        )
        if not name.startswith("SGD"):
            grads = grad_fn(perturbed, batch)
        rate = 0.1 * (1 + np.cos(np.pi * step / 4)) / 2
        trace = jax.tree.map(
            lambda v, g, w: 0.9 * v + g + 5e-4 * w, trace, grads, params
        )
        params = jax.tree.map(lambda w, v, r=rate: w - r * v, params, trace)
    return params


@pytest.mark.parametrize("name", ["SGD, equal steps", "SAM", "ASAM"])
def test_training_is_the_algorithm_for_every_rho_and_seed(name):
    (method,) = [method for method in methods(CONFIG) if method.name == name]
    tasks = jax.tree.map(lambda *arrays: np.stack(arrays), *map(noisy, SEEDS))
    start = initial_params(SEEDS, CONFIG)
    params, accuracies = train(method, start, tasks, SEEDS, CONFIG, lambda _: None)
    for i, rho in enumerate(method.rhos):
        for j, seed in enumerate(SEEDS):
            expected = reference(name, rho, seed)
            for leaf, other in zip(
                jax.tree.leaves(params), jax.tree.leaves(expected), strict=True
            ):
                np.testing.assert_allclose(leaf[i, j], other, atol=2e-5)
            _, accuracy = loss_fn(expected, noisy(seed).test)
            assert accuracies.test[-1, i, j] == pytest.approx(float(accuracy), abs=2e-3)
    assert accuracies.validation.shape == (2, len(method.rhos), len(SEEDS))


def test_an_epoch_visits_images_once_in_an_order_of_its_own():
    first, again, second = (data_order(0, epoch, CONFIG) for epoch in (0, 0, 1))
    assert first.shape == (2, 20)
    assert len(set(first.ravel())) == 40
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, data_order(1, 0, CONFIG))


def test_methods_cost_the_same_gradients_but_for_plain_sgd():
    cost = {m.name: m.epochs * m.gradients_per_step for m in methods(CONFIG)}
    assert cost == {
        "SGD, equal steps": 2,
        "SGD, equal compute": 4,
        "SAM": 4,
        "ASAM": 4,
    }
