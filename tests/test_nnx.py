"""Flax NNX: the state of a model moves once a step, in the clean pass."""

import functools

import chex
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.nnx import filterlib

import asam_jax
import asam_jax.nnx

assert_close = functools.partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)

INPUTS = jax.random.normal(jax.random.key(0), (8, 4))
RHO, LEARNING_RATE = 0.5, 0.1


class Model(nnx.Module):
    """A perceptron with BatchNorm and dropout."""

    def __init__(self, dtype):
        rngs = nnx.Rngs(params=0, dropout=1)
        self.hidden = nnx.Linear(4, 8, param_dtype=dtype, rngs=rngs)
        self.norm = nnx.BatchNorm(8, param_dtype=dtype, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(8, 1, param_dtype=dtype, rngs=rngs)

    def __call__(self, x):
        return self.head(self.dropout(nnx.relu(self.norm(self.hidden(x)))))


@functools.cache
def initial_model(dtype):
    return Model(dtype)


def make_model(dtype=jnp.float32):
    return nnx.clone(initial_model(dtype))


def loss_fn(model, inputs):
    return jnp.mean((model(inputs) - 1) ** 2)


def loss_and_aux(model, inputs):
    loss = loss_fn(model, inputs)
    return loss, {"loss": loss}


def make_optimizer(model, rho=RHO, wrt: filterlib.Filter = nnx.Param):
    tx = optax.chain(asam_jax.asam(rho), optax.sgd(LEARNING_RATE))
    return nnx.Optimizer(model, tx, wrt=wrt)


def train_step(model, optimizer, inputs):
    grad_fn = asam_jax.nnx.grad_fn(loss_fn, model, inputs)
    loss, grads = nnx.value_and_grad(loss_fn)(model, inputs)
    optimizer.update(model, grads, grad_fn=grad_fn)
    return loss


def gradient(model, inputs=INPUTS):
    """The gradient of the clean pass, which moves the model's state."""
    return jax.device_get(nnx.jit(nnx.grad(loss_fn))(model, inputs))


def state_beside_params(model):
    return nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.Param)))


def test_statistics_and_counters_move_once_and_in_the_clean_pass():
    model, clean = make_model(), make_model()
    initial = state_beside_params(clean)
    optimizer = make_optimizer(model)
    step, forward = nnx.jit(train_step), nnx.jit(loss_fn)
    for _ in range(2):
        # The clean copy sees the same parameters, and no second pass.
        nnx.update(clean, nnx.state(model, nnx.Param))
        expected_loss = forward(clean, INPUTS)
        loss = step(model, optimizer, INPUTS)
        assert_close(loss, expected_loss)
    moved = state_beside_params(model)
    assert_close(moved["norm"], state_beside_params(clean)["norm"])
    chex.assert_trees_all_equal(
        moved["dropout"]["rngs"]["count"], initial["dropout"]["rngs"]["count"] + 2
    )


def test_both_passes_draw_the_same_dropout_mask():
    model = make_model()
    params = nnx.state(model, nnx.Param)
    grad_fn = jax.jit(asam_jax.nnx.grad_fn(loss_fn, model, INPUTS))
    first = gradient(model)
    assert_close(grad_fn(params), first)
    # A snapshot from after the clean pass would draw another mask.
    late = jax.jit(asam_jax.nnx.grad_fn(loss_fn, model, INPUTS))(params)
    difference = optax.tree.norm(optax.tree.sub(late, first))
    assert difference > 0.1 * optax.tree.norm(first)


def test_at_rho_zero_the_step_is_the_plain_one():
    model, plain = make_model(), make_model()
    nnx.jit(train_step)(model, make_optimizer(model, rho=0.0), INPUTS)
    descended = optax.tree.add_scale(
        nnx.state(plain, nnx.Param), -LEARNING_RATE, gradient(plain)
    )
    assert_close(nnx.state(model, nnx.Param), descended)


