"""Whole training runs against the NumPy reference, leaf by leaf."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import asam_jax

from . import reference
from .assertions import assert_leaves_close, assert_trees_close
from .problems import batches, cast, conv_net, conv_net_loss, mlp, mlp_loss

STEPS = 20
SGD = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 5e-3}
BATCHES = batches(seed=1, count=STEPS, shape=(8, 6, 6, 4))
TOLERANCES = {"float64": 1e-9, "float32": 1e-3}

IDENTITY = {"operator": "identity", "eta": 0.0}
ELEMENTWISE = {"operator": "elementwise", "eta": 0.01}
FILTERWISE = {"operator": "filterwise", "eta": 0.02}

filterwise = asam_jax.filterwise(eta=0.02)
CASES = {
    "sam": (asam_jax.sam(rho=0.1), {"rho": 0.1, "p": 2, **IDENTITY}),
    "sam-inf": (
        asam_jax.sam(rho=0.01, p=jnp.inf),
        {"rho": 0.01, "p": np.inf, **IDENTITY},
    ),
    "elementwise": (asam_jax.asam(), {"rho": 0.5, "p": 2, **ELEMENTWISE}),
    "elementwise-inf": (
        asam_jax.asam(rho=0.05, eta=0.1, p=jnp.inf),
        {"rho": 0.05, "p": np.inf, **ELEMENTWISE, "eta": 0.1},
    ),
    "filterwise": (
        asam_jax.asam(rho=0.3, normalization=filterwise),
        {"rho": 0.3, "p": 2, **FILTERWISE},
    ),
    "filterwise-inf": (
        asam_jax.asam(rho=0.02, normalization=filterwise, p=jnp.inf),
        {"rho": 0.02, "p": np.inf, **FILTERWISE},
    ),
    "schedule-and-mask": (
        asam_jax.asam(
            rho=optax.piecewise_constant_schedule(0.5, {STEPS // 2: 0.25}),
            mask=lambda path, leaf: path[0].key != "norm",
        ),
        {
            "rho": np.repeat([0.5, 0.125], STEPS // 2),
            "p": 2,
            "unperturbed": {"norm/scale", "norm/bias"},
            **ELEMENTWISE,
        },
    ),
}


clean_gradient = jax.jit(jax.grad(conv_net_loss, has_aux=True))


def sgd():
    return optax.chain(
        optax.add_decayed_weights(SGD["weight_decay"]),
        optax.sgd(SGD["learning_rate"], SGD["momentum"]),
    )


def reference_run(settings):
    """The reference's parameters after the last step, and its running statistics."""
    settings = {**SGD, **settings}
    radii = np.broadcast_to(settings.pop("rho"), STEPS)
    params, model_state = conv_net(seed=0)

    def gradient_on(batch):
        def gradient(flat):
            params = cast(reference.unflatten(flat), "float64")
            return reference.flatten(clean_gradient(params, model_state, batch)[0])

        return gradient

    with jax.enable_x64(True):
        model_state, data = cast((model_state, BATCHES), "float64")
        gradients = [gradient_on(batch) for batch in data]
        trajectory = reference.train(
            reference.flatten(params), gradients, radii, **settings
        )
        for flat, batch in zip(trajectory[:-1], data, strict=True):
            params = cast(reference.unflatten(flat), "float64")
            model_state = clean_gradient(params, model_state, batch)[1]
    return reference.unflatten(trajectory[-1]), model_state


def run(step, optimizer, dtype):
    """The parameters and running statistics after the same steps by the library."""
    with jax.enable_x64(dtype == "float64"):
        params, model_state = cast(conv_net(seed=0), dtype)
        opt_state = optimizer.init(params)
        for batch in cast(BATCHES, dtype):
            params, opt_state, model_state = step(params, opt_state, model_state, batch)
    assert {str(x.dtype) for x in jax.tree.leaves((params, model_state))} == {dtype}
    return params, model_state


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_of_a_chain_are_those_of_the_reference(name):
    ascent, settings = CASES[name]
    optimizer = optax.chain(ascent, sgd())

    def step(params, opt_state, model_state, batch):  # only its gradient is compiled
        def grad_fn(perturbed):
            return clean_gradient(perturbed, model_state, batch)[0]

        grads, new_model_state = clean_gradient(params, model_state, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params, grad_fn=grad_fn)
        return optax.apply_updates(params, updates), opt_state, new_model_state

    expected = reference_run(settings)
    for dtype, tol in TOLERANCES.items():
        assert_leaves_close(run(step, optimizer, dtype), expected, tol=tol)


def test_twenty_compiled_steps_of_value_and_grad_are_those_of_the_reference():
    optimizer = sgd()
    ascended = asam_jax.value_and_grad(conv_net_loss, rho=0.5, has_aux=True)

    @jax.jit
    def step(params, opt_state, model_state, batch):
        (_, model_state), grads = ascended(params, model_state, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, model_state

    expected = reference_run(CASES["elementwise"][1])
    for dtype, tol in TOLERANCES.items():
        assert_leaves_close(run(step, optimizer, dtype), expected, tol=tol)


def test_sam_agrees_with_optax_contrib_sam():
    # Compared where that one is sound: float32, no zero gradient, opaque mode.
    def run(optimizer):
        @jax.jit
        def step(params, opt_state, batch):
            gradient = jax.grad(mlp_loss)
            updates, opt_state = optimizer.update(
                gradient(params, batch),
                opt_state,
                params,
                grad_fn=lambda perturbed, *_: gradient(perturbed, batch),
            )
            return optax.apply_updates(params, updates), opt_state

        params = cast(mlp(seed=0, sizes=(4, 5, 4), use_bias=True), "float32")
        opt_state = optimizer.init(params)
        for batch in cast(batches(seed=2, count=10, shape=(8, 4)), "float32"):
            params, opt_state = step(params, opt_state, batch)
        return params

    ascent = optax.chain(optax.contrib.normalize(), optax.sgd(0.1))
    theirs = run(optax.contrib.sam(sgd(), ascent, opaque_mode=True))
    ours = run(optax.chain(asam_jax.sam(rho=0.1), sgd()))
    assert_trees_close(ours, theirs, rtol=1e-4, atol=1e-6)
