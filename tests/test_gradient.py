"""The drop-in for `jax.value_and_grad`: two passes, aux, and groups of the batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax

from . import reference
from .assertions import assert_trees_close
from .problems import Batch, batches, cast, mlp, mlp_loss

PARAMS = mlp(0, (3, 5, 4), use_bias=True)
(BATCH,) = batches(seed=0, count=1, shape=(12, 3))
CASES = {
    "asam": ({}, {"operator": "elementwise", "eta": 0.01, "p": 2}),
    "sam": (
        {"normalization": asam_jax.identity()},
        {"operator": "identity", "eta": 0.0, "p": 2},
    ),
    "asam-inf": ({"p": jnp.inf}, {"operator": "elementwise", "eta": 0.01, "p": np.inf}),
}
mlp_value_and_grad = jax.jit(jax.value_and_grad(mlp_loss))


def climbed_reference(batch, rho, *, operator, eta, p, mask=None):
    """The clean loss, and the gradient at the reference's w + eps, for one group."""
    params, batch = cast((PARAMS, batch), "float32")
    loss, grads = mlp_value_and_grad(params, batch)
    w, g = reference.flatten(params), reference.flatten(grads)
    scales = reference.scales(w, operator=operator, eta=eta)
    kept = {k: x for k, x in g.items() if mask is None or mask(k)}
    eps = reference.perturbation(kept, scales, rho=rho, p=p)
    perturbed = {k: x + eps.get(k, 0.0) for k, x in w.items()}
    _, ascended = mlp_value_and_grad(
        cast(reference.unflatten(perturbed), "float32"), batch
    )
    return loss, ascended


@pytest.mark.parametrize("name", CASES)
def test_clean_loss_and_gradient_at_the_worst_point(name):
    arguments, settings = CASES[name]
    transformed = jax.jit(asam_jax.value_and_grad(mlp_loss, rho=0.2, **arguments))
    actual = transformed(*cast((PARAMS, BATCH), "float32"))
    expected = climbed_reference(BATCH, 0.2, **settings)
    assert_trees_close(actual, expected, rtol=1e-4, atol=1e-6)


def test_mask():
    transformed = asam_jax.value_and_grad(
        mlp_loss, rho=0.2, mask=lambda path, leaf: leaf.ndim == 2
    )
    actual = jax.jit(transformed)(*cast((PARAMS, BATCH), "float32"))
    settings = CASES["asam"][1]
    expected = climbed_reference(
        BATCH, 0.2, **settings, mask=lambda name: name.endswith("kernel")
    )
    assert_trees_close(actual, expected, rtol=1e-4, atol=1e-6)


def test_radius_zero_is_jax_value_and_grad():
    arguments = cast((PARAMS, BATCH), "float32")
    actual = jax.jit(asam_jax.value_and_grad(mlp_loss, rho=0.0))(*arguments)
    assert_trees_close(actual, mlp_value_and_grad(*arguments), rtol=1e-5, atol=1e-7)


def test_the_radius_may_be_traced():
    arguments = cast((PARAMS, BATCH), "float32")

    @jax.jit
    def step(rho):
        return asam_jax.value_and_grad(mlp_loss, rho=rho)(*arguments)

    for rho in (0.1, 0.7):
        expected = climbed_reference(BATCH, rho, **CASES["asam"][1])
        assert_trees_close(step(rho), expected, rtol=1e-4, atol=1e-6)


def test_aux_is_that_of_the_clean_pass():
    # Running statistics are compared over whole runs in test_reference_training.
    loss_fn = lambda w: (jnp.sum(w**2), {"where": w})
    w = jnp.array([[3.0, -4.0]])
    (loss, aux), grads = asam_jax.value_and_grad(
        loss_fn, rho=0.5, normalization=asam_jax.identity(), has_aux=True
    )(w)
    assert_trees_close((loss, aux), (jnp.array(25.0), {"where": w}), rtol=1e-6)
    assert_trees_close(grads, 2 * jnp.array([[3.3, -4.4]]), rtol=1e-6)


