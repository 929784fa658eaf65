"""Label noise as a pure function of a seed and the labels.

A noise rate means an exact share: `round(rate * num)` examples are chosen without
replacement, so that runs differ in which labels are wrong and not in how many were
drawn.
"""

import numpy as np


def symmetric_noise(
    seed: int,
    labels: np.ndarray,
    rate: float,
    num_classes: int,
    *,
    others_only: bool = False,
) -> np.ndarray:
    """Redraws a share of the labels uniformly.

    Drawn from all K classes, a redrawn label keeps its value with probability 1 / K:
    at rate 0.4 and K = 10, 36 % of the labels are wrong. Drawn from the K - 1 others,
    the whole 40 % are. The literature calls both symmetric noise; `changed_share`
    tells what was done.

    Args:
        seed: The noise is the same for the same seed and labels.
        labels: Integers in [0, num_classes), [num].
        rate: The share of labels that is redrawn, in [0, 1].
        num_classes: K.
        others_only: Draw from the K - 1 other classes instead of from all K.

    Returns:
        The noisy labels; shape and dtype of `labels`.
    """
    rng = np.random.default_rng(seed)
    chosen = _choose(rng, labels, rate, num_classes)
    noisy = np.array(labels)
    if others_only:
        shift = rng.integers(1, num_classes, size=len(chosen))
        noisy[chosen] = (noisy[chosen] + shift) % num_classes
    else:
        noisy[chosen] = rng.integers(num_classes, size=len(chosen))
    return noisy


def pair_flip_noise(
    seed: int, labels: np.ndarray, rate: float, num_classes: int
) -> np.ndarray:
    """Turns a share of the labels c into c + 1 mod K.

    Args:
        seed: The noise is the same for the same seed and labels.
        labels: Integers in [0, num_classes), [num].
        rate: The share of labels that is flipped, in [0, 1].
        num_classes: K.

    Returns:
        The noisy labels; shape and dtype of `labels`.
    """
    rng = np.random.default_rng(seed)
    chosen = _choose(rng, labels, rate, num_classes)
    noisy = np.array(labels)
    noisy[chosen] = (noisy[chosen] + 1) % num_classes
    return noisy


def changed_share(labels: np.ndarray, noisy: np.ndarray) -> float:
    """Returns the share of labels that the noise really changed, in [0, 1]."""
    return float(np.mean(np.asarray(labels) != np.asarray(noisy)))


def _choose(
    rng: np.random.Generator, labels: np.ndarray, rate: float, num_classes: int
) -> np.ndarray:
    """Returns the indices of the examples that receive noise."""
    if not 0 <= rate <= 1:
        raise ValueError(f"the noise rate must be in [0, 1], not {rate}")
    if len(labels) and not 0 <= np.min(labels) <= np.max(labels) < num_classes:
        raise ValueError(f"labels must be in [0, {num_classes})")
    return rng.permutation(len(labels))[: round(rate * len(labels))]
