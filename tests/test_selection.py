"""Which leaves count as weights, on the trees of real libraries."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.tree_util import DictKey, GetAttrKey, SequenceKey, keystr

import asam_jax

from .assertions import assert_trees_close

VECTOR, MATRIX = np.ones(2), np.ones((2, 2))


def weights_of(tree):
    """The path of each leaf, and whether it is a weight."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        keystr(path, simple=True, separator="/"): asam_jax.is_weight(path, leaf)
        for path, leaf in leaves
    }


def assert_rule(tree, weights, others):
    assert weights_of(tree) == dict.fromkeys(weights, True) | dict.fromkeys(
        others, False
    )


@pytest.mark.parametrize(
    "name",
    [
        *("kernel", "weight", "weights", "scale", "gamma", "embedding", "w", "W"),
        *("w1", "weight_ih", "q_kernel", "kernel_2", "Kernel", "w_", "weight0"),
    ],
)
def test_names_of_weights(name):
    assert asam_jax.is_weight((DictKey(name),), VECTOR)
    assert asam_jax.is_weight((GetAttrKey(name),), VECTOR)


@pytest.mark.parametrize(
    "name",
    ["bias", "biases", "offset", "beta", "b", "b2", "bias_n", "q_bias", "bias_hh"],
)
def test_names_of_other_parameters(name):
    assert not asam_jax.is_weight((DictKey(name),), MATRIX)
    assert not asam_jax.is_weight((GetAttrKey(name),), MATRIX)


@pytest.mark.parametrize("name", ["cls", "lora_b", "tau", "bw", "web", "debiased", "B"])
def test_without_a_recognised_name_two_axes_make_a_weight(name):
    assert asam_jax.is_weight((DictKey(name),), MATRIX)
    assert not asam_jax.is_weight((DictKey(name),), VECTOR)


@pytest.mark.parametrize(
    ("key", "weight"),
    [
        ("LayerNorm_0/scale", True),
        ("attention/query/bias", False),
        ("layers.0.bn.weight", True),
        ("layers.0.attn.bias", False),
        ("kernel/0", True),
        (("Dense_0", "kernel"), True),
        (("kernel", 3, "bias"), False),
    ],
)
def test_keys_of_flattened_trees_are_paths(key, weight):
    leaf = VECTOR if weight else MATRIX  # the rule of axes would tell the opposite
    assert asam_jax.is_weight((DictKey(key),), leaf) == weight


def test_the_name_nearest_to_the_leaf_decides():
    path = (DictKey("kernel"), SequenceKey(0), DictKey("bias"), GetAttrKey("value"))
    assert not asam_jax.is_weight(path, MATRIX)
    assert asam_jax.is_weight((DictKey("bias"), DictKey("w"), SequenceKey(1)), VECTOR)


def test_positions_are_no_names():
    assert_rule([VECTOR, (MATRIX, {3: VECTOR})], weights=["1/0"], others=["0", "1/1/3"])


def test_bare_arrays():
    assert_rule(np.ones((2, 3)), weights=[""], others=[])
    assert_rule(np.ones(3), weights=[], others=[""])
    assert_rule(np.ones(()), weights=[], others=[""])


