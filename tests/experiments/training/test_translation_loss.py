import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.data.special_tokens import PADDING
from experiments.data.token_batches import TokenBatch, filled_up
from experiments.training.sharding import replicated, shard_batch
from experiments.training.translation_loss import token_totals, translation_loss

NUM_TOKENS = 9
TARGETS = np.array([[4, 8, 2, 0], [3, 2, 0, 0], [0, 0, 0, 0]], np.int32)
LOGITS = np.random.default_rng(0).normal(size=(3, 4, NUM_TOKENS)).astype(np.float32)
LOGITS[0, 1, 8] = 5.0  # a prediction that is right
BATCH = TokenBatch(
    source=np.array([[5, 2], [6, 2], [0, 0]], np.int32),
    target_in=np.array([[1, 4, 8, 0], [1, 3, 0, 0], [0, 0, 0, 0]], np.int32),
    target_out=TARGETS,
)
KEY = jax.random.key(0)


def expected_totals(smoothing: float) -> dict[str, float]:
    totals: dict[str, float] = dict.fromkeys(("loss", "accuracy", "count"), 0.0)
    for i, j in zip(*np.nonzero(TARGETS), strict=True):
        log_p = LOGITS[i, j] - np.log(np.sum(np.exp(LOGITS[i, j], dtype=float)))
        goal = np.full(NUM_TOKENS, smoothing / NUM_TOKENS)
        goal[TARGETS[i, j]] += 1 - smoothing
        totals["loss"] -= goal @ log_p
        totals["accuracy"] += np.argmax(LOGITS[i, j]) == TARGETS[i, j]
        totals["count"] += 1
    return totals


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_totals_are_those_of_a_loop_over_the_tokens(smoothing):
    expected = expected_totals(smoothing)
    assert expected["count"] == 5 and 0 < expected["accuracy"] < 5
    actual = token_totals(*map(jnp.asarray, (LOGITS, TARGETS)), smoothing=smoothing)
    assert actual.keys() == expected.keys()
    for name, total in expected.items():
        np.testing.assert_allclose(actual[name], total, rtol=1e-6)


def test_padding_has_no_weight():
    noise = np.where(TARGETS == PADDING, 1e3, 0)[..., None] * LOGITS
    totals, others = (
        token_totals(jnp.asarray(logits), jnp.asarray(TARGETS), smoothing=0.1)
        for logits in (LOGITS, LOGITS + noise)
    )
    assert totals == others


def test_the_loss_is_the_mean_over_the_tokens_and_its_gradient_reaches_no_other():
    def apply(params, model_state, x, train, key=None):
        assert train
        jax.tree.map(np.testing.assert_array_equal, x, BATCH[:2])
        return params, model_state | {"key": key}

    loss_fn = translation_loss(apply, smoothing=0.1, precision="float32")
    (loss, (model_state, totals)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
        jnp.asarray(LOGITS), {"count": 3}, BATCH, KEY
    )
    expected = expected_totals(0.1)
    np.testing.assert_allclose(loss, expected["loss"] / 5, rtol=1e-6)
    np.testing.assert_allclose(totals["loss"], expected["loss"], rtol=1e-6)
    assert model_state == {"count": 3, "key": KEY}
    np.testing.assert_array_equal(np.any(grads != 0, axis=-1), TARGETS != PADDING)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_net_computes_in_the_precision_of_the_config(precision):
    dtypes = []

    def apply(params, model_state, x, train, key=None):
        dtypes.append(params.dtype)
        return params.astype(jnp.float32), model_state

    loss_fn = translation_loss(apply, smoothing=0.1, precision=precision)
    grads, _ = jax.grad(loss_fn, has_aux=True)(jnp.asarray(LOGITS), {}, BATCH, KEY)
    assert dtypes == [jnp.dtype(precision)]
    assert grads.dtype == jnp.float32


def test_devices_that_share_a_batch_find_the_gradient_of_one():
    def apply(params, model_state, x, train, key=None):
        assert key is not None
        logits = params[x[1]]
        kept = jax.random.bernoulli(key, 0.7, logits.shape)  # as dropout draws it
        return jnp.where(kept, logits, 0), model_state

    loss_fn = translation_loss(apply, smoothing=0.1, precision="float32")
    gradient = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))
    table = LOGITS.reshape(-1, NUM_TOKENS)[:NUM_TOKENS]
    (loss, (_, totals)), grads = gradient(table, {}, BATCH, KEY)
    shared = shard_batch(filled_up(BATCH, 8))
    assert shared.source.addressable_shards[0].data.shape == (1, 2)
    (same_loss, (_, same_totals)), same_grads = gradient(
        jax.device_put(table, replicated()), {}, shared, KEY
    )
    assert totals["count"] == same_totals["count"] == 5
    np.testing.assert_allclose(same_loss, loss, rtol=1e-6)
    np.testing.assert_allclose(same_grads, grads, rtol=1e-5, atol=1e-7)
