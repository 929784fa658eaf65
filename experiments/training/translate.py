"""Translation: a transformer and beam search."""

import jax

from experiments.nets.functional import Params
from experiments.nets.transformer import TransformerNet, empty_cache
from experiments.training.beam_search import BeamConfig, Hypotheses, beam_search


def translate(
    net: TransformerNet,
    params: Params,
    source: jax.Array,
    limits: jax.Array,
    config: BeamConfig,
) -> Hypotheses:
    """Translates a batch; to be compiled with `net` and `config` fixed.

    Args:
        net: The net.
        params: Its parameters, in the dtype of the computation.
        source: Tokens, int32 [batch, length].
        limits: Most tokens of each translation, int32 [batch]. For a row of padding, 1
            wastes no time.
        config: The search.

    Returns:
        The best hypotheses of each source.
    """
    memory = net.encode(params, source)

    def step(cache, tokens, position):
        def decode(cache, token):
            return net.decode_step(params, memory, cache, token, position)

        # All hypotheses of a source share its memory, which is not repeated.
        return jax.vmap(decode, in_axes=1, out_axes=1)(cache, tokens)

    cache = empty_cache(memory, config.max_length)
    return beam_search(step, cache, limits, config)
