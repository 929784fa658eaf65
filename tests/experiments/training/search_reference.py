"""Searches in plain Python, one source at a time and without early stopping."""

import itertools

import numpy as np

PADDING, BEGIN, END = 0, 1, 2


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.log(np.exp(logits).sum())


def beam_search(log_probs, limit, *, beam_size, length_penalty):
    """Returns up to `beam_size` of `(tokens, score)`, the best first.

    Args:
        log_probs: `log_probs(tokens) -> [vocabulary]`, of the next token.
        limit: Most tokens of a hypothesis.
        beam_size: How many are kept.
        length_penalty: The exponent of the length.
    """
    live, finished = [((), 0.0)], []
    for length in range(1, limit + 1):
        longer = []
        for tokens, total in live:
            for token, log_prob in enumerate(log_probs(tokens)):
                if token == END:
                    score = (total + log_prob) / length**length_penalty
                    finished.append(((*tokens, END), score))
                elif token != PADDING:
                    longer.append(((*tokens, token), total + log_prob))
        live = best(longer, beam_size)
    return best(finished, beam_size)


def exhaustive_search(log_probs, limit, num_tokens, *, length_penalty):
    """Returns `(tokens, score)` of every sequence that ends, the best first."""
    words = [token for token in range(num_tokens) if token not in (PADDING, END)]
    finished = []
    for length in range(1, limit + 1):
        for prefix in itertools.product(words, repeat=length - 1):
            tokens = (*prefix, END)
            total = sum(log_probs(tokens[:i])[token] for i, token in enumerate(tokens))
            finished.append((tokens, total / length**length_penalty))
    return best(finished, len(finished))


def best(hypotheses, count):
    return sorted(hypotheses, key=lambda pair: -pair[1])[:count]


def unpad(tokens, scores):
    """Returns the hypotheses of a source, without padding and empty slots."""
    found = []
    for row, score in zip(np.asarray(tokens), np.asarray(scores), strict=True):
        length = np.count_nonzero(row != PADDING)
        assert not np.any(row[length:]) and np.isfinite(score) == (length > 0)
        if length:
            found.append((tuple(row[:length].tolist()), score.item()))
    return found


def assert_same(actual, expected):
    assert [tokens for tokens, _ in actual] == [tokens for tokens, _ in expected]
    np.testing.assert_allclose(
        [score for _, score in actual], [score for _, score in expected], rtol=1e-5
    )
