"""Beam search over a decoder with a cache, as one compiled loop.

Shapes: B sources, K hypotheses of each, L tokens, V vocabulary.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

PyTree = Any


@dataclasses.dataclass(frozen=True)
class BeamConfig:
    """How wide and how far to search, and which tokens are special."""

    beam_size: int
    """Hypotheses that are kept of each source, K."""
    max_length: int
    """Room for a hypothesis, in tokens; the one that ends it included."""
    length_penalty: float
    """A hypothesis y scores log p(y) / length**length_penalty."""
    begin: int
    """The token before the first; never part of the result."""
    end: int
    """The token that ends a hypothesis."""
    padding: int
    """The token that fills the rows of the result; never generated."""

    def __post_init__(self):
        """Refuses what is no search."""
        if self.beam_size < 1 or self.max_length < 1:
            raise ValueError("beam_size and max_length must be at least 1")
        if not self.length_penalty >= 0:
            raise ValueError(f"length_penalty must be >= 0, got {self.length_penalty}")
        if self.end == self.padding:
            raise ValueError("end and padding must be different tokens")


class Hypotheses(NamedTuple):
    """The best hypotheses of each source, the best first."""

    tokens: jax.Array
    """int32 [B, K, L]: tokens, `end`, padding. Padding alone where there is none."""
    scores: jax.Array
    """float32 [B, K]; -inf where there is none."""


Step = Callable[[PyTree, jax.Array, jax.Array], tuple[jax.Array, PyTree]]
"""``(cache, tokens, position) -> (logits, cache)``.

Reads token `position` of each hypothesis, int32 [B, K], and gives the logits
[B, K, V] of the next. The leaves of the cache are [B, K, ...].
"""


class _State(NamedTuple):
    length: jax.Array  # tokens of the live hypotheses, int32 []
    live: Hypotheses  # [B, K, 1 + L], after `begin`, with log p as scores
    finished: Hypotheses  # likewise, with the final scores
    cache: PyTree


def beam_search(
    step: Step, cache: PyTree, limits: jax.Array, config: BeamConfig
) -> Hypotheses:
    r"""Searches for the hypotheses y that maximise a score.

    .. math:: \log p(y) \,/\, |y|^\alpha

    The length :math:`|y|` counts the token that ends y, as in fairseq. (That of Wu et
    al., 2016, is :math:`((5 + |y|) / 6)^\alpha`.) At each length the K most probable
    unfinished hypotheses go on, and each of them may also end; the K best of all that
    ended are kept. At its limit a hypothesis has to end, at the probability of that.
    Of equal scores, the shorter hypothesis and then the lower token come first.

    The search of a source is over when no unfinished hypothesis could still enter the
    K best: log p only falls, so its score will be at most log p / limit**alpha. This
    changes no result. (fairseq is done when K hypotheses have ended, and lets one end
    only where that is among its K most probable continuations.)

    Args:
        step: The decoder.
        cache: Its cache for one hypothesis of each source; leaves [B, ...].
        limits: Most tokens of a hypothesis of each source, int32 [B]; clipped to
            between 1 and `max_length`.
        config: The search.

    Returns:
        K hypotheses of each source.
    """
    limits = jnp.clip(limits, 1, config.max_length)

    def extend(state: _State) -> _State:
        tokens = jax.lax.dynamic_index_in_dim(
            state.live.tokens, state.length, axis=2, keepdims=False
        )  # [B, K]
        logits, cache = step(state.cache, tokens, state.length)
        log_probs = jax.nn.log_softmax(logits).at[..., config.padding].set(-jnp.inf)
        log_probs += state.live.scores[..., None]  # [B, K, V], of whole hypotheses
        length = state.length + 1
        finished = _end(state, log_probs, length, config)
        must_end = length >= limits
        live, parents = _go_on(state, log_probs, length, must_end, config)
        cache = jax.tree.map(lambda leaf: _select(leaf, parents), cache)
        return _State(length, live, finished, cache)

    def can_improve(state: _State) -> jax.Array:
        bound = _score(state.live.scores.max(-1), limits, config)
        return jnp.any(bound > state.finished.scores.min(-1))

    start = _start(cache, len(limits), config)
    tokens, scores = jax.lax.while_loop(can_improve, extend, start).finished
    return Hypotheses(tokens[:, :, 1:], scores)


def _start(cache: PyTree, num_sources: int, config: BeamConfig) -> _State:
    """One live hypothesis of each source, which is empty; the others do not exist."""
    shape = (num_sources, config.beam_size)
    none = jnp.full(shape, -jnp.inf, jnp.float32)
    tokens = jnp.full((*shape, 1 + config.max_length), config.padding, jnp.int32)
    return _State(
        length=jnp.zeros([], jnp.int32),
        live=Hypotheses(tokens.at[:, :, 0].set(config.begin), none.at[:, 0].set(0)),
        finished=Hypotheses(tokens, none),
        cache=jax.tree.map(
            lambda leaf: jnp.repeat(leaf[:, None], config.beam_size, axis=1), cache
        ),
    )


def _end(
    state: _State, log_probs: jax.Array, length: jax.Array, config: BeamConfig
) -> Hypotheses:
    """Ends every live hypothesis, and keeps the best of old and new."""
    ended = Hypotheses(
        state.live.tokens.at[:, :, length].set(config.end),
        _score(log_probs[..., config.end], length, config),
    )
    both = jax.tree.map(
        lambda *leaves: jnp.concatenate(leaves, axis=1), state.finished, ended
    )
    scores, best = jax.lax.top_k(both.scores, config.beam_size)
    return Hypotheses(_select(both.tokens, best), scores)


def _go_on(
    state: _State,
    log_probs: jax.Array,
    length: jax.Array,
    must_end: jax.Array,
    config: BeamConfig,
) -> tuple[Hypotheses, jax.Array]:
    """Returns the best hypotheses that are a token longer, and their parents."""
    num_sources, _, num_tokens = log_probs.shape
    log_probs = log_probs.at[..., config.end].set(-jnp.inf)
    log_probs = jnp.where(must_end[:, None, None], -jnp.inf, log_probs)
    scores, best = jax.lax.top_k(
        log_probs.reshape(num_sources, -1), config.beam_size
    )  # [B, K]
    parents, token = jnp.divmod(best, num_tokens)
    tokens = _select(state.live.tokens, parents).at[:, :, length].set(token)
    return Hypotheses(tokens, scores), parents


def _score(log_probs: jax.Array, length: jax.Array, config: BeamConfig) -> jax.Array:
    return log_probs / length.astype(jnp.float32) ** config.length_penalty


def _select(leaf: jax.Array, indices: jax.Array) -> jax.Array:
    """Picks hypotheses `[B, K]` of each source from `[B, ., ...]`."""
    return jax.vmap(lambda rows, index: rows[index])(leaf, indices)
