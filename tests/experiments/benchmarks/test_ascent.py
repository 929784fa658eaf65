"""The ascents that are timed alone."""

import jax
import numpy as np
import pytest

from experiments.benchmarks import ascent

RNG = np.random.default_rng(0)
PARAMS = {"a": {"kernel": RNG.normal(size=(2, 3)).astype(np.float32)}}
GRADS = {"a": {"kernel": RNG.normal(size=(2, 3)).astype(np.float32)}}


def moved(name):
    perturbed = jax.jit(ascent.jax_ascents()[name])(PARAMS, GRADS)
    return np.asarray(perturbed["a"]["kernel"]) - PARAMS["a"]["kernel"]


def test_all_are_the_ascents_that_they_are_called():
    w, g = PARAMS["a"]["kernel"], GRADS["a"]["kernel"]
    plain = ascent.RHO * g / np.linalg.norm(g)
    scale = np.abs(w) + 0.01
    adaptive = ascent.RHO * scale**2 * g / np.linalg.norm(scale * g)
    np.testing.assert_allclose(moved("SAM, asam_jax"), plain, atol=2e-7)
    np.testing.assert_allclose(moved("SAM, optax"), plain, atol=2e-7)
    np.testing.assert_allclose(moved("ASAM, asam_jax"), adaptive, atol=2e-7)
    np.testing.assert_allclose(moved("ASAM, by hand"), adaptive, atol=2e-7)


def test_a_size_is_that_of_all_leaves_together():
    for size in (10**4, 10**8):
        assert ascent.NUM_LEAVES * np.prod(ascent.leaf_shape(size)) == size


def test_time_is_compared_with_that_of_the_necessary_bytes(monkeypatch):
    # A copy reads and writes 8 bytes a parameter, at 16 GB/s here.
    times = {name: np.array([2e-6]) for name in ascent.jax_ascents()}
    times[ascent.COPY] = np.array([0.5e-6])
    monkeypatch.setattr(ascent, "interleave", lambda runs, seconds: times)
    measured = ascent.measure(1000, seconds=0.0, torch_ascent=None)
    assert measured["copy_gigabytes_per_second"]["median"] == pytest.approx(16)
    found = {
        name: row["times_necessary"]["median"]
        for name, row in measured["methods"].items()
    }
    sam, asam = 2.0, 1.6
    assert found == pytest.approx(
        {
            "ASAM, asam_jax": asam,
            "SAM, asam_jax": sam,
            "SAM, optax": sam,
            "ASAM, by hand": asam,
        }
    )


def test_the_ascent_of_another_framework_is_timed_with_the_others():
    calls = []

    def torch_ascent(shape, num_leaves):
        calls.append((shape, num_leaves))
        return lambda num_steps: None

    measured = ascent.measure(1000, seconds=0.0, torch_ascent=torch_ascent)
    assert calls == [((1, 125), 8)]
    assert measured["methods"]["ASAM, pytorch_optimizer"]["temporary_bytes"] is None
