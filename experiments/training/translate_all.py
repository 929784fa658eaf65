"""Translation of a whole split, each sentence once."""

from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from tqdm import tqdm

from experiments.data.buckets import BucketedPairs
from experiments.data.special_tokens import BEGIN, END, PADDING
from experiments.data.subwords import Subwords
from experiments.data.token_batches import NO_PAIR, evaluation_batches, filled_up
from experiments.nets.functional import Params
from experiments.nets.transformer import TransformerNet
from experiments.training.beam_search import BeamConfig
from experiments.training.distributed import is_primary
from experiments.training.sharding import data_mesh, shard_batch
from experiments.training.translate import translate

# Compiled once a shape, for all splits.
_search = jax.jit(translate, static_argnums=(0, 4))


class SearchConfig(NamedTuple):
    """How to search for a translation."""

    beam_size: int
    length_penalty: float


def translate_all(
    net: TransformerNet,
    params: Params,
    pairs: BucketedPairs,
    subwords: Subwords,
    search: SearchConfig,
    *,
    title: str,
) -> list[str]:
    """Translates the sources of all pairs.

    A translation may have a quarter more tokens than its source, and eight besides.

    Args:
        net: The net.
        params: Its parameters, in the dtype of the computation.
        pairs: The pairs, whose targets are not looked at.
        subwords: Of both languages.
        search: How to search.
        title: What is translated, for the progress bar.

    Returns:
        The translations, in the order of the pairs.
    """
    translations = [""] * len(pairs.pairs.sources)
    disable = None if is_primary() else True
    with tqdm(total=len(translations), desc=title, disable=disable) as bar:
        for indices, batch in evaluation_batches(pairs):
            source = filled_up(batch, data_mesh().size).source
            lengths = np.sum(source != PADDING, axis=1)
            limits = np.where(lengths == 0, 1, _limit(lengths)).astype(np.int32)
            config = BeamConfig(
                beam_size=search.beam_size,
                max_length=_limit(source.shape[1]),
                length_penalty=search.length_penalty,
                begin=BEGIN,
                end=END,
                padding=PADDING,
            )
            found = _search(net, params, *shard_batch((source, limits)), config)
            tokens = multihost_utils.process_allgather(found.tokens[:, 0], tiled=True)
            best = subwords.decode(tokens)
            # What was filled up comes last.
            for index, text in zip(indices.tolist(), best, strict=False):
                if index != NO_PAIR:
                    translations[index] = text
                    bar.update()
    return translations


def _limit(length):
    return length * 5 // 4 + 8
