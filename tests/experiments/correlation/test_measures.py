import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from experiments.correlation.measures import measure_model, measures, missing

from .tiny import STUDY, images

PARAMS = [{"kernel": jnp.array([[1.0, -2.0], [0.0, 0.5]]), "bias": jnp.array([3.0])}]
SLOPES = [{"kernel": jnp.array([[0.2, 0.4], [-1.0, 2.0]]), "bias": jnp.array([-0.7])}]
BATCHES = [images(4, 0), images(3, 1)]


def linear_loss(params, batch):
    del batch
    products = jax.tree.map(lambda w, g: jnp.sum(w * g), params, SLOPES)
    return sum(jax.tree.leaves(products), jnp.zeros([]))


def test_of_a_linear_loss_they_are_dual_norms():
    study = dataclasses.replace(STUDY, eta=0.1)
    found = measure_model(linear_loss, PARAMS, BATCHES, study)
    slopes = np.array([0.2, 0.4, -1.0, 2.0, -0.7])
    scales = np.array([1.1, 2.1, 0.1, 0.6, 1.0])  # biases keep T = 1
    expected = [
        np.linalg.norm(slopes) * np.array([0.1, 0.2, 0.3]),
        np.linalg.norm(scales * slopes) * np.array([0.4, 0.5, 0.6]),
        np.sum(abs(slopes)) * np.array([0.01, 0.02, 0.03]),
        np.sum(abs(scales * slopes)) * np.array([0.04, 0.05, 0.06]),
    ]
    np.testing.assert_allclose(found.worst, expected, rtol=1e-4)
    np.testing.assert_allclose(found.first_order, expected, rtol=1e-4)
    assert (found.converged == 1).all()
    assert jax.tree.map(np.shape, missing(study)) == jax.tree.map(np.shape, found)


def test_the_ascent_rises_above_the_first_order_point():
    def loss_fn(params, batch):
        del batch
        (layer,) = params
        return jnp.sum(jnp.array([[4.0, 1.0], [2.0, 1.0]]) * layer["kernel"] ** 2)

    found = measure_model(loss_fn, PARAMS, BATCHES, STUDY)
    assert (found.worst >= found.first_order).all()
    assert found.worst[0, -1] > found.first_order[0, -1]
    assert [m.p for m in measures(STUDY)] == [2, 2, np.inf, np.inf]


def test_the_loss_is_compiled_for_the_first_model_alone():
    traces = 0

    def loss_fn(params, batch):
        nonlocal traces
        traces += 1
        return linear_loss(params, batch)

    measure_model(loss_fn, PARAMS, BATCHES[:1], STUDY)
    first = traces
    other = jax.tree.map(lambda w: w + 1, PARAMS)
    measure_model(loss_fn, other, BATCHES[:1], STUDY)
    assert first > 0
    assert traces == first
