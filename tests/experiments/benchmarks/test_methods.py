"""The steps that are timed do what their names say, all on the same batch."""

import functools

import jax
import numpy as np
import pytest

from experiments.benchmarks.methods import (
    ETA,
    LEARNING_RATE,
    LIKE_FOR_LIKE,
    MOMENTUM,
    RHO,
    init_state,
    jax_methods,
    make_step,
)
from experiments.benchmarks.problems import PROBLEMS, mlp_problem, resnet_problem
from experiments.benchmarks.steps import compile_step, num_parameters
from tests import reference

PROBLEM = mlp_problem((8,), batch_size=4)
NUM_STEPS = 3


@functools.cache
def trained(name):
    """The change of the parameters after three steps."""
    method = jax_methods()[name]
    state = init_state(PROBLEM, method)
    before = reference.flatten(_named(state.params))
    step = jax.jit(make_step(PROBLEM, method))
    for _ in range(NUM_STEPS * method.calls):
        state, _ = step(state, PROBLEM.batch)
    after = reference.flatten(_named(state.params))
    return {name: after[name] - before[name] for name in before}


def _named(params):
    return {"layers": {str(i): layer for i, layer in params["layers"].items()}}


def assert_close(found, expected):
    for name, change in expected.items():
        np.testing.assert_allclose(found[name], change, rtol=1e-4, atol=2e-7)


def test_plain_and_adaptive_steps_differ_by_more_than_that():
    for name in ("SGD", "ASAM, asam_jax"):
        found, sam = trained(name), trained("SAM, asam_jax")
        assert max(np.abs(found[k] - sam[k]).max() for k in sam) > 1e-5


@pytest.mark.parametrize(("ours", "peer"), LIKE_FOR_LIKE)
def test_the_peer_takes_the_step_that_ours_takes(ours, peer):
    assert_close(trained(peer), trained(ours))


@pytest.mark.parametrize(
    ("name", "operator", "rho"),
    [
        ("SGD", "identity", 0.0),
        ("SGD, in a branch", "identity", 0.0),
        ("SAM, asam_jax", "identity", RHO),
        ("SAM, asam_jax, in a branch", "identity", RHO),
        ("ASAM, asam_jax", "elementwise", 10 * RHO),
    ],
)
def test_steps_are_those_of_the_reference(name, operator, rho):
    params, model_state = PROBLEM.init(jax.random.key(0))

    @jax.jit
    def jax_gradient(params):
        loss_at = lambda p: PROBLEM.loss_fn(p, model_state, PROBLEM.batch)[0]
        return jax.grad(loss_at)(params)

    def gradient(flat):
        layers = reference.unflatten(flat)["layers"]
        tree = {"layers": {int(i): layer for i, layer in layers.items()}}
        tree = jax.tree.map(lambda x: np.asarray(x, np.float32), tree)
        return reference.flatten(_named(jax_gradient(tree)))

    first, *_, last = reference.train(
        reference.flatten(_named(params)),
        [gradient] * NUM_STEPS,
        [rho] * NUM_STEPS,
        operator=operator,
        eta=ETA,
        p=2,
        learning_rate=LEARNING_RATE,
        momentum=MOMENTUM,
        weight_decay=0.0,
    )
    assert_close(trained(name), {k: last[k] - first[k] for k in first})


def test_without_copies_optax_transparent_mode_cannot_donate_its_state():
    method = jax_methods()["SAM, optax transparent"]
    params, _ = PROBLEM.init(jax.random.key(0))
    opt_state = method.optimizer.init(params)
    advance = jax.jit(lambda *trees: trees, donate_argnums=(0, 1))
    with pytest.raises(Exception, match="donate the same buffer twice"):
        jax.block_until_ready(advance(params, opt_state))


def test_compiled_step_runs_and_tells_its_cost():
    sgd = compile_step(PROBLEM, jax_methods()["SGD"])
    sam = compile_step(PROBLEM, jax_methods()["SAM, asam_jax"])
    sam.run(2)
    # Weights and biases, with their momentum; SAM's state has one counter more.
    num = num_parameters(PROBLEM)
    assert num == 784 * 8 + 8 + 8 * 10 + 10
    assert sgd.facts["persistent_bytes"] == 4 * 2 * num
    assert sam.facts["persistent_bytes"] == 4 * 2 * num + 4
    assert 1.8 < sam.facts["flops"] / sgd.facts["flops"] < 2.5  # so small a net


@pytest.mark.parametrize("name", PROBLEMS)
def test_losses_are_scalars(name):
    problem = PROBLEMS[name]()
    state = jax.eval_shape(problem.init, jax.random.key(0))
    loss, _ = jax.eval_shape(problem.loss_fn, *state, problem.batch)
    assert loss.shape == ()


def test_sizes_of_the_nets():
    assert num_parameters(mlp_problem()) == 669_706
    assert num_parameters(resnet_problem()) == 78_042
