"""The methods that are compared."""

import dataclasses
from collections.abc import Callable

import jax
import optax

import asam_jax
from experiments.digits.config import Config


@dataclasses.dataclass(frozen=True)
class Method:
    """One way to train.

    Attributes:
        name: As in the table.
        ascent: From rho to the first element of the Optax chain.
        rhos: The radii that are tried; 0 alone where there is none.
        epochs: Passes over the training set.
        gradients_per_step: What a step costs.
    """

    name: str
    ascent: Callable[[jax.Array], optax.GradientTransformation]
    rhos: tuple[float, ...]
    epochs: int
    gradients_per_step: int


def methods(config: Config) -> list[Method]:
    """SGD with as many steps, SGD with as many gradients, SAM and ASAM."""

    def no_ascent(rho: jax.Array) -> optax.GradientTransformation:
        del rho
        return optax.with_extra_args_support(optax.identity())

    def asam(rho: jax.Array) -> optax.GradientTransformation:
        return asam_jax.asam(rho, eta=config.eta)

    epochs = config.epochs
    return [
        Method("SGD, equal steps", no_ascent, (0.0,), epochs, 1),
        Method("SGD, equal compute", no_ascent, (0.0,), 2 * epochs, 1),
        Method("SAM", asam_jax.sam, config.sam_rhos, epochs, 2),
        Method("ASAM", asam, config.asam_rhos, epochs, 2),
    ]
