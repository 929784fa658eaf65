"""The sweep that Optax runs over its own transformations, over ours."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import asam_jax

assert_close = functools.partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)

FACTORIES = {
    "asam": asam_jax.asam,
    "sam": asam_jax.sam,
    "filterwise": functools.partial(
        asam_jax.asam, normalization=asam_jax.filterwise(eta=0.1)
    ),
    "infinity": functools.partial(asam_jax.asam, p=jnp.inf),
}
STATIC = {
    name: ("p", "mask", "axis_name") + (() if name == "sam" else ("normalization",))
    for name in FACTORIES
}


@pytest.fixture(params=FACTORIES)
def name(request):
    return request.param


@pytest.fixture
def factory(name):
    return FACTORIES[name]


def vector_parabola():
    return jnp.array([-1.0, 10.0, 1.0]), jnp.array([1.0, -1.0, 1.0])


def filter_parabola():
    final = {"kernel": jnp.arange(8.0).reshape(1, 2, 2, 2) - 4, "bias": jnp.ones(2)}
    return jax.tree.map(jnp.zeros_like, final), final


def squared_distance(params, final):
    return optax.tree.norm(optax.tree.sub(params, final), squared=True)


def make_step(optimizer, final, **extra_args):
    """One step towards `final`, the minimum of a parabola."""

    def step(params, opt_state):
        grad_fn = jax.grad(lambda p: squared_distance(p, final))
        updates, opt_state = optimizer.update(
            grad_fn(params), opt_state, params, grad_fn=grad_fn, **extra_args
        )
        return optax.apply_updates(params, updates), opt_state

    return step


def example(dtypes=(jnp.float32, jnp.float32)):
    """Parameters, and gradients that are not proportional to them."""
    params = {
        "kernel": jnp.linspace(-1, 2, 12).reshape(2, 1, 2, 3).astype(dtypes[0]),
        "bias": jnp.linspace(1, 2, 3).astype(dtypes[1]),
    }
    return params, jax.tree.map(lambda w: jnp.cos(3 * w), params)


def grad_of_example(params):
    return jax.tree.map(lambda w: jnp.sin(w) + w, params)


def first_updates(optimizer):
    params, grads = example()
    state = optimizer.init(params)
    return optimizer.update(grads, state, params, grad_fn=grad_of_example)[0]


@pytest.mark.parametrize("parabola", [vector_parabola, filter_parabola])
def test_it_converges(factory, parabola):
    initial, final = parabola()
    # The ascent overshoots the minimum by up to rho, so rho has to vanish.
    optimizer = optax.chain(
        factory(rho=optax.linear_schedule(0.1, 0.0, 900)), optax.sgd(0.1)
    )
    step = make_step(optimizer, final)

    def body(carry, _):
        return step(*carry), None

    (params, _), _ = jax.lax.scan(body, (initial, optimizer.init(initial)), length=1000)
    chex.assert_trees_all_close(params, final, rtol=1e-3, atol=1e-3)


def test_it_ignores_extra_arguments_that_it_does_not_know(factory):
    initial, final = filter_parabola()
    optimizer = optax.chain(factory(rho=0.1), optax.sgd(0.1))
    extra_args = {"value": 1.0, "an_argument_that_nobody_expects": object()}
    arguments = initial, optimizer.init(initial)
    given = jax.make_jaxpr(make_step(optimizer, final, **extra_args))(*arguments)
    plain = jax.make_jaxpr(make_step(optimizer, final))(*arguments)
    assert str(given) == str(plain)


def test_its_neighbours_see_their_extra_arguments(factory):
    initial, final = filter_parabola()
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1, cooldown=0)
    optimizer = optax.chain(factory(rho=0.1), optax.sgd(0.1), plateau)
    step = jax.jit(make_step(optimizer, final, value=jnp.array(1.0)))
    params, opt_state = initial, optimizer.init(initial)
    for _ in range(4):
        params, opt_state = step(params, opt_state)
    assert optax.tree.get(opt_state, "scale") < 1


def test_a_second_call_does_not_trace_again(factory):
    initial, final = filter_parabola()
    optimizer = optax.chain(
        factory(rho=optax.linear_schedule(0.1, 0, 9)), optax.sgd(0.1)
    )
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(make_step(optimizer, final), n=1))
    params, opt_state = initial, jax.jit(optimizer.init)(initial)
    for _ in range(3):
        params, opt_state = step(params, opt_state)


@pytest.mark.parametrize("rho", [0.3, optax.linear_schedule(0.5, 0.1, 4)])
def test_injected_hyperparameters_act_as_given_ones(name, factory, rho):
    params, grads = example()
    inject = optax.inject_hyperparams(factory, static_args=STATIC[name])
    injected, plain = inject(rho=rho), factory(rho=rho)
    update = jax.jit(functools.partial(injected.update, grad_fn=grad_of_example))
    injected_state, state = jax.jit(injected.init)(params), plain.init(params)
    for _ in range(3):
        given, injected_state = update(grads, injected_state, params)
        updates, state = plain.update(grads, state, params, grad_fn=grad_of_example)
        assert_close(given, updates)
        chex.assert_trees_all_equal(injected_state.inner_state.step, state.step)


def test_an_injected_rho_can_be_changed_in_the_state(name, factory):
    params, grads = example()
    optimizer = optax.inject_hyperparams(factory, static_args=STATIC[name])(rho=0.5)
    state = optax.tree.set(optimizer.init(params), rho=jnp.array(0.2))
    changed, _ = optimizer.update(grads, state, params, grad_fn=grad_of_example)
    assert_close(changed, first_updates(factory(rho=0.2)))


def test_an_injected_eta_can_be_changed_in_the_state():
    params, grads = example()
    inject = optax.inject_hyperparams(asam_jax.asam, static_args=STATIC["asam"])
    optimizer = inject(rho=0.5, eta=0.01)
    state = optax.tree.set(optimizer.init(params), eta=jnp.array(3.0))
    changed, _ = optimizer.update(grads, state, params, grad_fn=grad_of_example)
    assert_close(changed, first_updates(asam_jax.asam(rho=0.5, eta=3.0)))


@pytest.mark.parametrize(
    "dtypes",
    [
        (jnp.float32, jnp.float32),
        (jnp.bfloat16, jnp.bfloat16),
        (jnp.float16, jnp.float16),
        (jnp.bfloat16, jnp.float32),
    ],
    ids=["float32", "bfloat16", "float16", "mixed"],
)
def test_updates_keep_the_dtypes_of_the_gradients(factory, dtypes):
    params, grads = example(dtypes)
    optimizer = factory(rho=0.1)
    update = functools.partial(optimizer.update, grad_fn=grad_of_example)
    updates, _ = jax.eval_shape(update, grads, optimizer.init(params), params)
    chex.assert_trees_all_equal_shapes_and_dtypes(updates, grads)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64])
def test_the_state_is_stable_in_a_branch(factory, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        params, grads = example((dtype, dtype))
        optimizer = optax.chain(factory(rho=0.1), optax.sgd(0.1, momentum=0.9))

        def step(params, opt_state, taken):
            # Tracing this fails unless both branches have the same types.
            updates, opt_state = jax.lax.cond(
                taken,
                lambda: optimizer.update(
                    grads, opt_state, params, grad_fn=grad_of_example
                ),
                lambda: (grads, opt_state),
            )
            return optax.apply_updates(params, updates), opt_state

        opt_state = optimizer.init(params)
        stepped, new_state = jax.eval_shape(step, params, opt_state, True)
        chex.assert_trees_all_equal_shapes_and_dtypes(stepped, params)
        chex.assert_trees_all_equal_shapes_and_dtypes(new_state, opt_state)


def test_the_state_can_be_made_from_shapes_alone(factory):
    params, _ = example()
    optimizer = factory(rho=0.1)
    abstract = jax.eval_shape(lambda: params)
    chex.assert_trees_all_equal(optimizer.init(abstract), optimizer.init(params))


def test_the_sharding_of_the_state_is_stable_on_an_explicit_mesh(factory):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Explicit,))
    sharding = NamedSharding(mesh, PartitionSpec(None, "x"))
    optimizer = factory(rho=0.1)
    with jax.set_mesh(mesh):
        params = jnp.ones((2, 8, 4), dtype=jnp.float16, out_sharding=sharding)
        update = functools.partial(optimizer.update, grad_fn=grad_of_example)
        states = [
            state := optimizer.init(params),
            jax.jit(optimizer.init)(params),
            update(params, state, params)[1],
            jax.jit(update)(params, state, params)[1],
        ]
        types = [jax.tree.map(jax.typeof, state) for state in states]
        assert all(other == types[0] for other in types)
        updates, _ = jax.jit(update)(params, state, params)
        assert jax.typeof(updates) == jax.typeof(params)


def test_donated_parameters_and_state_are_given_up(factory):
    initial, final = filter_parabola()
    optimizer = optax.chain(factory(rho=0.1), optax.sgd(0.1, momentum=0.9))
    step = jax.jit(make_step(optimizer, final))
    expected, donated = [(initial, optimizer.init(initial)) for _ in range(2)]
    donated = jax.tree.map(jnp.copy, donated)
    donating = jax.jit(step, donate_argnums=(0, 1))
    for _ in range(3):
        expected = step(*expected)
        given, donated = donated, donating(*donated)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(given))
    assert_close(donated, expected)


def test_a_scan_is_the_loop(factory):
    initial, final = filter_parabola()
    schedule = optax.linear_schedule(0.5, 0.1, 4)
    optimizer = optax.chain(factory(rho=schedule), optax.sgd(0.1, momentum=0.9))
    step = jax.jit(make_step(optimizer, final))
    carry = initial, optimizer.init(initial)
    scanned, _ = jax.lax.scan(lambda carry, _: (step(*carry), None), carry, length=5)
    for _ in range(5):
        carry = step(*carry)
    assert_close(scanned, carry)


def test_only_the_momentum_is_mapped_as_parameters(factory):
    params, _ = example()
    optimizer = optax.chain(factory(rho=0.1), optax.sgd(0.1, momentum=0.9))
    opt_state = optimizer.init(params)
    mapped = optax.tree.map_params(optimizer, lambda leaf: leaf + 1, opt_state)
    trace = optax.tree.get(opt_state, "trace")
    expected = optax.tree.set(opt_state, trace=jax.tree.map(jnp.ones_like, trace))
    chex.assert_trees_all_equal(mapped, expected)


def test_the_state_counts_steps_and_the_schedule_reads_them(factory):
    params, grads = example()
    scheduled = factory(rho=lambda step: jnp.where(step < 2, 0.0, 0.5))
    state = scheduled.init(params)
    for number, rho in enumerate([0.0, 0.0, 0.5, 0.5]):
        assert int(state.step) == number
        updates, state = scheduled.update(grads, state, params, grad_fn=grad_of_example)
        assert_close(updates, first_updates(factory(rho=rho)))


def test_a_random_key_among_the_parameters_is_masked_out_and_left_alone(factory):
    inexact = lambda path, leaf: jnp.issubdtype(leaf.dtype, jnp.inexact)
    optimizer = factory(rho=0.5, mask=inexact)
    params, grads = example()
    key, no_gradient = jax.random.key(0), np.zeros((), jax.dtypes.float0)

    def grad_fn(perturbed):
        assert perturbed["key"] == key
        return grad_of_example(perturbed | {"key": 0.0}) | {"key": no_gradient}

    updates, _ = optimizer.update(
        grads | {"key": no_gradient},
        optimizer.init(params),
        params | {"key": key},
        grad_fn=grad_fn,
    )
    expected = first_updates(factory(rho=0.5))
    assert_close({name: updates[name] for name in params}, expected)
