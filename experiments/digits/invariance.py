"""What only ASAM has: a perturbation that rescaling the weights does not change."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import asam_jax
from experiments.digits import mlp
from experiments.digits.config import Config

NUM_RHOS = 21

LossFn = Callable[[mlp.Params], jax.Array]


class Climb(NamedTuple):
    """The loss L(w + eps) against rho, at a net and at its rescaled twin.

    Attributes:
        rhos: The radii, [rho].
        net: The losses from the net, [rho].
        twin: The losses from the twin, [rho].
    """

    rhos: np.ndarray
    net: np.ndarray
    twin: np.ndarray

    @property
    def largest_shift(self) -> float:
        """The largest change of the loss from net to twin, relative to the net's."""
        return float(np.max(np.abs(self.twin / self.net - 1)))

    def record(self) -> dict[str, Any]:
        """Returns the curves for JSON."""
        curves = {name: curve.tolist() for name, curve in self._asdict().items()}
        return curves | {"largest_shift": self.largest_shift}


def rescaled_twin(params: mlp.Params, seed: int, max_factor: float) -> mlp.Params:
    """Other weights, the same function.

    Multiplies what enters a hidden unit by c > 0, bias included, and divides what
    leaves it by c, as relu(c z) = c relu(z) permits. Each unit has its own c.

    Args:
        params: The net.
        seed: Fixes the factors.
        max_factor: They are log-uniform between 1 / max_factor and max_factor.
    """
    rng = np.random.default_rng(seed)
    twin = [dict(layer) for layer in params]
    for layer, following in itertools.pairwise(twin):
        exponent = rng.uniform(-1, 1, size=layer["bias"].shape)
        factor = (max_factor**exponent).astype(np.float32)
        layer["kernel"] = layer["kernel"] * factor[None]
        layer["bias"] = layer["bias"] * factor
        following["kernel"] = following["kernel"] / factor[:, None]
    return twin


def climbs(
    loss_fn: LossFn, net: mlp.Params, twin: mlp.Params, config: Config
) -> dict[str, Climb]:
    """Climbs from both nets in three balls, up to the largest rho that is trained with.

    The ball of the theory has eta = 0 and T_w = abs(w) for every parameter, biases
    included. The one that is trained with has eta > 0, without which a weight at 0
    would stay out of the perturbation, and T = 1 for biases: it is not invariant.

    Args:
        loss_fn: From parameters to the loss on fixed data.
        net: The parameters w.
        twin: Parameters that compute the same function.
        config: The settings.

    Returns:
        The curves by ball.
    """
    everywhere = asam_jax.elementwise(eta=0.0, where=lambda path, leaf: True)
    sam_rhos = np.linspace(0, config.sam_rhos[-1], NUM_RHOS)
    asam_rhos = np.linspace(0, config.asam_rhos[-1], NUM_RHOS)
    balls = {
        "SAM": (asam_jax.identity(), sam_rhos),
        "ASAM in theory": (everywhere, asam_rhos),
        "ASAM as trained": (asam_jax.elementwise(config.eta), asam_rhos),
    }
    gradient = jax.jit(jax.grad(loss_fn))

    @functools.partial(jax.jit, static_argnames="normalization")
    def loss_at(params, grads, rho, *, normalization):
        eps = asam_jax.perturbation(params, grads, rho, normalization=normalization)
        return loss_fn(optax.tree.add(params, eps))

    def losses(params, normalization, rhos):
        grads = gradient(params)
        return np.array(
            [loss_at(params, grads, rho, normalization=normalization) for rho in rhos]
        )

    return {
        name: Climb(rhos, *(losses(w, normalization, rhos) for w in (net, twin)))
        for name, (normalization, rhos) in balls.items()
    }
