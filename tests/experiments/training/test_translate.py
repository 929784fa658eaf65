import jax
import numpy as np

from experiments.training.beam_search import BeamConfig
from experiments.training.translate import translate
from tests.experiments.nets.problems import variables
from tests.experiments.nets.translation import NET, SOURCE
from tests.experiments.training import search_reference as ref
from tests.experiments.training.search_reference import BEGIN, END, PADDING

CONFIG = BeamConfig(
    beam_size=3,
    max_length=6,
    length_penalty=1.0,
    begin=BEGIN,
    end=END,
    padding=PADDING,
)
LIMITS = np.array([6, 4], np.int32)
PARAMS, _ = variables(NET, seed=8)


@jax.jit
def whole_logits(target):
    return NET.apply(PARAMS, {}, (SOURCE, target), False)[0]


def log_probs(row):
    """The next token's, by the net without a cache."""

    def after(tokens):
        prefix = (BEGIN, *tokens)
        target = np.full((len(SOURCE), CONFIG.max_length), PADDING)
        target[row, : len(prefix)] = prefix
        return ref.log_softmax(whole_logits(target)[row, len(prefix) - 1])

    return after


def test_translations_are_those_of_a_plain_search_without_a_cache():
    hypotheses = jax.jit(translate, static_argnums=(0, 4))(
        NET, PARAMS, SOURCE, LIMITS, CONFIG
    )
    assert hypotheses.tokens.shape == (2, 3, 6)
    for row, limit in enumerate(LIMITS.tolist()):
        expected = ref.beam_search(
            log_probs(row), limit, beam_size=3, length_penalty=1.0
        )
        actual = ref.unpad(hypotheses.tokens[row], hypotheses.scores[row])
        ref.assert_same(actual, expected)
