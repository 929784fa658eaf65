"""Everything that the page shows, as plain numbers."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import asam_jax
from experiments.sharpness_report.config import Options
from experiments.sharpness_report.trained import TrainedNet

BALLS = {"plain": asam_jax.identity(), "adaptive": asam_jax.elementwise()}


def measures(net: TrainedNet, options: Options) -> Iterator[tuple[str, Any]]:
    """Yields each measure under its name, as it is done.

    `sharpness` is a list of records; `eigenvalues`, `trace` and `density` are those of
    H (plain) and T H T (adaptive); `landscape` holds two axes and a plane of losses.
    """
    yield (
        "sharpness",
        [_sharpness(net, options, *case) for case in _cases(net, options)],
    )
    yield "eigenvalues", _each(_eigenvalues, net, options)
    yield "trace", _each(_trace, net, options)
    yield "density", _each(_density, net, options)
    yield "landscape", _landscape(net, options)


def num_measures() -> int:
    """Returns how many measures there are."""
    return 5


def _cases(net: TrainedNet, options: Options):
    """Ball, p and radius; the cube of p = inf lies inside the ball of p = 2."""
    num_params = sum(leaf.size for leaf in jax.tree.leaves(net.params))
    for ball, rho in (("plain", options.rho), ("adaptive", options.adaptive_rho)):
        yield ball, 2, rho
        yield ball, math.inf, rho / math.sqrt(num_params)


def _loss(net: TrainedNet) -> dict[str, Any]:
    return {"batches": net.batches, "args": (net.model_state,)}


def _sharpness(net: TrainedNet, options: Options, ball: str, p: float, rho: float):
    one_step, worst = (
        asam_jax.sharpness(
            net.loss_fn,
            net.params,
            rho=rho,
            p=p,
            normalization=BALLS[ball],
            num_steps=num_steps,
            **_loss(net),
        )
        for num_steps in (0, options.num_steps)
    )
    return {
        "ball": ball,
        "p": "inf" if p == math.inf else p,
        "rho": rho,
        "clean_loss": worst.clean_loss,
        "one_step": one_step.value,
        "worst_case": worst.value,
        "gap": worst.gap,
        "converged": worst.converged,
    }


def _each(measure, net: TrainedNet, options: Options) -> dict[str, Any]:
    key = jax.random.key(options.seed)
    return {
        ball: measure(net, options, normalization, key)
        for ball, normalization in BALLS.items()
    }


def _eigenvalues(net: TrainedNet, options: Options, normalization, key):
    del key  # ARPACK starts from a fixed vector
    pairs = asam_jax.hessian_eigenvalues(
        net.loss_fn,
        net.params,
        num=options.num_eigenvalues,
        tolerance=0.01,
        normalization=normalization,
        **_loss(net),
    )
    return pairs.values.tolist()


def _trace(net: TrainedNet, options: Options, normalization, key):
    trace = asam_jax.hessian_trace(
        net.loss_fn,
        net.params,
        key=key,
        num_samples=options.num_lanczos,
        normalization=normalization,
        **_loss(net),
    )
    return {"value": trace.value, "standard_error": trace.standard_error}


def _density(net: TrainedNet, options: Options, normalization, key):
    density = asam_jax.hessian_density(
        net.loss_fn,
        net.params,
        key=key,
        num_samples=1,
        num_steps=options.num_lanczos,
        normalization=normalization,
        **_loss(net),
    )
    return {"nodes": density.nodes[0].tolist(), "weights": density.weights[0].tolist()}


def _landscape(net: TrainedNet, options: Options):
    keys = jax.random.split(jax.random.key(options.seed))
    directions = [asam_jax.filter_normalized_direction(key, net.params) for key in keys]
    side = np.linspace(-options.extent, options.extent, options.num_points)
    grid = jnp.asarray(np.stack(np.meshgrid(side, side), axis=-1))
    losses = asam_jax.loss_slice(
        net.loss_fn, net.params, directions, grid, **_loss(net)
    )
    return {"offsets": side.tolist(), "losses": losses.tolist()}