def test_the_gradient_function_leaves_the_model_alone():
    model = make_model()
    before = jax.device_get(nnx.state(model, nnx.Not(nnx.RngKey)))
    grad_fn = asam_jax.nnx.grad_fn(loss_fn, model, INPUTS)
    jax.jit(grad_fn)(nnx.state(model, nnx.Param))
    after = jax.device_get(nnx.state(model, nnx.Not(nnx.RngKey)))
    chex.assert_trees_all_equal(after, before)


def test_aux_is_dropped():
    model = make_model()
    params = nnx.state(model, nnx.Param)
    with_aux = asam_jax.nnx.grad_fn(loss_and_aux, model, INPUTS, has_aux=True)
    without = asam_jax.nnx.grad_fn(loss_fn, model, INPUTS)
    assert_close(jax.jit(with_aux)(params), jax.jit(without)(params))


def test_a_part_of_the_parameters_can_be_trained():
    model = make_model()
    frozen = jax.device_get(nnx.state(model.hidden))
    head = jax.device_get(nnx.state(model.head))
    wrt = nnx.All(nnx.Param, nnx.PathContains("head"))
    optimizer = make_optimizer(model, wrt=wrt)

    @nnx.jit
    def step(model, optimizer):
        grad_fn = asam_jax.nnx.grad_fn(loss_fn, model, INPUTS, wrt=wrt)
        grads = nnx.grad(loss_fn, argnums=nnx.DiffState(0, wrt))(model, INPUTS)
        optimizer.update(model, grads, grad_fn=grad_fn)

    step(model, optimizer)
    chex.assert_trees_all_equal(jax.device_get(nnx.state(model.hidden)), frozen)
    moved = optax.tree.sub(jax.device_get(nnx.state(model.head)), head)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(moved))


def test_a_bfloat16_model_is_perturbed_in_float32_and_stays_bfloat16():
    model = make_model(jnp.bfloat16)
    optimizer = make_optimizer(model)
    seen = []

    @nnx.jit
    def step(model, optimizer):
        grad_fn = asam_jax.nnx.grad_fn(loss_fn, model, INPUTS)
        grads = nnx.grad(loss_fn)(model, INPUTS)

        def recording(params):
            seen.append({leaf.dtype for leaf in jax.tree.leaves(params)})
            return grad_fn(params)

        optimizer.update(model, grads, grad_fn=recording)

    before = jax.device_get(nnx.state(model, nnx.Param))
    step(model, optimizer)
    after = jax.device_get(nnx.state(model, nnx.Param))
    assert seen == [{jnp.dtype("float32")}]
    chex.assert_trees_all_equal_shapes_and_dtypes(after, before)
    assert {leaf.dtype for leaf in jax.tree.leaves(after)} == {jnp.dtype("bfloat16")}
    assert any(
        jnp.any(new != old)
        for new, old in zip(
            jax.tree.leaves(after), jax.tree.leaves(before), strict=True
        )
    )


class RngsAtCall(nnx.Module):
    """A perceptron whose random stream is an argument."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.hidden = nnx.Linear(4, 8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5)
        self.head = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x, rngs):
        return self.head(self.dropout(nnx.relu(self.hidden(x)), rngs=rngs))


def test_random_streams_and_metrics_may_be_arguments_of_the_loss():
    def loss_fn(model, inputs, metric, rngs):
        loss = jnp.mean((model(inputs, rngs) - 1) ** 2)
        metric.update(values=loss)
        return loss

    @nnx.jit
    def gradients(model, metric, rngs):
        grad_fn = asam_jax.nnx.grad_fn(loss_fn, model, INPUTS, metric, rngs=rngs)
        clean = nnx.grad(loss_fn)(model, INPUTS, metric, rngs)
        params = nnx.state(model, nnx.Param)
        return clean, grad_fn(params), grad_fn(params)

    metric, rngs = nnx.metrics.Average(), nnx.Rngs(dropout=1)
    clean, first, second = gradients(RngsAtCall(), metric, rngs)
    assert_close(first, clean)  # the same dropout mask, at the same parameters
    assert_close(second, clean)
    assert int(rngs.dropout.count[...]) == 1
    assert int(metric.count[...]) == 1
