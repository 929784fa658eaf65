"""The loss of a translator, and its measures over a data set."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from experiments.data.special_tokens import PADDING
from experiments.data.token_batches import TokenBatch
from experiments.nets.functional import Apply
from experiments.training.step import LossFn


def translation_loss(apply: Apply, *, smoothing: float, precision: str) -> LossFn:
    """Returns the loss: smoothed cross-entropy, a mean over the tokens of a batch.

    It casts the parameters to the compute dtype, and so is what the ascent, which
    perturbs in float32, asks for.
    """

    def loss_fn(params, model_state, batch: TokenBatch, key):
        compute_params: Any = optax.tree.cast(params, precision)
        inputs = (batch.source, batch.target_in)
        logits, model_state = apply(compute_params, model_state, inputs, True, key)
        totals = token_totals(
            logits, jnp.asarray(batch.target_out), smoothing=smoothing
        )
        # A group of a batch may be padding throughout.
        count = jnp.maximum(totals["count"], 1.0)
        return totals["loss"] / count, (model_state, totals)

    return loss_fn


def token_totals(
    logits: jax.Array, targets: jax.Array, *, smoothing: float
) -> dict[str, jax.Array]:
    r"""Sums the measures of a batch over the tokens that are no padding.

    .. math:: -(1 - s) \log p_y - \frac{s}{V} \sum_v \log p_v

    Args:
        logits: float32 [batch, length, vocabulary].
        targets: The true tokens y, int32 [batch, length].
        smoothing: s, in [0, 1).

    Returns:
        Sums of the loss, of right predictions, and of tokens.
    """
    log_p = jax.nn.log_softmax(logits)
    true_log_p = jnp.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    losses = -(1 - smoothing) * true_log_p - smoothing * jnp.mean(log_p, axis=-1)
    weights = (targets != PADDING).astype(jnp.float32)
    measures = {
        "loss": losses,
        "accuracy": jnp.argmax(logits, axis=-1) == targets,
        "count": jnp.ones_like(weights),
    }
    return {name: jnp.sum(weights * x) for name, x in measures.items()}
