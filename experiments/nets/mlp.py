"""A multilayer perceptron."""

from collections.abc import Sequence
from itertools import pairwise

import jax
from flax import nnx

from experiments.nets.functional import Net, functional
from experiments.nets.layers import dropout_layer


class MLP(nnx.Module):
    """Linear layers, each but the last followed by ReLU and dropout."""

    def __init__(
        self,
        num_features: int,
        hidden: Sequence[int],
        num_classes: int,
        dropout: float,
        *,
        rngs: nnx.Rngs,
    ):
        widths = [num_features, *hidden, num_classes]
        layers = [
            nnx.Linear(
                width, next_width, kernel_init=nnx.initializers.he_normal(), rngs=rngs
            )
            for width, next_width in pairwise(widths)
        ]
        self.layers = nnx.List(layers)
        self.dropout = dropout_layer(dropout, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[batch, ...]` to logits."""
        x = x.reshape(len(x), -1)
        *hidden, head = self.layers
        for layer in hidden:
            x = self.dropout(nnx.relu(layer(x)))
        return head(x)


def mlp(
    num_features: int, hidden: Sequence[int], num_classes: int, dropout: float = 0.0
) -> Net:
    """Builds an MLP for inputs `[batch, ...]` of `num_features` values an example.

    `hidden` gives the widths of the hidden layers, of which training zeroes a unit with
    probability `dropout`. Kernels have He initialization on fan-in, biases start at 0.
    """
    return functional(
        lambda rngs: MLP(num_features, hidden, num_classes, dropout, rngs=rngs)
    )
