"""What a step sends between eight devices, counted in the compiled program.

XLA merges and splits its collectives at will, so what is compared is the multiset of
the arrays that they reduce and gather. In each net all parameters differ in shape.
"""

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import asam_jax
from experiments.benchmarks.collectives import Collective, collectives
from tests import nets

SCALAR = ()
DESCENT = optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(0.1, momentum=0.9))


def convolutional_loss(params, images, targets):
    x = images
    for kernel in (params["first"], params["second"]):
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x)
    return jnp.mean((jnp.mean(x, (1, 2)) @ params["head"] - targets) ** 2)


def floats(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


# Loss, parameters and batch.
PROBLEMS = {
    "dense": (
        nets.mlp_loss,
        jax.eval_shape(lambda: nets.init_mlp(jax.random.key(0), (16, 24, 32, 8))),
        (floats(32, 16), floats(32, 8)),
    ),
    "convolutional": (
        convolutional_loss,
        {
            "first": floats(3, 3, 4, 8),
            "second": floats(3, 3, 8, 16),
            "head": floats(16, 8),
        },
        (floats(32, 6, 6, 4), floats(32, 8)),
    ),
}


def data_mesh() -> Mesh:
    return jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))


def chained(loss_fn, optimizer, cast=lambda params: params):
    """A step that hands the optimizer its `grad_fn`."""

    def step(params, opt_state, *batch):
        loss, grads = jax.value_and_grad(loss_fn)(cast(params), *batch)
        updates, opt_state = optimizer.update(
            grads, opt_state, params, grad_fn=lambda p: jax.grad(loss_fn)(p, *batch)
        )
        return optax.apply_updates(params, updates), opt_state, loss

    return optimizer, step


def along(gradient):
    """A step along a gradient that is sharpness-aware already, or plain."""

    def step(params, opt_state, *batch):
        loss, grads = gradient(params, *batch)
        updates, opt_state = DESCENT.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return DESCENT, step


def sgd(loss_fn):
    return along(jax.value_and_grad(loss_fn))


def global_by_chain(loss_fn):
    return chained(loss_fn, optax.chain(asam_jax.asam(rho=0.5), DESCENT))


def global_by_gradient(loss_fn):
    return along(asam_jax.value_and_grad(loss_fn, rho=0.5))


def per_device_by_chain(loss_fn):
    ascent = asam_jax.asam(rho=0.5, axis_name="data")
    mean = optax.stateless(lambda grads, params: jax.lax.pmean(grads, "data"))
    optimizer, step = chained(loss_fn, optax.chain(ascent, mean, DESCENT), varying)

    def device_step(params, opt_state, *batch):
        params, opt_state, loss = step(params, opt_state, *batch)
        return params, opt_state, jax.lax.pmean(loss, "data")

    return optimizer, on_each_device(device_step, in_specs=(P(), P(), P("data")))


def per_device_by_gradient(loss_fn):
    ascended = asam_jax.value_and_grad(loss_fn, rho=0.5)

    def gradient(params, *batch):
        return jax.lax.pmean(ascended(varying(params), *batch), "data")

    return along(on_each_device(gradient, in_specs=(P(), P("data"))))


def per_device_by_groups(loss_fn):
    return along(asam_jax.value_and_grad(loss_fn, rho=0.5, num_groups=8))


def varying(params):
    return jax.lax.pcast(params, "data", to="varying")


def on_each_device(step, in_specs):
    *others, batch = in_specs
    return jax.shard_map(
        step, mesh=data_mesh(), in_specs=(*others, batch, batch), out_specs=P()
    )


def whole(leaf):
    del leaf
    return P()


def on_largest_axis(leaf):
    """Fully sharded data parallel, FSDP."""
    if not leaf.shape:
        return P()
    return P(*(None,) * leaf.shape.index(max(leaf.shape)), "data")


def placed(tree, spec):
    mesh = data_mesh()
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(
            x.shape, x.dtype, sharding=NamedSharding(mesh, spec(x))
        ),
        tree,
    )


@functools.cache
def sent(
    problem: str, method: Callable[..., Any], spec: Callable[[Any], P] = whole
) -> list[Collective]:
    """The collectives of a compiled step with the state sharded by `spec`."""
    loss_fn, params, batch = PROBLEMS[problem]
    optimizer, step = method(loss_fn)
    state = placed((params, jax.eval_shape(optimizer.init, params)), spec)
    batch = placed(batch, lambda leaf: P("data"))
    shardings = jax.tree.map(lambda x: x.sharding, state)
    jitted = jax.jit(
        step,
        donate_argnums=(0, 1),
        out_shardings=(*shardings, NamedSharding(data_mesh(), P())),
    )
    return collectives(str(jitted.lower(*state, *batch).compile().as_text()))


