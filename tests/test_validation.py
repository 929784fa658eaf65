"""Bad input is an error that says what to do, before anything runs on a device."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import asam_jax

PARAMS = {"kernel": np.ones((2, 3), np.float32), "bias": np.ones(3, np.float32)}
BATCH = np.ones((4, 2), np.float32)
STATE = asam_jax.AscentState(np.int32(0))


@pytest.fixture(autouse=True)
def _no_device():
    """The arrays here are NumPy's: any use of a device would be another error."""
    with jax.transfer_guard("disallow"):
        yield


def raises(error, *words):
    """Expects an error of exactly this type with all of `words` in its message."""
    match = "(?s)" + "".join(f"(?=.*{re.escape(word)})" for word in words)
    return pytest.raises(error, match=match)


def update(optimizer: Any = None, params: Any = PARAMS, grads: Any = None, **extra):
    optimizer = optimizer or asam_jax.asam()
    extra = {"grad_fn": lambda p: p} | extra
    grads = params if grads is None else grads
    return optimizer.update(grads, STATE, params, **extra)


def traced_update(grad_fn, params: Any = PARAMS):
    """An update as `jax.jit` traces it: its values exist as shapes only."""
    return jax.eval_shape(lambda params: update(params=params, grad_fn=grad_fn), params)


def loss_fn(params, inputs):
    return jnp.mean((inputs @ params["kernel"] + params["bias"][None]) ** 2)


def test_the_guard_would_notice_work_on_a_device():
    with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed"):
        jnp.abs(PARAMS["bias"])


NOT_A_SIZE = [-0.1, -1, float("nan"), float("inf"), np.float32(-0.5)]
TAKES_RHO = {
    "asam": lambda rho: asam_jax.asam(rho=rho),
    "sam": lambda rho: asam_jax.sam(rho=rho),
    "perturbation": lambda rho: asam_jax.perturbation(PARAMS, PARAMS, rho),
    "value_and_grad": lambda rho: asam_jax.value_and_grad(loss_fn, rho=rho),
}
TAKES_ETA = {
    "asam": lambda eta: asam_jax.asam(eta=eta),
    "elementwise": lambda eta: asam_jax.elementwise(eta),
    "filterwise": lambda eta: asam_jax.filterwise(eta),
}
TAKES_P = {
    "asam": lambda p: asam_jax.asam(p=p),
    "sam": lambda p: asam_jax.sam(p=p),
    "perturbation": lambda p: asam_jax.perturbation(PARAMS, PARAMS, 0.5, p=p),
    "value_and_grad": lambda p: asam_jax.value_and_grad(loss_fn, rho=0.5, p=p),
}


@pytest.mark.parametrize("name", TAKES_RHO)
@pytest.mark.parametrize("rho", NOT_A_SIZE)
def test_rho_is_finite_and_not_negative(name, rho):
    with raises(ValueError, f"rho must be finite and >= 0, got {rho}"):
        TAKES_RHO[name](rho)


@pytest.mark.parametrize("name", TAKES_ETA)
@pytest.mark.parametrize("eta", NOT_A_SIZE)
def test_eta_is_finite_and_not_negative(name, eta):
    with raises(ValueError, f"eta must be finite and >= 0, got {eta}"):
        TAKES_ETA[name](eta)


@pytest.mark.parametrize("rho", [None, "0.5", 1j])
def test_rho_is_a_number(rho):
    with raises(TypeError, "rho must be a number or an array"):
        asam_jax.asam(rho=rho)


@pytest.mark.parametrize("name", ["perturbation", "value_and_grad"])
def test_a_schedule_of_rho_needs_a_step(name):
    with raises(TypeError, "rho must be a number or an array"):
        TAKES_RHO[name](optax.linear_schedule(0.5, 0.0, 10))


@pytest.mark.parametrize("name", TAKES_P)
@pytest.mark.parametrize("p", [1, 3.0, "2", None, -np.inf])
def test_p_is_two_or_infinity(name, p):
    with raises(ValueError, "p must be 2 or jax.numpy.inf"):
        TAKES_P[name](p)


@pytest.mark.usefixtures("_devices_allowed")
def test_an_injected_p_is_named_as_a_static_argument():
    optimizer = optax.inject_hyperparams(asam_jax.asam)(rho=0.5)
    with raises(ValueError, "p must be 2", 'static_args=("p", "normalization"'):
        optimizer.init(PARAMS)


@pytest.fixture
def _devices_allowed(_no_device):
    """Optax itself puts the hyperparameters on a device."""
    with jax.transfer_guard("allow"):
        yield


def test_grad_fn_is_required():
    with raises(TypeError, "needs grad_fn", "grad_fn=lambda p: jax.grad(loss_fn)"):
        update(grad_fn=None)


def test_params_are_required():
    with raises(ValueError, "needs the parameters", "update(grads, opt_state, params"):
        asam_jax.asam().update(PARAMS, STATE, grad_fn=lambda p: p)


