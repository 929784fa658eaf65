"""The layers of a transformer, normalized after each residual sum ("post-norm").

Shapes: B batch, T target tokens, S source tokens, F features.
"""

import dataclasses

import jax
from flax import nnx

from experiments.nets.attention import Attention, KeysValues
from experiments.nets.layers import dropout_layer, xavier_linear


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Sizes and noise of an encoder-decoder transformer."""

    features: int
    """Features of a token."""
    hidden_features: int
    """Features between the two linear layers of a feed-forward net."""
    num_heads: int
    """Attention heads; they share the features of a token."""
    num_encoder_layers: int
    """Layers that read the source."""
    num_decoder_layers: int
    """Layers that write the target."""
    dropout: float
    """Of embeddings and of what each sublayer adds."""
    attention_dropout: float = 0.0
    """Of attention weights."""
    activation_dropout: float = 0.0
    """Of the units of the feed-forward nets."""


class FeedForward(nnx.Module):
    """Two linear layers around a ReLU, at each position alone.

    Xavier's initialization, as in attention; recent versions of fairseq leave these two
    layers to PyTorch's default.
    """

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        features, hidden = config.features, config.hidden_features
        self.linear1 = xavier_linear(features, hidden, rngs=rngs)
        self.linear2 = xavier_linear(hidden, features, rngs=rngs)
        self.dropout = dropout_layer(config.activation_dropout, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[..., F]` to `[..., F]`."""
        return self.linear2(self.dropout(nnx.relu(self.linear1(x))))


class EncoderLayer(nnx.Module):
    """Self-attention and a feed-forward net."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.attention = _attention(config, rngs)
        self.norm1 = _layer_norm(config, rngs)
        self.feed_forward = FeedForward(config, rngs=rngs)
        self.norm2 = _layer_norm(config, rngs)
        self.dropout = dropout_layer(config.dropout, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps `[B, S, F]` to the same shape; `mask` as in `Attention`."""
        attended = self.attention(x, self.attention.keys_values(x), mask)
        x = self.norm1(x + self.dropout(attended))
        return self.norm2(x + self.dropout(self.feed_forward(x)))


class DecoderLayer(nnx.Module):
    """Attention to the target so far, attention to the source, a feed-forward net."""

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
        self.self_attention = _attention(config, rngs)
        self.norm1 = _layer_norm(config, rngs)
        self.source_attention = _attention(config, rngs)
        self.norm2 = _layer_norm(config, rngs)
        self.feed_forward = FeedForward(config, rngs=rngs)
        self.norm3 = _layer_norm(config, rngs)
        self.dropout = dropout_layer(config.dropout, rngs=rngs)

    def __call__(
        self,
        x: jax.Array,
        target: KeysValues,
        target_mask: jax.Array,
        source: KeysValues,
        source_mask: jax.Array,
    ) -> jax.Array:
        """Decodes tokens in parallel.

        Args:
            x: `[B, T, F]`.
            target: What `self_attention` sees: keys and values of these tokens, or
                of these and earlier ones.
            target_mask: As in `Attention`.
            source: What `source_attention` sees.
            source_mask: As in `Attention`.

        Returns:
            `[B, T, F]`.
        """
        attended = self.self_attention(x, target, target_mask)
        x = self.norm1(x + self.dropout(attended))
        attended = self.source_attention(x, source, source_mask)
        x = self.norm2(x + self.dropout(attended))
        return self.norm3(x + self.dropout(self.feed_forward(x)))


def _attention(config: TransformerConfig, rngs: nnx.Rngs) -> Attention:
    return Attention(
        config.features, config.num_heads, dropout=config.attention_dropout, rngs=rngs
    )


def _layer_norm(config: TransformerConfig, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return nnx.LayerNorm(
        config.features, epsilon=1e-5, use_fast_variance=False, rngs=rngs
    )
