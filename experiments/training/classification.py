"""The loss of a classifier, and its measures over a data set."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.nets.functional import Net
from experiments.training.image_config import ImageConfig
from experiments.training.step import LossFn


class Batch(NamedTuple):
    """What a step trains on."""

    images: jax.Array
    """Normalized, float32 [batch, height, width, channel]."""
    labels: jax.Array
    """int32 [batch]."""


def classification_loss(net: Net, num_classes: int, config: ImageConfig) -> LossFn:
    """Returns the loss: cross-entropy with smoothed labels, a mean over the batch.

    It casts parameters and images to the compute dtype, and so is what the ascent,
    which perturbs in float32, asks for.
    """
    dtype = jnp.dtype(config.precision)

    def loss_fn(params, model_state, batch, key):
        images, labels = batch
        compute_params: Any = optax.tree.cast(params, dtype)
        logits, model_state = net.apply(
            compute_params, model_state, images.astype(dtype), True, key
        )
        targets = optax.smooth_labels(
            jax.nn.one_hot(labels, num_classes), config.label_smoothing
        )
        losses = optax.softmax_cross_entropy(logits, targets)
        metrics = {
            "loss": jnp.sum(losses),
            "accuracy": jnp.sum(jnp.argmax(logits, axis=-1) == labels) * 1.0,
            "count": jnp.full([], len(labels), jnp.float32),
        }
        return jnp.mean(losses), (model_state, metrics)

    return loss_fn


def weighted_totals(
    logits: jax.Array, labels: jax.Array, weights: jax.Array
) -> dict[str, jax.Array]:
    """Sums the measures of a batch over the examples that count.

    Args:
        logits: float32 [batch, class].
        labels: int32 [batch].
        weights: 1 for an example, 0 for padding; float32 [batch].

    Returns:
        Sums of cross-entropy, of correct predictions, of labels among the five largest
        logits, and of the weights.
    """
    true_logit = jnp.take_along_axis(logits, labels[:, None], axis=-1)
    rank = jnp.sum(logits > true_logit, axis=-1)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    measures = {
        "loss": losses,
        "accuracy": jnp.argmax(logits, axis=-1) == labels,
        "top5": rank < 5,
        "count": jnp.ones_like(weights),
    }
    return {name: jnp.sum(weights * x) for name, x in measures.items()}


def means(totals: Iterable[Mapping[str, jax.Array]]) -> dict[str, float]:
    """Adds the sums of all batches in float64 and divides by the count."""
    batches = jax.device_get(list(totals))
    sums = {name: sum(float(b[name]) for b in batches) for name in batches[0]}
    count = sums.pop("count")
    return {name: x / count for name, x in sums.items()}
