"""Optimizers, as Optax chains that begin with the ascent."""

import jax.numpy as jnp
import optax

import asam_jax
from experiments.training.config import Ascent
from experiments.training.normalizations import NORMALIZATIONS


def climb(ascent: Ascent) -> optax.GradientTransformation:
    """Returns the ascent as the first element of a chain; nothing where rho is 0."""
    if ascent.rho == 0:
        return optax.identity()
    normalization = NORMALIZATIONS[ascent.normalization](ascent.eta)
    p = 2 if ascent.p == 2 else jnp.inf
    return asam_jax.asam(ascent.rho, normalization=normalization, p=p)


def sgd(
    ascent: Ascent,
    *,
    learning_rate: optax.ScalarOrSchedule,
    momentum: float,
    weight_decay: float,
) -> optax.GradientTransformationExtraArgs:
    r"""Returns SGD as the paper's code has it, behind an ascent.

    .. math::
        v \gets \mu v + \nabla L(w + \epsilon) + \lambda w, \quad w \gets w - \alpha v
    """
    return optax.chain(
        climb(ascent),
        optax.add_decayed_weights(weight_decay),
        optax.sgd(learning_rate, momentum=momentum),
    )
