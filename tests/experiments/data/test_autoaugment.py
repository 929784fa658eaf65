import collections
import itertools

import jax
import numpy as np
import pytest

from experiments.data.autoaugment import CIFAR10_POLICY, OPERATIONS, autoaugment

KEY = jax.random.key(0)
BATCH = 256
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(40, 200, size=(20, 20, 3), dtype=np.uint8)
NOISE = RNG.integers(256, size=(BATCH, 20, 20, 3), dtype=np.uint8)
AUGMENT = jax.jit(autoaugment)


def outcomes(name, probability, level):
    """Yields each (probability, operation, magnitude) of one slot of a sub-policy."""
    operation, magnitudes, signed = OPERATIONS[name]
    yield 1 - probability, OPERATIONS["identity"].apply, 0.0
    for sign in (1, -1) if signed else (1,):
        share = probability / 2 if signed else probability
        yield share, operation, sign * magnitudes[level]


def expected_distribution():
    """Returns every image that the policy makes of `IMAGE`, with its probability."""
    operations = {op.apply: jax.jit(op.apply) for op in OPERATIONS.values()}
    distribution = collections.Counter()
    for first, second in CIFAR10_POLICY:
        for (p1, op1, m1), (p2, op2, m2) in itertools.product(
            outcomes(*first), outcomes(*second)
        ):
            image = operations[op2](operations[op1](IMAGE, m1), m2)
            distribution[np.asarray(image).tobytes()] += p1 * p2 / len(CIFAR10_POLICY)
    images = [np.frombuffer(image, np.uint8) for image in distribution]
    return np.array(images, np.float32), np.array(list(distribution.values()))


def test_the_policy_has_the_published_operations():
    slots = list(itertools.chain(*CIFAR10_POLICY))
    assert len(CIFAR10_POLICY) == 25
    # Counted in torchvision: uses, sum of the probabilities, sum of the levels.
    published = {
        "shear_y": (2, 0.7, 15),
        "translate_x": (2, 0.8, 17),
        "translate_y": (5, 3.4, 39),
        "rotate": (1, 0.7, 2),
        "brightness": (4, 2.3, 25),
        "color": (5, 2.9, 27),
        "contrast": (2, 0.8, 13),
        "sharpness": (5, 2.8, 24),
        "posterize": (1, 0.3, 7),
        "solarize": (4, 1.9, 18),
        "invert": (3, 0.2, 0),
        "autocontrast": (7, 5.0, 0),
        "equalize": (9, 4.7, 0),
    }
    for name, expected in published.items():
        uses = [(1, p, level) for operation, p, level in slots if operation == name]
        np.testing.assert_allclose(np.sum(uses, axis=0), expected)


def test_the_policy_has_the_published_distribution():
    candidates, probabilities = expected_distribution()
    np.testing.assert_allclose(probabilities.sum(), 1)

    images = np.broadcast_to(IMAGE, (BATCH, *IMAGE.shape))
    made = np.concatenate([AUGMENT(key, images) for key in jax.random.split(KEY, 8)])
    num = len(made)
    distances = [np.abs(image.ravel() - candidates).max(axis=1) for image in made]
    # Rounding in a compiled branch moves a value by one, equalizing then by a few.
    assert np.max(np.min(distances, axis=1)) <= 4
    counts = np.bincount(np.argmin(distances, axis=1), minlength=len(candidates))
    deviation = np.sqrt(num * probabilities * (1 - probabilities))
    assert np.all(np.abs(counts - num * probabilities) < 5 * deviation + 1)


def test_what_accelerators_compute_is_what_a_cpu_computes(monkeypatch):
    one_by_one = AUGMENT(KEY, NOISE)
    monkeypatch.setattr(
        jax.lax, "platform_dependent", lambda *args, cpu, default: default(*args)
    )
    vectorized = jax.jit(lambda *args: autoaugment(*args))(KEY, NOISE)
    assert one_by_one.dtype == np.uint8
    np.testing.assert_allclose(
        np.asarray(one_by_one, int), np.asarray(vectorized, int), atol=4
    )
    assert np.mean(one_by_one != vectorized) < 1e-3


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_an_accelerator_goes_through_no_loop_of_images(platform):
    traced = jax.jit(autoaugment).trace(KEY, NOISE)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert "stablehlo.while" not in program


def test_randomness_comes_from_the_key_alone():
    first, again = AUGMENT(KEY, NOISE), AUGMENT(KEY, NOISE)
    np.testing.assert_array_equal(first, again)
    other = AUGMENT(jax.random.key(1), NOISE)
    assert np.mean(np.any(first != other, axis=(1, 2, 3))) > 0.5
