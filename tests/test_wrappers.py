"""What each wrapper of Optax does with an ascent in it, beside it or around it."""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

import asam_jax
from tests import nets

assert_close = functools.partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)

PARAMS = nets.init_mlp(jax.random.key(0), sizes=(4, 3))
BATCH = nets.regression_batch(jax.random.key(1), 8)
IS_KERNEL = {"layer0": {"kernel": True, "bias": False}}


@jax.jit
def grad_fn(params, batch=BATCH):
    return jax.grad(nets.mlp_loss)(params, *batch)


def ascent():
    return asam_jax.asam(rho=0.5)


def descent():
    return optax.sgd(0.1, momentum=0.9)


def first_update(optimizer: Any, params=PARAMS, **extra_args):
    """The first updates, not compiled: for errors that come before any device runs."""
    grads = jax.tree.map(jnp.ones_like, PARAMS)
    extra_args = {"grad_fn": grad_fn} | extra_args
    return optimizer.update(grads, optimizer.init(params), params, **extra_args)[0]


def take_steps(optimizer, num_steps=3, grad_fn=grad_fn):
    """The parameters after some steps on one batch."""

    @jax.jit
    def step(params, opt_state):
        updates, opt_state = optimizer.update(
            grad_fn(params), opt_state, params, grad_fn=grad_fn
        )
        return optax.apply_updates(params, updates), opt_state

    params, opt_state = PARAMS, optimizer.init(PARAMS)
    for _ in range(num_steps):
        params, opt_state = step(params, opt_state)
    return params


@pytest.fixture(scope="module")
def expected():
    """Three steps of the plain composition."""
    return take_steps(optax.chain(ascent(), descent()))


def test_the_ascent_makes_a_difference_here(expected):
    plain = take_steps(optax.with_extra_args_support(descent()))
    difference = optax.tree.norm(optax.tree.sub(plain, expected))
    assert difference > 0.1 * optax.tree.norm(optax.tree.sub(plain, PARAMS))


STATIC = ("p", "normalization", "mask", "axis_name")


def in_parts(part):
    return optax.partition({"weight": part(), "other": part()}, _labels)


def _labels(params):
    return jax.tree.map(lambda weight: "weight" if weight else "other", IS_KERNEL)


TRANSPARENT = {
    "named_chain": lambda: optax.named_chain(
        ("ascent", ascent()), ("descent", descent())
    ),
    "nested chain": lambda: optax.chain(
        optax.chain(optax.identity(), ascent()), descent()
    ),
    "inject_hyperparams": lambda: optax.chain(
        optax.inject_hyperparams(asam_jax.asam, static_args=STATIC)(rho=0.5), descent()
    ),
    "inject_hyperparams around the chain": lambda: optax.inject_hyperparams(
        lambda rho: optax.chain(asam_jax.asam(rho), descent())
    )(rho=0.5),
    "conditionally_transform": lambda: optax.chain(
        optax.conditionally_transform(ascent(), lambda step, **_: step == step),
        descent(),
    ),
    "with_extra_args_support": lambda: optax.with_extra_args_support(
        optax.chain(ascent(), descent())
    ),
    "apply_if_finite around": lambda: optax.apply_if_finite(
        optax.chain(ascent(), descent()), 3
    ),
    "apply_if_finite after": lambda: optax.chain(
        ascent(), optax.apply_if_finite(descent(), 3)
    ),
    "masked around, hiding nothing": lambda: optax.masked(
        optax.chain(ascent(), descent()), True
    ),
    "masked after": lambda: optax.chain(ascent(), optax.masked(descent(), True)),
    "partition after": lambda: optax.chain(ascent(), in_parts(descent)),
    "flatten after": lambda: optax.chain(ascent(), optax.flatten(descent())),
    "split_real_and_imaginary after": lambda: optax.chain(
        ascent(), optax.contrib.split_real_and_imaginary(descent())
    ),
    "MultiSteps after, of one step": lambda: optax.chain(
        ascent(), optax.MultiSteps(descent(), 1).gradient_transformation()
    ),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_grad_fn_arrives(name, expected):
    assert_close(take_steps(TRANSPARENT[name]()), expected)


HIDING = {
    "masked": lambda: optax.masked(ascent(), IS_KERNEL),
    "partition": lambda: in_parts(ascent),
    "multi_transform": lambda: optax.multi_transform(
        {"weight": ascent(), "other": optax.identity()}, _labels
    ),
}


@pytest.mark.parametrize("name", HIDING)
def test_hidden_parameters_are_an_error_that_offers_mask(name):
    with pytest.raises(ValueError, match=r"use `mask=`, and put the wrapper after"):
        first_update(HIDING[name]())


def test_mask_perturbs_a_part_and_partition_after_it_trains_a_part():
    masked = asam_jax.asam(rho=0.5, mask=IS_KERNEL)
    parts = optax.partition(
        {"weight": descent(), "other": optax.set_to_zero()}, _labels
    )
    whole = take_steps(optax.chain(masked, descent()), num_steps=1)["layer0"]
    part = take_steps(optax.chain(masked, parts), num_steps=1)["layer0"]
    assert_close(part["kernel"], whole["kernel"])
    chex.assert_trees_all_equal(part["bias"], PARAMS["layer0"]["bias"])


def test_flatten_around_the_ascent_breaks_grad_fn_and_a_note_tells_why():
    with pytest.raises(TypeError) as caught:
        first_update(optax.flatten(ascent()))
    way_out = "optax.chain(asam_jax.asam(rho), optax.flatten(...))"
    assert any(way_out in note for note in caught.value.__notes__)


DROPPING = {
    "GradientTransformation": lambda: optax.GradientTransformation(*ascent()),
    "galore": lambda: optax.contrib.galore(1.0, rank=2, base_optimizer=ascent()),
    "lookahead": lambda: optax.lookahead(ascent(), 2, 0.5),
    "MultiSteps.gradient_transformation": lambda: optax.MultiSteps(
        ascent(), 2
    ).gradient_transformation(),
}


def params_for(name):
    return optax.LookaheadParams.init_synced(PARAMS) if name == "lookahead" else PARAMS


@pytest.mark.parametrize("name", DROPPING)
def test_a_dropped_grad_fn_is_an_error_that_tells_the_order(name):
    # A chain hands extra arguments only to those of its elements that declare them.
    optimizer = optax.chain(DROPPING[name](), optax.identity())
    with pytest.raises(TypeError, match="put the ascent outside"):
        first_update(optimizer, params_for(name))


REFUSING = {
    "lookahead": lambda: optax.lookahead(ascent(), 2, 0.5),
    "split_real_and_imaginary": lambda: optax.contrib.split_real_and_imaginary(
        ascent()
    ),
}


@pytest.mark.parametrize("name", REFUSING)
def test_optax_itself_refuses_grad_fn_at_top_level(name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'grad_fn'"):
        first_update(REFUSING[name](), params_for(name))


def test_contrib_sam_refuses_all_extra_arguments_but_its_own():
    optimizer = optax.contrib.sam(
        optax.chain(ascent(), descent()), optax.sgd(0.1), opaque_mode=True
    )
    with pytest.raises(TypeError, match="unexpected keyword argument 'value'"):
        first_update(optimizer, value=1.0)


def test_apply_if_finite_goes_after_the_ascent():
    def diverging(params):
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), params)

    # Around the ascent it looks at the incoming gradient, which is finite.
    around = optax.apply_if_finite(optax.chain(ascent(), descent()), 3)
    updates = first_update(around, grad_fn=diverging)
    assert all(jnp.isnan(leaf).all() for leaf in jax.tree.leaves(updates))
    after = optax.chain(ascent(), optax.apply_if_finite(descent(), 3))
    updates = first_update(after, grad_fn=diverging)
    chex.assert_trees_all_equal(updates, jax.tree.map(jnp.zeros_like, PARAMS))