def shapes(found: list[Collective], *kinds: str) -> Counter:
    """The arrays that are sent; XLA may have transposed them."""
    return Counter(
        tuple(sorted(array.shape))
        for collective in found
        if collective.kind in kinds
        for array in collective.arrays
    )


def reduced(found: list[Collective]) -> Counter:
    return shapes(found, "all-reduce", "reduce-scatter")


def gathered(found: list[Collective]) -> Counter:
    return shapes(found, "all-gather")


def parameters(problem: str) -> list[tuple[int, ...]]:
    _, params, _ = PROBLEMS[problem]
    return [tuple(sorted(leaf.shape)) for leaf in jax.tree.leaves(params)]


def num_bytes(problem: str) -> int:
    _, params, _ = PROBLEMS[problem]
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_parameters_can_be_told_apart_by_their_shapes(problem):
    assert set(Counter(parameters(problem)).values()) == {1}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_sgd_reduces_its_gradient_and_the_loss(problem):
    found = sent(problem, sgd)
    assert {(c.kind, c.group_size) for c in found} == {("all-reduce", 8)}
    assert reduced(found) == Counter([*parameters(problem), SCALAR])
    assert sum(c.payload_bytes for c in found) == num_bytes(problem) + 4


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", [global_by_chain, global_by_gradient])
def test_global_asam_reduces_one_gradient_more(method, problem):
    found = sent(problem, method)
    assert {(c.kind, c.group_size) for c in found} == {("all-reduce", 8)}
    assert reduced(found) == Counter([*2 * parameters(problem), SCALAR])
    assert sum(c.payload_bytes for c in found) == 2 * num_bytes(problem) + 4
    assert len(found) == len(sent(problem, sgd)) + 1


# Not so the groups of a convolutional net: under vmap their kernels become one grouped
# convolution, for which XLA gathers activations and kernels on a CPU (not on a TPU).
@pytest.mark.parametrize(
    ("problem", "method"),
    [
        ("dense", per_device_by_chain),
        ("dense", per_device_by_gradient),
        ("dense", per_device_by_groups),
        ("convolutional", per_device_by_chain),
        ("convolutional", per_device_by_gradient),
    ],
)
def test_m_sharpness_sends_what_sgd_sends(problem, method):
    found, plain = sent(problem, method), sent(problem, sgd)
    assert {(c.kind, c.group_size) for c in found} == {("all-reduce", 8)}
    assert reduced(found) == reduced(plain)
    assert len(found) == len(plain)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_under_fsdp_global_asam_sends_twice_what_sgd_sends_and_the_scalars_of_a_norm(
    problem,
):
    found, plain = (
        sent(problem, method, on_largest_axis) for method in (global_by_chain, sgd)
    )
    gradient = Counter(parameters(problem))
    assert gathered(plain).keys() == gradient.keys()
    assert gathered(found) == gathered(plain) + gathered(plain)
    scalars = Counter({SCALAR: reduced(found)[SCALAR]})
    assert reduced(plain) == gradient + Counter([SCALAR])
    assert reduced(found) == gradient + gradient + scalars
    # The loss, and for each parameter its sum of squares, twice.
    assert 3 <= scalars[SCALAR] <= 1 + 2 * len(gradient)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_under_fsdp_the_perturbed_parameters_stay_sharded(problem):
    loss_fn, params, batch = PROBLEMS[problem]

    def perturbed(params, *batch):
        grads = jax.grad(loss_fn)(params, *batch)
        eps = asam_jax.perturbation(params, grads, rho=0.5)
        return optax.tree.add(params, eps)

    params = placed(params, on_largest_axis)
    batch = placed(batch, lambda leaf: P("data"))
    compiled = jax.jit(perturbed).lower(params, *batch).compile()
    shardings: Any = compiled.output_shardings
    assert jax.tree.map(
        lambda sharding, x: sharding.is_equivalent_to(x.sharding, x.ndim),
        shardings,
        params,
    ) == jax.tree.map(lambda x: True, params)
    found = collectives(str(compiled.as_text()))
    assert gathered(found) == gathered(sent(problem, sgd, on_largest_axis))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_under_fsdp_m_sharpness_gathers_the_parameters_once(problem):
    """Each device perturbs its own whole copy of them, which it has to hold."""
    found = sent(problem, per_device_by_gradient, on_largest_axis)
    assert gathered(found) == Counter(parameters(problem))
    assert reduced(found) == reduced(sent(problem, sgd))