@pytest.mark.parametrize(
    "grad_fn",
    [
        lambda p: (jnp.float32(0), p),
        lambda p: (p, {"aux": jnp.float32(0)}),
        lambda p: (p,),
    ],
    ids=["value", "aux", "argnums"],
)
def test_grad_fn_returns_gradients_only(grad_fn):
    words = "returns gradients only: jax.grad(loss_fn)", "without aux"
    with raises(ValueError, "grad_fn(params) must have the structure", *words):
        traced_update(grad_fn)


@pytest.mark.parametrize(
    "grad_fn",
    [
        lambda p: None,
        lambda p: 1.0,
        lambda p: {"kernel": p["kernel"]},
        lambda p: list(p.values()),
    ],
    ids=["None", "number", "part", "list"],
)
def test_gradients_have_the_structure_of_params(grad_fn):
    with raises(ValueError, "grad_fn(params) must have the structure", "params: Py"):
        traced_update(grad_fn)


def test_gradients_have_the_shapes_of_params():
    words = "grad_fn(params)['kernel'] has shape (3,)", "parameter has shape (2, 3)"
    with raises(ValueError, *words):
        traced_update(lambda p: p | {"kernel": p["kernel"][0]})


def test_incoming_gradients_have_the_shapes_of_params():
    words = "updates['kernel'] has shape (3,)", "parameter has shape (2, 3)"
    with raises(ValueError, *words):
        update(grads=PARAMS | {"kernel": PARAMS["bias"]})


def test_incoming_gradients_have_the_structure_of_params():
    with raises(ValueError, "updates must have the structure of params"):
        update(grads={"kernel": PARAMS["kernel"]})


def test_an_error_in_grad_fn_gets_a_note_on_what_it_was_called_with():
    def grad_fn(params):
        raise KeyError("encoder")

    with pytest.raises(KeyError, match="encoder") as caught:
        traced_update(grad_fn)
    (note,) = [n for n in caught.value.__notes__ if n.startswith("asam_jax")]
    assert "called grad_fn with w + eps" in note
    assert "'kernel'" in note and "put it after the ascent" in note


HIDDEN = PARAMS | {"bias": optax.MaskedNode()}


@pytest.mark.parametrize(
    "use",
    [
        lambda: asam_jax.asam().init(HIDDEN),
        lambda: update(params=HIDDEN),
        lambda: asam_jax.perturbation(HIDDEN, HIDDEN, rho=0.5),
    ],
    ids=["init", "update", "perturbation"],
)
def test_parameters_that_a_wrapper_has_hidden(use):
    with raises(ValueError, "optax.masked", "use `mask=`", "after the ascent"):
        use()


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


def ascend(*args, **kwargs):
    """`value_and_grad` in groups, as far as the checks of its arguments."""
    return asam_jax.value_and_grad(loss_fn, rho=0.5, **kwargs)(PARAMS, *args)


@pytest.mark.parametrize("num_groups", [3, 8])
def test_groups_divide_the_batch(num_groups):
    words = f"num_groups={num_groups} does not divide the batch of 4 examples"
    with raises(ValueError, words):
        ascend(BATCH, num_groups=num_groups)


@pytest.mark.parametrize("num_groups", [0, -1])
def test_there_is_a_group(num_groups):
    with raises(ValueError, "num_groups must be at least 1"):
        ascend(BATCH, num_groups=num_groups)


def test_an_empty_batch_has_no_groups():
    with raises(ValueError, "does not divide the batch of 0 examples"):
        ascend(BATCH[:0], num_groups=2)


@pytest.mark.parametrize(
    "args",
    [(BATCH, np.float32(0.1)), (BATCH, BATCH[:2]), ()],
    ids=["scalar", "lengths", "nothing"],
)
def test_arguments_that_are_no_batch_are_told_by_batch_argnums(args):
    with raises(ValueError, "name", "batch_argnums"):
        ascend(*args, num_groups=2)


@pytest.mark.parametrize("batch_argnums", [0, 2, -1, (1, 2)])
def test_batch_argnums_count_the_arguments_after_params(batch_argnums):
    with raises(ValueError, "positional arguments after params, 1 to 1"):
        ascend(BATCH, num_groups=2, batch_argnums=batch_argnums)


def test_an_axis_that_is_not_bound():
    with raises(ValueError, "'data'", "not bound", "jax.shard_map", "axis_name=None"):
        update(asam_jax.asam(axis_name="data"))


def test_a_gradient_that_was_summed_over_the_axis():
    mesh = jax.sharding.AbstractMesh(
        (8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,)
    )
    optimizer = asam_jax.asam(axis_name="data")

    def step(params, inputs):
        grad_fn = jax.grad(lambda p: loss_fn(p, inputs))
        return update(optimizer, params, grad_fn(params), grad_fn=grad_fn)[0]

    sharded = jax.shard_map(
        step,
        mesh=mesh,
        in_specs=(jax.P(), jax.P("data")),
        out_specs=jax.P(),
    )
    words = "already summed over the axis 'data'", "jax.lax.pcast(params, 'data'"
    with raises(ValueError, *words, "leave axis_name=None"):
        jax.eval_shape(sharded, PARAMS, np.ones((8, 2), np.float32))
