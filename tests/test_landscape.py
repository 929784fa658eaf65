"""Filter-normalized directions, and the loss along lines and over planes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import problems


@pytest.mark.parametrize("filter_axis", [-1, 0])
def test_filters_of_the_direction_are_as_long_as_those_of_the_weights(filter_axis):
    params = problems.cast(problems.conv_net(0)[0], "float32")
    direction = asam_jax.filter_normalized_direction(
        jax.random.key(0), params, filter_axis=filter_axis
    )

    def lengths(x):
        x = np.moveaxis(np.asarray(x), filter_axis, 0)
        return np.linalg.norm(x.reshape(len(x), -1), axis=1)

    for layer in ("stem", "block", "head"):
        np.testing.assert_allclose(
            lengths(direction[layer]["kernel"]),
            lengths(params[layer]["kernel"]),
            rtol=1e-5,
        )
    assert not np.any(direction["stem"]["bias"])
    assert not np.any(direction["norm"]["scale"])


def test_a_filter_of_zeros_does_not_move():
    params = {"kernel": jnp.array([[0.0, 3.0], [0.0, 4.0]])}
    direction = asam_jax.filter_normalized_direction(jax.random.key(0), params)
    np.testing.assert_array_equal(direction["kernel"][:, 0], 0)
    assert np.all(np.isfinite(direction["kernel"]))


def test_plane_is_the_loss_at_its_points():
    params = problems.cast(problems.mlp(0, (3, 5, 4), use_bias=True), "float32")
    (data,) = problems.cast(problems.batches(0, 1, (20, 3)), "float32")
    cut = lambda start, end: jax.tree.map(lambda x: x[start:end], data)
    directions = [
        asam_jax.filter_normalized_direction(jax.random.key(seed), params)
        for seed in (0, 1)
    ]
    xs, ys = np.linspace(-1, 1, 3), np.linspace(-0.5, 0.5, 2)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1)
    losses = asam_jax.loss_slice(
        problems.mlp_loss,
        params,
        directions,
        grid,
        batches=[cut(0, 8), cut(8, 16), cut(16, 20)],
    )
    assert losses.shape == (2, 3)
    for i, y in enumerate(ys):
        for j, x in enumerate(xs):
            moved = jax.tree.map(
                lambda w, d, e, x=x, y=y: w + x * d + y * e, params, *directions
            )
            assert losses[i, j] == pytest.approx(
                float(problems.mlp_loss(moved, data)), rel=1e-5
            )


def test_line_may_run_to_infinity():
    line = asam_jax.loss_slice(
        lambda w: jnp.exp(w[0]),
        jnp.zeros(1),
        [jnp.ones(1)],
        np.array([[0.0], [1.0], [1000.0]]),
    )
    np.testing.assert_allclose(line, [1, np.e, np.inf], rtol=1e-6)


def test_directions_and_offsets_have_to_match():
    loss_fn, w = lambda w: jnp.sum(w), jnp.zeros(2)
    with pytest.raises(ValueError, match="one value a direction"):
        asam_jax.loss_slice(loss_fn, w, [jnp.ones(2)], np.zeros((5, 2)))
    with pytest.raises(ValueError, match="a direction has shape"):
        asam_jax.loss_slice(loss_fn, w, [jnp.ones(3)], np.zeros((5, 1)))


def test_biases_do_not_move_whatever_their_shape():
    """Equinox's convolutions have biases [channel, 1, 1]."""
    net = eqx.nn.Conv2d(2, 3, kernel_size=3, key=jax.random.key(0))
    params = eqx.filter(net, eqx.is_inexact_array)
    direction = asam_jax.filter_normalized_direction(
        jax.random.key(1), params, filter_axis=0
    )
    assert np.any(direction.weight)
    np.testing.assert_array_equal(direction.bias, 0)


def test_integer_leaves_stay_as_they_are():
    params = {"kernel": jnp.ones((2, 2)), "count": jnp.array(3)}
    loss_fn = lambda w: jnp.sum(w["kernel"]) * w["count"]
    direction = asam_jax.filter_normalized_direction(jax.random.key(0), params)
    line = asam_jax.loss_slice(loss_fn, params, [direction], np.array([[0.0], [1.0]]))
    rise = 3 * np.sum(direction["kernel"])
    np.testing.assert_allclose(line, np.array([12, 12 + rise]), rtol=1e-5)