def groups(count):
    """The batch cut into `count` groups of consecutive examples."""
    images, labels = np.split(BATCH.images, count), np.split(BATCH.labels, count)
    return [Batch(*parts) for parts in zip(images, labels, strict=True)]


@pytest.mark.parametrize(
    ("name", "num_groups"), [("asam", 3), ("asam", 12), ("sam", 3), ("asam-inf", 3)]
)
def test_groups_climb_by_themselves_and_are_averaged(name, num_groups):
    arguments, settings = CASES[name]
    transformed = asam_jax.value_and_grad(
        mlp_loss, rho=0.2, num_groups=num_groups, **arguments
    )
    actual = jax.jit(transformed)(*cast((PARAMS, BATCH), "float32"))
    each = [climbed_reference(group, 0.2, **settings) for group in groups(num_groups)]
    expected = jax.tree.map(lambda *leaves: jnp.mean(jnp.stack(leaves), axis=0), *each)
    assert_trees_close(actual, expected, rtol=1e-4, atol=1e-6)
    together = climbed_reference(BATCH, 0.2, **settings)
    with pytest.raises(AssertionError):
        assert_trees_close(actual, together, rtol=1e-4, atol=1e-6)


# From here on the loss records what its arguments are: its aux shows each group's.

W = {"kernel": jnp.array([1.0, 2.0])}
ROWS = jnp.arange(12.0).reshape(6, 2)


def recording_loss(params, *args, **kwargs):
    return jnp.sum(params["kernel"] ** 2), (args, kwargs)


def recorded(*args, num_groups, batch_argnums=None, **kwargs):
    """The arguments that the groups received, stacked on a leading axis."""
    transformed = asam_jax.value_and_grad(
        recording_loss,
        rho=0.1,
        has_aux=True,
        num_groups=num_groups,
        batch_argnums=batch_argnums,
    )
    (_, aux), _ = jax.jit(transformed)(W, *args, **kwargs)
    return aux


def test_all_positional_arguments_are_split_by_default():
    labels = jnp.arange(6)
    (rows, tree), _ = recorded(ROWS, {"labels": labels, "none": None}, num_groups=3)
    assert_trees_close(rows, ROWS.reshape(3, 2, 2), rtol=0)
    assert_trees_close(tree, {"labels": labels.reshape(3, 2), "none": None}, rtol=0)


@pytest.mark.parametrize("batch_argnums", [2, [2], (2,)])
def test_batch_argnums_choose_what_is_split(batch_argnums):
    (model_state, rows), _ = recorded(
        jnp.arange(5.0), ROWS, num_groups=2, batch_argnums=batch_argnums
    )
    assert_trees_close(rows, ROWS.reshape(2, 3, 2), rtol=0)
    assert_trees_close(model_state, jnp.tile(jnp.arange(5.0), (2, 1)), rtol=0)


def test_numpy_batches_are_split():
    transformed = asam_jax.value_and_grad(
        recording_loss, rho=0.1, has_aux=True, num_groups=2
    )
    (_, ((rows,), _)), _ = transformed(W, np.float32(ROWS))  # never traced as a whole
    assert_trees_close(rows, ROWS.reshape(2, 3, 2), rtol=0)


def test_keyword_arguments_go_to_each_group_whole():
    _, kwargs = recorded(ROWS, num_groups=2, smoothing=0.1, offset=jnp.arange(3.0))
    assert_trees_close(kwargs["offset"], jnp.tile(jnp.arange(3.0), (2, 1)), rtol=0)
    np.testing.assert_allclose(kwargs["smoothing"], [0.1, 0.1])


def draws(keys):
    """What the keys of a loss's aux draw."""
    return jax.vmap(jax.random.normal)(keys)