class NNXNet(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 2, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(2, rngs=rngs)
        self.embed = nnx.Embed(3, 2, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 4, rngs=rngs)
        self.blocks = nnx.List([nnx.Linear(2, 2, rngs=rngs)])
        self.lora = nnx.LoRA(2, 1, 2, rngs=rngs)
        self.temperature = nnx.Param(jnp.ones(()))


NNX_WEIGHTS = [
    "conv/kernel",
    "norm/scale",
    "embed/embedding",
    *(f"attention/{part}/kernel" for part in ("query", "key", "value", "out")),
    "blocks/0/kernel",
    "lora/lora_a",
    "lora/lora_b",
]
NNX_OTHERS = [
    "conv/bias",
    "norm/bias",
    *(f"attention/{part}/bias" for part in ("query", "key", "value", "out")),
    "blocks/0/bias",
    "temperature",
]


def test_nnx_states():
    model = nnx.eval_shape(lambda: NNXNet(nnx.Rngs(0)))
    state = nnx.state(model, nnx.Param)
    assert_rule(nnx.as_pure(state), NNX_WEIGHTS, NNX_OTHERS)
    # With Variables, each path ends in .value.
    assert_rule(
        state,
        [f"{path}/value" for path in NNX_WEIGHTS],
        [f"{path}/value" for path in NNX_OTHERS],
    )


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(use_running_average=True)(nn.Conv(2, (3, 3))(x))
        x = nn.MultiHeadDotProductAttention(1)(nn.LayerNorm()(jnp.mean(x, axis=1)))
        carry, x = nn.RNN(nn.LSTMCell(2), return_carry=True)(x)
        position = self.param("position", nn.initializers.ones, (1, 1, 2))
        return carry, nn.Dense(3)(x + position), nn.Embed(4, 3)(jnp.zeros(2, int))


def test_linen_parameters():
    params = jax.eval_shape(LinenNet().init, jax.random.key(0), jnp.ones((2, 3, 3, 1)))[
        "params"
    ]
    attention = [
        f"MultiHeadDotProductAttention_0/{part}"
        for part in ("query", "key", "value", "out")
    ]
    gates = ["hi", "hf", "hg", "ho"]
    assert_rule(
        params,
        weights=[
            "Conv_0/kernel",
            "BatchNorm_0/scale",
            "LayerNorm_0/scale",
            *(f"{part}/kernel" for part in attention),
            *(f"LSTMCell_0/{gate}/kernel" for gate in gates),
            *(f"LSTMCell_0/{gate}/kernel" for gate in ("ii", "if", "ig", "io")),
            "position",
            "Dense_0/kernel",
            "Embed_0/embedding",
        ],
        others=[
            "Conv_0/bias",
            "BatchNorm_0/bias",
            "LayerNorm_0/bias",
            *(f"{part}/bias" for part in attention),
            *(f"LSTMCell_0/{gate}/bias" for gate in gates),
            "Dense_0/bias",
        ],
    )


class EquinoxNet(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.GroupNorm
    mlp: eqx.nn.MLP
    rnn: eqx.nn.GRUCell
    embed: eqx.nn.Embedding
    attention: eqx.nn.MultiheadAttention
    slope: eqx.nn.PReLU

    def __init__(self, key):
        self.conv = eqx.nn.Conv2d(1, 2, 3, key=key)
        self.norm = eqx.nn.GroupNorm(1, 2)
        self.mlp = eqx.nn.MLP(2, 2, width_size=4, depth=1, key=key)
        self.rnn = eqx.nn.GRUCell(2, 3, key=key)
        self.embed = eqx.nn.Embedding(3, 2, key=key)
        self.attention = eqx.nn.MultiheadAttention(2, 4, use_query_bias=True, key=key)
        self.slope = eqx.nn.PReLU(0.1)


def test_equinox_modules():
    params = eqx.filter_eval_shape(
        lambda key: eqx.filter(EquinoxNet(key), eqx.is_inexact_array),
        jax.random.key(0),
    )
    assert_rule(
        params,
        weights=[
            "conv/weight",  # [out, in, height, width]
            "norm/weight",
            "mlp/layers/0/weight",
            "mlp/layers/1/weight",
            "rnn/weight_ih",
            "rnn/weight_hh",
            "embed/weight",
            *(
                f"attention/{p}_proj/weight"
                for p in ("query", "key", "value", "output")
            ),
        ],
        others=[
            "conv/bias",  # of shape [out, 1, 1]
            "norm/bias",
            "mlp/layers/0/bias",
            "mlp/layers/1/bias",
            "rnn/bias",
            "rnn/bias_n",
            "attention/query_proj/bias",
            "slope/negative_slope",
        ],
    )


LAYERS = {
    "nnx": lambda: nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Param),
    "equinox": lambda: eqx.filter(
        eqx.nn.Linear(2, 3, key=jax.random.key(0)), eqx.is_inexact_array
    ),
}


@pytest.mark.parametrize("library", LAYERS)
def test_modules_are_perturbed_by_their_rule(library):
    # Six weights of 2 and three biases, all gradients 1: ||T g||^2 = 6 * 4 + 3.
    params = jax.tree.map(lambda leaf: jnp.full_like(leaf, 2.0), LAYERS[library]())
    grads = jax.tree.map(jnp.ones_like, params)
    eps = asam_jax.perturbation(
        params, grads, 0.5, normalization=asam_jax.elementwise(eta=0.0)
    )

    def expected(leaf):
        squared_scale = 4.0 if leaf.size == 6 else 1.0
        return jnp.full_like(leaf, 0.5 * squared_scale / np.sqrt(27))

    assert_trees_close(eps, jax.tree.map(expected, params), rtol=1e-6)
