"""The ascent alone, w to w + eps, against the speed of memory.

Necessary are, for ASAM, reading w and g for the norm, reading both again for the step,
and writing w + eps: 20 bytes a float32 parameter. SAM's norm needs g alone: 16 bytes.
What they take at the speed of `numpy.copyto` on warm arrays of the same size, 8 bytes a
parameter, is measured in the same rounds.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import asam_jax
from experiments.benchmarks.methods import ETA, asam_adversary, sam_adversary
from experiments.benchmarks.timing import Run, Times, comparisons, interleave, spread_of

NUM_LEAVES, WIDTH = 8, 125
"""Leaves of one shape, [size / 1000, 125]."""
COPY = "copy"
RHO = 1e-3
NECESSARY_BYTES = {
    "ASAM, asam_jax": 20,
    "SAM, asam_jax": 16,
    "SAM, optax": 16,
    "ASAM, by hand": 20,
    "ASAM, pytorch_optimizer": 20,
}
LIKE_FOR_LIKE = (("SAM, asam_jax", "SAM, optax"), ("ASAM, asam_jax", "ASAM, by hand"))
"""Ours, and a peer in JAX that climbs to the same point."""


def leaf_shape(size: int) -> tuple[int, int]:
    """Returns the shape of each of the eight leaves."""
    return size // (NUM_LEAVES * WIDTH), WIDTH


def jax_ascents() -> dict[str, Callable[[Any, Any], Any]]:
    """Returns functions of parameters and gradients to w + eps.

    Those of the peers are the first half of `optax.contrib.sam`.
    """

    def optax_ascent(adversary):
        def ascent(params, grads):
            updates, _ = adversary.update(grads, adversary.init(params), params)
            return optax.apply_updates(params, jax.tree.map(jnp.negative, updates))

        return ascent

    def ascent(normalization):
        return lambda params, grads: optax.tree.add(
            params,
            asam_jax.perturbation(params, grads, RHO, normalization=normalization),
        )

    return {
        "ASAM, asam_jax": ascent(asam_jax.elementwise(ETA)),
        "SAM, asam_jax": ascent(asam_jax.identity()),
        "SAM, optax": optax_ascent(sam_adversary(RHO)),
        "ASAM, by hand": optax_ascent(asam_adversary(RHO, ETA)),
    }


def measure(
    size: int, seconds: float, torch_ascent: Callable[..., Run] | None
) -> dict[str, Any]:
    """Times every ascent on as many parameters.

    Args:
        size: Number of parameters, a multiple of 1000.
        seconds: When to stop.
        torch_ascent: Shape and number of the leaves to PyTorch's ascent; None where it
            is not installed.

    Returns:
        A record for JSON.
    """
    shape = leaf_shape(size)
    weights, grads = (
        {
            f"layer_{i}": {"kernel": jax.random.normal(key, shape)}
            for i, key in enumerate(jax.random.split(jax.random.key(seed), NUM_LEAVES))
        }
        for seed in (0, 1)
    )
    kept = {"params": weights}  # one tree for all: each ascent donates it
    runs: dict[str, Run] = {COPY: _copy(size)}
    temporary: dict[str, float] = {}
    for name, ascent in jax_ascents().items():
        compiled = jax.jit(ascent, donate_argnums=0).lower(weights, grads).compile()
        runs[name] = _repeated(compiled, kept, grads)
        memory: Any = compiled.memory_analysis()
        temporary[name] = memory.temp_size_in_bytes
    if torch_ascent is not None:
        runs["ASAM, pytorch_optimizer"] = torch_ascent(shape, NUM_LEAVES)
    times = interleave(runs, seconds)
    return {
        "copy_gigabytes_per_second": spread_of(8e-9 * size / times[COPY])._asdict(),
        "methods": {
            name: {
                "seconds": spread_of(times[name])._asdict(),
                "times_necessary": spread_of(_against_copy(times, name))._asdict(),
                "temporary_bytes": temporary.get(name),
            }
            for name in times
            if name != COPY
        },
        "against_peers": comparisons(times, LIKE_FOR_LIKE),
    }


def _against_copy(times: Times, name: str) -> np.ndarray:
    return times[name] / (times[COPY] * NECESSARY_BYTES[name] / 8)


def _repeated(compiled: Any, kept: dict[str, Any], grads: Any) -> Run:
    def run(num_steps: int) -> None:
        for _ in range(num_steps):
            kept["params"] = compiled(kept["params"], grads)
        jax.block_until_ready(kept["params"])

    return run


def _copy(size: int) -> Run:
    source, target = np.ones(size, np.float32), np.zeros(size, np.float32)

    def run(num_steps: int) -> None:
        for _ in range(num_steps):
            np.copyto(target, source)

    return run
