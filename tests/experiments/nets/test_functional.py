import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.core import Tracer

from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import functional
from experiments.nets.layers import conv, linear
from experiments.nets.resnet import resnet
from tests.experiments.nets.problems import apply, images, variables

KEY, OTHER_KEY = jax.random.key(0), jax.random.key(1)
X = jnp.asarray(images(4, 6, 6, 3))


class Toy(nnx.Module):
    """One layer of each kind, and two with noise."""

    def __init__(self, rngs):
        self.conv = conv(3, 8, 3, rngs=rngs)
        self.norms = nnx.List([BatchNorm(8), BatchNorm(8)])
        self.dropout1 = nnx.Dropout(0.5, rngs=rngs)
        self.dropout2 = nnx.Dropout(0.5, rngs=rngs)
        self.head = linear(8, 5, rngs=rngs)

    def __call__(self, x):
        x = self.dropout1(nnx.relu(self.norms[0](self.conv(x))))
        return self.head(self.dropout2(self.norms[1](x)).mean((1, 2)))


@pytest.fixture(scope="module")
def net():
    return functional(Toy)


@pytest.fixture(scope="module")
def params_and_state(net):
    return variables(net)


def test_variables_are_plain_dicts_of_arrays_under_nnx_names(net):
    params, state = net.init(KEY)
    norm = {"scale": (8,), "bias": (8,)}
    assert jax.tree.map(jnp.shape, params) == {
        "conv": {"kernel": (3, 3, 3, 8)},
        "norms": {0: norm, 1: norm},
        "head": {"kernel": (8, 5), "bias": (5,)},
    }
    averages = {"mean": (8,), "var": (8,)}
    assert jax.tree.map(jnp.shape, state) == {"norms": {0: averages, 1: averages}}
    for leaf in jax.tree.leaves((params, state)):
        assert isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32


def test_the_key_decides_the_initial_parameters(net):
    once, again, other = (net.init(key)[0] for key in (KEY, KEY, OTHER_KEY))
    chex.assert_trees_all_equal(once, again)
    for module in ("conv", "head"):
        assert not np.any(once[module]["kernel"] == other[module]["kernel"])


def test_training_moves_the_statistics_and_evaluation_returns_them(
    net, params_and_state
):
    _, state = params_and_state
    _, trained = apply(net, *params_and_state, X, KEY, train=True)
    assert jax.tree.structure(trained) == jax.tree.structure(state)
    for new, old in zip(jax.tree.leaves(trained), jax.tree.leaves(state), strict=True):
        assert not np.any(new == old)
    _, evaluated = apply(net, *params_and_state, X, train=False)
    chex.assert_trees_all_equal(evaluated, state)


def test_the_key_decides_the_noise_whatever_was_drawn_before(net, params_and_state):
    # Eagerly, so that a counter hidden in the net would advance.
    params, state = jax.tree.map(np.copy, params_and_state)
    first, again, other = (
        net.apply(params, state, X, True, key) for key in (KEY, KEY, OTHER_KEY)
    )
    chex.assert_trees_all_equal(first, again)
    assert not np.any(first[0] == other[0])
    chex.assert_trees_all_equal((params, state), params_and_state)


def test_evaluation_ignores_the_key(net, params_and_state):
    without, _ = apply(net, *params_and_state, X, train=False)
    with_key, _ = apply(net, *params_and_state, X, KEY, train=False)
    np.testing.assert_array_equal(without, with_key)


def test_training_with_noise_needs_a_key(net, params_and_state):
    with pytest.raises(ValueError, match="needs a key"):
        net.apply(*params_and_state, X, True)


def test_layers_draw_their_noise_independently():
    def make(rngs):
        layers = [nnx.Dropout(0.5, rngs=rngs) for _ in range(3)]
        return nnx.Sequential(*layers)

    # Were the masks the same, half of the values would survive, and not an eighth.
    x = jnp.ones((100, 100))
    y, _ = functional(make).apply({}, {}, x, True, KEY)
    assert jnp.mean(y > 0) == pytest.approx(1 / 8, abs=0.02)


def test_bfloat16_in_every_convolution_and_float32_out():
    net = resnet(8, 10)
    params, state = variables(net)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params)

    def loss_fn(params, x):
        logits, new_state = net.apply(params, state, x, True)
        return logits.sum(), (logits, new_state)

    x = jnp.asarray(X, jnp.bfloat16)
    step = jax.grad(loss_fn, has_aux=True)
    chex.assert_trees_all_equal_dtypes(
        jax.eval_shape(step, params, x), (params, (jnp.zeros(()), state))
    )
    convolutions = [
        eqn.outvars[0].aval.dtype
        for eqn in jax.make_jaxpr(step)(params, x).eqns
        if eqn.primitive.name == "conv_general_dilated"
    ]
    # Nine forward; backward twice as many, less the one to the input images.
    assert convolutions == [jnp.bfloat16] * 26


def test_vmap_over_parameters_and_keys(net):
    seeds = [variables(net, seed) for seed in (0, 1)]
    keys = jnp.stack([KEY, OTHER_KEY])
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *seeds)

    @jax.jit
    def train_all(params, state, keys):
        return jax.vmap(lambda p, s, key: net.apply(p, s, X, True, key))(
            params, state, keys
        )

    together = train_all(*stacked, keys)
    for i, seed in enumerate(seeds):
        alone = apply(net, *seed, X, keys[i], train=True)
        one = jax.tree.map(lambda leaf, i=i: leaf[i], together)
        chex.assert_trees_all_close(one, alone, rtol=1e-4, atol=1e-5)


def test_the_gradient_reaches_every_parameter(net, params_and_state):
    params, state = params_and_state
    targets = images(4, 5)

    @jax.jit
    @jax.grad
    def gradient(params):
        logits, _ = net.apply(params, state, X, True, KEY)
        return jnp.square(logits - targets).mean()

    for leaf in jax.tree.leaves(gradient(params)):
        assert np.all(np.isfinite(leaf)) and np.any(leaf != 0)


def test_tracing_never_asks_a_tracer_for_its_sharding(monkeypatch):
    # The refusal names the operations behind the tracer: a walk over the program so
    # far. Asked at each statistic and key, PyramidNet-272 took two minutes to trace.
    def sharding(tracer):
        raise AssertionError("sharding of a tracer")

    def train(params, state):
        return net.apply(params, state, X, True, KEY)

    monkeypatch.setattr(Tracer, "sharding", property(sharding))
    net = functional(Toy)
    jax.eval_shape(train, *jax.eval_shape(net.init, KEY))
