"""An encoder-decoder transformer (Vaswani et al., 2017), as in fairseq.

Shapes: B batch, T target tokens, S source tokens, V target vocabulary, F features.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.data.special_tokens import PADDING
from experiments.nets.attention import KeysValues
from experiments.nets.functional import Apply, ModelState, Params, boundary
from experiments.nets.layers import dropout_layer
from experiments.nets.positions import sinusoids
from experiments.nets.transformer_layers import (
    DecoderLayer,
    EncoderLayer,
    TransformerConfig,
)

IWSLT = TransformerConfig(
    features=512,
    hidden_features=1024,
    num_heads=4,
    num_encoder_layers=6,
    num_decoder_layers=6,
    dropout=0.3,
)
"""fairseq's `transformer_iwslt_de_en`, with the dropout it is trained with."""


class Memory(NamedTuple):
    """What the decoder reads of a source."""

    layers: tuple[KeysValues, ...]
    """For each layer of the decoder."""
    mask: jax.Array
    """Which tokens are not padding, bool [B, 1, S]."""


Cache: TypeAlias = tuple[KeysValues, ...]
"""Keys and values of the target so far, for each layer of the decoder."""


def empty_cache(memory: Memory, length: int) -> Cache:
    """Returns the cache of targets that begin, with room for `length` tokens."""

    def zeros(leaf):
        batch, _, *head_shape = leaf.shape
        return jnp.zeros((batch, length, *head_shape), leaf.dtype)

    return jax.tree.map(zeros, memory.layers)


class Transformer(nnx.Module):
    """Post-norm encoder and decoder; target embedding and output layer are one.

    The source has an embedding of its own. Embeddings are drawn from N(0, 1 / F), but
    for that of the padding, which starts at 0.
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        config: TransformerConfig,
        *,
        rngs: nnx.Rngs,
    ):
        self.source_embedding = _embedding(source_vocabulary, config, rngs)  # [., F]
        self.target_embedding = _embedding(target_vocabulary, config, rngs)  # [V, F]
        self.dropout = dropout_layer(config.dropout, rngs=rngs)
        self.encoder = nnx.List(
            [EncoderLayer(config, rngs=rngs) for _ in range(config.num_encoder_layers)]
        )
        self.decoder = nnx.List(
            [DecoderLayer(config, rngs=rngs) for _ in range(config.num_decoder_layers)]
        )

    def __call__(self, x: tuple[jax.Array, jax.Array]) -> jax.Array:
        """Maps `(source, target)`, int32 `[B, S]` and `[B, T]`, to `[B, T, V]`."""
        source, target = x
        memory = self.encode(source)
        positions = jnp.arange(target.shape[1])
        # Padding comes last, so that this hides it from every token of the sentence.
        mask = positions[:, None] >= positions[None]  # [T, T]
        y = self._embed(self.target_embedding, target, positions)  # [B, T, F]
        for layer, layer_memory in zip(self.decoder, memory.layers, strict=True):
            keys_values = layer.self_attention.keys_values(y)
            y = layer(y, keys_values, mask[None], layer_memory, memory.mask)
        return self._logits(y)

    def encode(self, source: jax.Array) -> Memory:
        """Reads source tokens `[B, S]`."""
        mask = (source != PADDING)[:, None]  # [B, 1, S]
        positions = jnp.arange(source.shape[1])
        x = self._embed(self.source_embedding, source, positions)  # [B, S, F]
        for layer in self.encoder:
            x = layer(x, mask)
        layers = (layer.source_attention.keys_values(x) for layer in self.decoder)
        return Memory(tuple(layers), mask)

    def decode_step(
        self, memory: Memory, cache: Cache, token: jax.Array, position: jax.Array
    ) -> tuple[jax.Array, Cache]:
        """Decodes one token `[B]` of each target; returns logits `[B, V]`."""
        y = self._embed(self.target_embedding, token[:, None], position[None])
        seen = jnp.arange(cache[0].keys.shape[1]) <= position
        entries = []
        for layer, past, layer_memory in zip(
            self.decoder, cache, memory.layers, strict=True
        ):
            own = past.insert(layer.self_attention.keys_values(y), position)
            y = layer(y, own, seen[None, None], layer_memory, memory.mask)
            entries.append(own)
        return self._logits(y)[:, 0], tuple(entries)

    def _embed(
        self, embedding: nnx.Param, tokens: jax.Array, positions: jax.Array
    ) -> jax.Array:
        x = jnp.take(embedding[...], tokens, axis=0)  # [B, T, F]
        features = x.shape[-1]
        x *= math.sqrt(features)
        x += sinusoids(positions, features)[None].astype(x.dtype)
        return self.dropout(x)

    def _logits(self, y: jax.Array) -> jax.Array:
        embedding = self.target_embedding[...]
        return jnp.einsum(
            "btf,vf->btv", y, embedding, preferred_element_type=jnp.float32
        )


def _embedding(num_tokens: int, config: TransformerConfig, rngs: nnx.Rngs) -> nnx.Param:
    normal = nnx.initializers.normal(config.features**-0.5)
    embedding = normal(rngs.params(), (num_tokens, config.features))
    return nnx.Param(embedding.at[PADDING].set(0))


class TransformerNet(NamedTuple):
    """A transformer as pure functions: a `Net` that can also decode token by token.

    Attributes:
        init: As in `Net`; there is no model state.
        apply: As in `Net`, with `x = (source, target)`: tokens, int32 `[B, S]` and
            `[B, T]`, and `PADDING` behind each sentence. The logits `[B, T, V]` at a
            target position are those of the next token. At padding they mean nothing.
        encode: `encode(params, source) -> memory`.
        decode_step: `decode_step(params, memory, cache, token, position) -> (logits,
            cache)` takes token `position` of every target, int32 `[B]`, and gives the
            float32 logits `[B, V]` of the next, as `apply` would for the targets so
            far. Begin at position 0 with `empty_cache(memory, length)`; positions from
            `length` on have no room.
    """

    init: Callable[[jax.Array], tuple[Params, ModelState]]
    apply: Apply
    encode: Callable[[Params, jax.Array], Memory]
    decode_step: Callable[
        [Params, Memory, Cache, jax.Array, jax.Array], tuple[jax.Array, Cache]
    ]


def transformer(
    source_vocabulary: int, target_vocabulary: int, config: TransformerConfig
) -> TransformerNet:
    """Builds a transformer for vocabularies of these sizes, `PADDING` included."""
    init, call = boundary(
        lambda rngs: Transformer(
            source_vocabulary, target_vocabulary, config, rngs=rngs
        )
    )

    def apply(params, model_state, x, train, key=None):
        return call(lambda model: model(x), params, model_state, train, key)

    def encode(params, source):
        return call(lambda model: model.encode(source), params, {}, False)[0]

    def decode_step(params, memory, cache, token, position):
        def step(model):
            return model.decode_step(memory, cache, token, position)

        return call(step, params, {}, False)[0]

    return TransformerNet(init, apply, encode, decode_step)
