"""Multi-head attention (Vaswani et al., 2017).

Shapes: B batch, T queries, S keys, H heads, D features of a head.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.nets.layers import dropout_layer, xavier_linear


class KeysValues(NamedTuple):
    """What queries attend to."""

    keys: jax.Array  # [B, S, H, D]
    values: jax.Array  # [B, S, H, D]

    def insert(self, new: "KeysValues", position: jax.Array | int) -> "KeysValues":
        """Overwrites the entries from `position` on with new ones."""
        return jax.tree.map(
            lambda old, entries: jax.lax.dynamic_update_slice_in_dim(
                old, entries, position, axis=1
            ),
            self,
            new,
        )


class Attention(nnx.Module):
    r"""Heads :math:`\mathrm{softmax}(q K^\top / \sqrt{D}) V` between linear layers.

    Query, key and value are initialized with gain :math:`1 / \sqrt{2}`, as if the three
    were one layer. Keys and values are projected apart from the attention itself, so
    that a decoder can keep them.

    Args:
        features: Features of inputs and outputs, H * D.
        num_heads: H, a divisor of `features`.
        dropout: Probability with which training drops an attention weight.
        rngs: Draws the parameters and the noise.
    """

    def __init__(
        self, features: int, num_heads: int, *, dropout: float, rngs: nnx.Rngs
    ):
        if features % num_heads:
            raise ValueError(f"{num_heads} heads cannot share {features} features")
        gain = 2**-0.5
        self.query = xavier_linear(features, features, gain=gain, rngs=rngs)
        self.key = xavier_linear(features, features, gain=gain, rngs=rngs)
        self.value = xavier_linear(features, features, gain=gain, rngs=rngs)
        self.out = xavier_linear(features, features, rngs=rngs)
        self.dropout = dropout_layer(dropout, rngs=rngs)
        self.num_heads = num_heads

    def keys_values(self, x: jax.Array) -> KeysValues:
        """Projects what can be attended to, `[B, S, H * D]`."""
        return KeysValues(self._heads(self.key(x)), self._heads(self.value(x)))

    def __call__(
        self, x: jax.Array, keys_values: KeysValues, mask: jax.Array
    ) -> jax.Array:
        """Attends, with logits and softmax in float32.

        Args:
            x: `[B, T, H * D]`.
            keys_values: From `keys_values`.
            mask: Which keys a query sees, bool `[B, T, S]`; B and T may be 1. A query
                that sees none gets the mean of all values.

        Returns:
            `[B, T, H * D]`.
        """
        keys, values = keys_values
        query = self._heads(self.query(x))  # [B, T, H, D]
        query *= query.shape[-1] ** -0.5
        logits = jnp.einsum(
            "bthd,bshd->bhts", query, keys, preferred_element_type=jnp.float32
        )
        hidden = jnp.finfo(jnp.float32).min  # finite: no NaN where all is hidden
        weights = jax.nn.softmax(jnp.where(mask[:, None], logits, hidden))
        weights = self.dropout(weights.astype(values.dtype))  # [B, H, T, S]
        heads = jnp.einsum("bhts,bshd->bthd", weights, values)  # [B, T, H, D]
        return self.out(heads.reshape(x.shape))

    def _heads(self, x: jax.Array) -> jax.Array:
        batch, length, features = x.shape
        head_features = features // self.num_heads
        return x.reshape(batch, length, self.num_heads, head_features)
