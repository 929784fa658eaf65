"""Masks, rules and scales that do not fit the parameters are errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax
from tests.validation import BATCH, PARAMS, loss_fn, raises, update

pytestmark = pytest.mark.usefixtures("no_device")


@pytest.mark.parametrize("params", [{}, [], None, {"layer": {}}])
def test_a_tree_without_leaves(params):
    with raises(ValueError, "nothing to perturb", "params has no leaves"):
        asam_jax.perturbation(params, params, rho=0.5)


@pytest.mark.parametrize("mask", [False, lambda path, leaf: leaf.ndim > 4])
def test_a_mask_that_leaves_nothing(mask):
    with raises(ValueError, "nothing to perturb", "`mask` leaves all parameters out"):
        update(asam_jax.asam(mask=mask))


def test_integer_parameters_have_to_be_masked_out():
    params = PARAMS | {"table": np.arange(3)}
    words = "params['table'] is int32", "`mask=lambda path, leaf: jnp.issubdtype"
    with raises(TypeError, *words):
        update(params=params)


def test_masked_out_the_integer_parameters_are_no_error():
    params = PARAMS | {"table": np.arange(3)}
    optimizer = asam_jax.asam(
        mask=lambda path, leaf: jnp.issubdtype(leaf.dtype, jnp.inexact)
    )

    def step(params):
        grad_fn = jax.grad(lambda p: loss_fn(p, BATCH), allow_int=True)
        return update(optimizer, params, grad_fn(params), grad_fn=grad_fn)[0]

    assert jax.eval_shape(step, params)["table"].dtype == jax.dtypes.float0


def test_a_mask_that_is_traced():
    def step(keep):
        return update(asam_jax.asam(mask={"kernel": keep, "bias": True}))

    with raises(
        TypeError, "one Python boolean a leaf, fixed when the step is compiled"
    ):
        jax.eval_shape(step, True)


@pytest.mark.parametrize(
    "mask",
    [
        {"kernel": np.ones((2, 3), bool), "bias": True},
        lambda path, leaf: leaf > 0,
    ],
)
def test_a_mask_that_is_an_array(mask):
    with raises(TypeError, "one Python boolean a leaf"):
        update(asam_jax.asam(mask=mask))


@pytest.mark.parametrize(
    "mask",
    [
        "kernel",
        {"kernel": "yes", "bias": True},
        {"kernel": 0.3, "bias": True},
        lambda path, leaf: None,
        lambda path, leaf: True if leaf.ndim == 2 else None,
    ],
    ids=["name", "string", "number", "None", "sometimes None"],
)
def test_a_mask_that_is_not_boolean(mask):
    with raises(TypeError, "one Python boolean a leaf"):
        jax.eval_shape(lambda p: update(asam_jax.asam(mask=mask), p), PARAMS)


def test_a_mask_of_the_whole_tree_as_optax_has_it():
    with pytest.raises(TypeError) as caught:
        update(asam_jax.asam(mask=lambda params: jax.tree.map(lambda _: True, params)))
    (note,) = caught.value.__notes__
    assert "where(path, leaf)" in note and "Optax" in note


@pytest.mark.parametrize(
    "mask",
    [{"kernel": True}, {"weight": True, "bias": True}, [True, True]],
    ids=["part", "names", "list"],
)
def test_a_mask_that_does_not_fit(mask):
    with raises(ValueError, "structure of the parameters or of a prefix", "'kernel'"):
        update(asam_jax.asam(mask=mask))


def test_a_where_that_does_not_fit():
    with raises(ValueError, "structure of the parameters or of a prefix", "'kernel'"):
        asam_jax.elementwise(where={"weight": True})(PARAMS)


@pytest.mark.parametrize(
    ("normalization", "words"),
    [
        (lambda p: p["kernel"], ("must return a tree with the structure of params",)),
        (lambda p: [], ("must return a tree with the structure of params",)),
        (
            lambda p: p | {"kernel": jnp.ones((4, 3))},
            ("the scale at ['kernel'] has shape (4, 3)", "does not broadcast"),
        ),
        (
            lambda p: p | {"bias": jnp.ones((1, 1, 3))},
            ("the scale at ['bias'] has shape (1, 1, 3)", "parameter's (3,)"),
        ),
    ],
    ids=["leaf", "list", "shape", "axes"],
)
def test_the_scales_of_a_normalization_fit_the_parameters(normalization, words):
    optimizer = asam_jax.asam(normalization=normalization)
    with raises(ValueError, *words):
        jax.eval_shape(lambda params: update(optimizer, params), PARAMS)