HALVES = [tuple(x[:4] for x in BATCH), tuple(x[4:] for x in BATCH)]


def accumulate(optimizer, batch_of_grad_fn):
    """One step over the two halves of the batch, from micro-batch to ascent batch."""

    @jax.jit
    def micro_step(params, opt_state, batch):
        updates, opt_state = optimizer.update(
            grad_fn(params, batch),
            opt_state,
            params,
            grad_fn=lambda p: grad_fn(p, batch_of_grad_fn(batch)),
        )
        return optax.apply_updates(params, updates), opt_state

    params, opt_state = PARAMS, optimizer.init(PARAMS)
    for batch in HALVES:
        params, opt_state = micro_step(params, opt_state, batch)
    return params


def sharpness_aware_step(num_groups):
    ascend = jax.jit(
        asam_jax.value_and_grad(nets.mlp_loss, rho=0.5, num_groups=num_groups)
    )
    _, grads = ascend(PARAMS, *BATCH)
    return optax.tree.add_scale(PARAMS, -0.1, grads)


def test_multi_steps_around_the_ascent_climbs_the_batch_and_descends_its_last_part():
    optimizer = optax.MultiSteps(optax.chain(ascent(), optax.sgd(0.1)), 2)
    params = accumulate(optimizer, batch_of_grad_fn=lambda batch: batch)
    ascend = jax.jit(functools.partial(asam_jax.perturbation, rho=0.5))
    perturbed = optax.tree.add(PARAMS, ascend(PARAMS, grad_fn(PARAMS)))
    expected = optax.tree.add_scale(PARAMS, -0.1, grad_fn(perturbed, HALVES[1]))
    assert_close(params, expected)


def test_multi_steps_around_the_ascent_is_the_full_step_if_grad_fn_sees_the_batch():
    optimizer = optax.MultiSteps(optax.chain(ascent(), optax.sgd(0.1)), 2)
    params = accumulate(optimizer, batch_of_grad_fn=lambda batch: BATCH)
    assert_close(params, sharpness_aware_step(num_groups=1))


def test_multi_steps_after_the_ascent_is_m_sharpness_over_the_micro_batches():
    accumulated = optax.MultiSteps(optax.sgd(0.1), 2).gradient_transformation()
    optimizer = optax.chain(ascent(), accumulated)
    params = accumulate(optimizer, batch_of_grad_fn=lambda batch: batch)
    assert_close(params, sharpness_aware_step(num_groups=2))


WHEN = {
    "every fourth step": (lambda step, **_: step % 4 == 0, [0, 4]),
    "from step six": (lambda step, **_: step >= 6, [6, 7]),
}


@pytest.mark.parametrize("name", WHEN)
def test_a_step_without_an_ascent_has_no_second_pass(name):
    should_ascend, expected_steps = WHEN[name]
    optimizer = optax.chain(
        optax.conditionally_transform(ascent(), should_ascend), optax.sgd(0.1)
    )
    second_passes = []

    @jax.jit
    def step(params, opt_state, number):
        def counted(perturbed):
            jax.debug.callback(lambda n: second_passes.append(int(n)), number)
            return grad_fn(perturbed)

        updates, opt_state = optimizer.update(
            grad_fn(params), opt_state, params, grad_fn=counted
        )
        return optax.apply_updates(params, updates), opt_state

    params, opt_state = PARAMS, optimizer.init(PARAMS)
    for number in range(8):
        params, opt_state = step(params, opt_state, number)
    jax.effects_barrier()
    assert second_passes == expected_steps
