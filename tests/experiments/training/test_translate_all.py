import jax
import jax.numpy as jnp

from experiments.data.buckets import into_buckets, make_buckets
from experiments.data.numbers import number_pairs
from experiments.data.special_tokens import END
from experiments.data.subwords import Subwords, train_subwords
from experiments.data.token_pairs import TokenPairs
from experiments.nets.attention import KeysValues
from experiments.nets.transformer import Memory, TransformerNet
from experiments.training.translate_all import SearchConfig, translate_all
from tests.experiments.nets.translation import NET

SENTENCES = number_pairs(0, num_train=60, num_validation=0, num_test=0).train.sources
SUBWORDS = Subwords(train_subwords(SENTENCES, 60))
SOURCES = SUBWORDS.encode(SENTENCES)
BUCKETS = make_buckets([13, 20], 60)
# Batches of 4 and 3, for 8 devices; the targets are not looked at.
PAIRS = into_buckets(TokenPairs(SOURCES, [ids[:1] for ids in SOURCES]), BUCKETS)
SEARCH = SearchConfig(beam_size=2, length_penalty=1.0)


def copy_net() -> TransformerNet:
    """Returns a net whose next token is that of the source; `params` are added."""

    def encode(params, source):
        tokens = source[:, :, None, None]
        return Memory((KeysValues(tokens, tokens),), source[:, None] != 0)

    def decode_step(params, memory, cache, token, position):
        source = memory.layers[0].keys[..., 0, 0]
        copied = jnp.take(source, position, axis=1, mode="clip")
        return 50 * jax.nn.one_hot(copied, len(SUBWORDS)) + params[None], cache

    return NET._replace(encode=encode, decode_step=decode_step)


def copies(params):
    return translate_all(copy_net(), params, PAIRS, SUBWORDS, SEARCH, title="test")


def test_translations_come_in_the_order_of_the_pairs():
    for bucket, members in zip(BUCKETS, PAIRS.members, strict=True):
        assert len(members) > bucket.batch and len(members) % bucket.batch
    assert copies(jnp.zeros(len(SUBWORDS))) == SENTENCES


def test_a_translation_may_have_a_quarter_more_tokens_and_eight_besides():
    word = SUBWORDS.encode(["neun"])[0][-1]
    params = jnp.zeros(len(SUBWORDS)).at[word].set(100).at[END].set(-100)
    for text, source in zip(copies(params), SOURCES, strict=True):
        limit = 5 * (len(source) + 1) // 4 + 8  # its end and that of the source count
        assert text == "neun" * (limit - 1)