@pytest.mark.parametrize("batch_argnums", [None, 1])
def test_keys_are_folded_with_the_index_of_the_group(batch_argnums):
    key = jax.random.key(3)
    (_, positional), kwargs = recorded(
        ROWS, key, num_groups=3, batch_argnums=batch_argnums, key=key
    )
    folded = [jax.random.normal(jax.random.fold_in(key, i)) for i in range(3)]
    assert_trees_close(draws(positional), jnp.stack(folded), rtol=1e-6)
    assert_trees_close(draws(kwargs["key"]), jnp.stack(folded), rtol=1e-6)


def test_arrays_of_keys_outside_the_batch_are_folded_key_by_key():
    keys = jax.random.split(jax.random.key(3), 2)
    _, kwargs = recorded(ROWS, num_groups=3, keys=keys)
    folded = jnp.stack(
        [
            jnp.stack([jax.random.normal(jax.random.fold_in(key, i)) for key in keys])
            for i in range(3)
        ]
    )
    assert_trees_close(jax.vmap(draws)(kwargs["keys"]), folded, rtol=1e-6)


def test_one_key_an_example_is_split_like_the_batch():
    keys = jax.random.split(jax.random.key(3), 6)
    (_, grouped), _ = recorded(ROWS, keys, num_groups=3)
    expected = draws(keys).reshape(3, 2)
    assert_trees_close(jax.vmap(draws)(grouped), expected, rtol=1e-6)


def test_one_group_gets_its_arguments_unchanged():
    key = jax.random.key(3)
    transformed = asam_jax.value_and_grad(recording_loss, rho=0.1, has_aux=True)
    (_, ((rows, same_key), kwargs)), _ = transformed(W, ROWS, key, name="kept")
    assert rows is ROWS
    assert same_key is key
    assert kwargs == {"name": "kept"}


@pytest.mark.parametrize("num_groups", [1, 2])
def test_both_passes_draw_the_same_mask(num_groups):
    # eps and the gradient live where the mask is True: in the second pass another mask
    # would find weights that have not moved.
    def loss_fn(params, rows, key):
        mask = jax.random.bernoulli(key, 0.5, params["kernel"].shape)
        loss = jnp.sum(jnp.where(mask, params["kernel"] ** 2, 0)) + 0 * jnp.sum(rows)
        return loss, mask

    params = {"kernel": jnp.ones(20)}
    transformed = asam_jax.value_and_grad(
        loss_fn,
        rho=0.5,
        normalization=asam_jax.identity(),
        has_aux=True,
        num_groups=num_groups,
    )
    (_, masks), grads = jax.jit(transformed)(params, ROWS, jax.random.key(0))
    masks = np.reshape(masks, (num_groups, 20))
    assert np.all(masks.any(axis=1)) and not masks.all()
    risen = 1 + 0.5 / np.sqrt(masks.sum(axis=1, keepdims=True))
    expected = jnp.float32(np.mean(np.where(masks, 2 * risen, 0), axis=0))
    assert_trees_close(grads, {"kernel": expected}, rtol=1e-6)


@pytest.mark.parametrize("num_groups", [1, 2])
def test_half_precision_is_perturbed_in_float32_and_gets_its_gradients_back(num_groups):
    params = {"kernel": jnp.ones(2, jnp.bfloat16), "bias": jnp.ones(2)}
    seen = []

    def loss_fn(params, rows):
        seen.append(params["kernel"].dtype)
        return jnp.sum(params["kernel"].astype(jnp.float32) * params["bias"] * rows[0])

    _, grads = asam_jax.value_and_grad(loss_fn, rho=0.1, num_groups=num_groups)(
        params, ROWS
    )
    assert seen == [jnp.bfloat16, jnp.float32]
    assert {name: leaf.dtype for name, leaf in grads.items()} == {
        "kernel": jnp.bfloat16,
        "bias": jnp.float32,
    }
