import dataclasses
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import asam_jax
from experiments.data.special_tokens import PADDING
from experiments.nets.transformer import (
    IWSLT,
    transformer,
)
from tests.experiments.nets import reference as ref
from tests.experiments.nets.translation import (
    CONFIG,
    KEY,
    NET,
    PARAMS,
    REAL,
    SOURCE,
    TARGET,
    decode,
    logits,
)


def reference_logits(params, source, target):
    """The logits of one sentence without padding, in NumPy and float64."""

    def embed(tokens, table):
        half = CONFIG.features // 2
        frequencies = 10_000.0 ** (-np.arange(half) / (half - 1))
        angles = np.arange(len(tokens))[:, None] * frequencies
        positions = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        return np.sqrt(CONFIG.features) * table[tokens] + positions

    def attend(x, memory, params, visible):
        return ref.attention(
            x, memory, params, num_heads=CONFIG.num_heads, visible=visible
        )

    def feed_forward(x, params):
        return ref.linear(ref.relu(ref.linear(x, params["linear1"])), params["linear2"])

    def whole_source(_):
        return np.arange(len(source))

    layer = params["encoder"][0]
    x = embed(source, params["source_embedding"])
    x = ref.layer_norm(
        x + attend(x, x, layer["attention"], whole_source), layer["norm1"]
    )
    x = ref.layer_norm(x + feed_forward(x, layer["feed_forward"]), layer["norm2"])

    layer, table = params["decoder"][0], params["target_embedding"]
    y = embed(target, table)
    y = ref.layer_norm(
        y + attend(y, y, layer["self_attention"], lambda t: np.arange(t + 1)),
        layer["norm1"],
    )
    y = ref.layer_norm(
        y + attend(y, x, layer["source_attention"], whole_source), layer["norm2"]
    )
    y = ref.layer_norm(y + feed_forward(y, layer["feed_forward"]), layer["norm3"])
    return y @ table.T


def test_logits_agree_with_numpy_sentence_by_sentence():
    actual = logits()
    assert actual.dtype == np.float32 and actual.shape == (2, 4, 9)
    for i in range(len(SOURCE)):
        source, target = SOURCE[i][SOURCE[i] != PADDING], TARGET[i][REAL[i]]
        expected = reference_logits(PARAMS, source, target)
        np.testing.assert_allclose(
            actual[i, : len(target)], expected, rtol=1e-4, atol=1e-5
        )


def count(source_vocabulary, target_vocabulary, config):
    d, h = config.features, config.hidden_features
    norm = 2 * d
    attention = 4 * (d * d + d)
    feed_forward = d * h + h + h * d + d
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    return (
        (source_vocabulary + target_vocabulary) * d
        + config.num_encoder_layers * encoder
        + config.num_decoder_layers * decoder
    )


def num_parameters(net):
    params, model_state = jax.eval_shape(net.init, KEY)
    assert model_state == {}
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_the_number_of_parameters():
    config = dataclasses.replace(CONFIG, num_encoder_layers=3, num_decoder_layers=2)
    for sizes in [(7, 9, CONFIG), (10, 6, config)]:
        assert num_parameters(transformer(*sizes)) == count(*sizes)
    # What fairseq logs for transformer_iwslt_de_en and its dictionaries.
    iwslt = (8848, 6632, IWSLT)
    assert num_parameters(transformer(*iwslt)) == count(*iwslt) == 39_469_056


def test_initial_parameters():
    config = dataclasses.replace(CONFIG, features=64, hidden_features=128)
    net = transformer(300, 300, config)

    @jax.jit
    def init(key):  # a part alone, since XLA is slow to compile initializers
        params, _ = net.init(key)
        decoder = params["decoder"][0]
        return params["target_embedding"], decoder["feed_forward"], decoder["norm3"]

    embedding, feed_forward, norm = jax.tree.map(np.asarray, init(KEY))
    np.testing.assert_array_equal(embedding[PADDING], 0)
    assert embedding[1:].std() == pytest.approx(1 / 8, rel=0.05)
    assert abs(embedding).max() > 3 / 8  # a normal, not truncated at 2 deviations
    bound = np.sqrt(6 / (64 + 128))
    for layer in feed_forward.values():
        assert 0.98 * bound < abs(layer["kernel"]).max() <= bound * (1 + 1e-6)
        np.testing.assert_array_equal(layer["bias"], 0)
    np.testing.assert_array_equal(norm["scale"], 1)
    np.testing.assert_array_equal(norm["bias"], 0)


def test_weights_are_all_but_the_biases():
    is_weight = jax.tree_util.tree_map_with_path(asam_jax.is_weight, PARAMS)
    kinds = Counter(
        (path[-1].key, weight)
        for path, weight in jax.tree_util.tree_leaves_with_path(is_weight)
    )
    # Projections of three attentions, four linear layers; five LayerNorms.
    assert kinds == {
        ("source_embedding", True): 1,
        ("target_embedding", True): 1,
        ("kernel", True): 3 * 4 + 4,
        ("bias", False): 3 * 4 + 4 + 5,
        ("scale", True): 5,
    }


def test_a_logit_has_exactly_zero_gradient_in_later_tokens():
    # The output layer shares the embeddings, so ask for the logit of a token that is
    # not in the target: it depends on the embeddings of the target through them alone.
    target, absent = np.array([[1, 5, 2, 4]]), 7

    @jax.jit
    @jax.jacrev
    def jacobian(embedding):
        params = {**PARAMS, "target_embedding": embedding}
        y, _ = NET.apply(params, {}, (SOURCE[:1], target), False)
        return y[0, :, absent]

    rows = jacobian(PARAMS["target_embedding"])[:, target[0]]
    depends = np.any(np.asarray(rows) != 0, axis=-1)  # [logit, token]
    np.testing.assert_array_equal(depends, np.tri(4, dtype=bool))


def test_more_padding_changes_nothing():
    source, target = (np.pad(x, ((0, 0), (0, 3))) for x in (SOURCE, TARGET))
    padded = logits(source=source, target=target)[:, : TARGET.shape[1]]
    np.testing.assert_allclose(padded[REAL], logits()[REAL], atol=1e-6)


def test_what_the_padding_holds_changes_nothing():
    embedding = PARAMS["source_embedding"].copy()
    embedding[PADDING] += 100
    params = {**PARAMS, "source_embedding": embedding}
    np.testing.assert_array_equal(logits(params), logits())
    target = np.where(REAL, TARGET, 6)
    np.testing.assert_array_equal(logits(target=target)[REAL], logits()[REAL])


def test_a_batch_may_hold_empty_sentences():
    source, target = SOURCE.copy(), TARGET.copy()
    source[1] = target[1] = PADDING
    actual = logits(source=source, target=target)
    assert np.all(np.isfinite(actual))
    np.testing.assert_array_equal(actual[0], logits()[0])


def test_decoding_step_by_step_gives_the_same_logits():
    actual = decode(PARAMS, SOURCE, TARGET)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, logits(), rtol=1e-5, atol=1e-5)


def test_the_gradient_reaches_every_parameter():
    weights = np.random.default_rng(0).normal(size=(2, 4, 9)).astype(np.float32)

    @jax.jit
    @jax.grad
    def gradient(params):
        y, _ = NET.apply(params, {}, (SOURCE, TARGET), False)
        return (y * weights).sum()

    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient(PARAMS)):
        largest = np.abs(leaf).max()
        if "['key']['bias']" in jax.tree_util.keystr(path):
            assert largest < 1e-4  # softmax cancels what all keys have in common
        else:
            assert 1e-3 < largest < np.inf
