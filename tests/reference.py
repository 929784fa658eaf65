"""ASAM in float64 NumPy, written from the paper; it shares no code with `asam_jax`.

Kwon et al., "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning
of Deep Neural Networks", ICML 2021, sections 3 and 4.

A tree is here a flat dictionary from a name ("head/kernel") to an array.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from flax import traverse_util

Arrays: TypeAlias = dict[str, np.ndarray]
Operator: TypeAlias = Literal["identity", "elementwise", "filterwise"]

WEIGHTS = ("kernel", "scale")
"""What PyTorch, and so the official code, calls ``weight``."""


def flatten(tree: Any) -> Arrays:
    """Nested dictionaries to one flat dictionary of float64 arrays."""
    flat = traverse_util.flatten_dict(tree, sep="/")
    return {name: np.asarray(leaf, np.float64) for name, leaf in flat.items()}


def unflatten(flat: Mapping[str, Any]) -> Any:
    return traverse_util.unflatten_dict(flat, sep="/")


def scales(params: Arrays, *, operator: Operator, eta: float) -> Arrays:
    """The diagonal of T_w: |w| + eta or ||f_j|| + eta for weights, 1 for the rest."""

    def scale(name: str, w: np.ndarray) -> np.ndarray:
        if operator == "identity" or name.split("/")[-1] not in WEIGHTS:
            return np.ones_like(w)
        if operator == "filterwise" and w.ndim == 4:
            height, width, channels, filters = w.shape
            columns = w.reshape(height * width * channels, filters)
            lengths = np.sqrt(np.sum(columns**2, axis=0))
            return np.tile(lengths, (height, width, channels, 1)) + eta
        return np.abs(w) + eta

    return {name: scale(name, w) for name, w in params.items()}


def perturbation(grads: Arrays, scales: Arrays, *, rho: float, p: float) -> Arrays:
    """The maximiser rho T sign(g) |T g|^(q-1) / ||T g||_q^(q-1) with 1/p + 1/q = 1."""
    q = 1.0 if p == np.inf else p / (p - 1)
    scaled = {name: scales[name] * g for name, g in grads.items()}
    norm = sum(np.sum(np.abs(x) ** q) for x in scaled.values()) ** (1 / q)
    if norm == 0:
        return {name: np.zeros_like(g) for name, g in grads.items()}
    return {
        name: rho * scales[name] * np.sign(g) * (np.abs(scaled[name]) / norm) ** (q - 1)
        for name, g in grads.items()
    }


def radius(eps: Arrays, scales: Arrays, p: float) -> float:
    """||T^-1 eps||_p; where T is 0, eps has to be 0 and counts as 0."""
    quotients = []
    for name, x in eps.items():
        flat = scales[name] == 0
        assert not np.any(x[flat])
        quotients.append((x / np.where(flat, 1, scales[name])).ravel())
    return float(np.linalg.norm(np.concatenate(quotients), ord=p))


def inner(a: Arrays, b: Arrays) -> float:
    """<a, b> over all arrays."""
    return float(sum(np.sum(a[name] * b[name]) for name in a))


def train(
    params: Arrays,
    gradients: Sequence[Callable[[Arrays], Arrays]],
    radii: Iterable[float],
    *,
    operator: Operator,
    eta: float,
    p: float,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    unperturbed: frozenset[str] = frozenset(),
) -> list[Arrays]:
    """SGD with momentum, weight decay and the sharpness-aware gradient.

    Args:
        params: The parameters to start from.
        gradients: For each step, the gradient of the loss on its mini-batch.
        radii: For each step, rho.
        operator: The normalization operator.
        eta: Its stabiliser.
        p: The norm of the ball.
        learning_rate: The learning rate of SGD.
        momentum: The momentum of SGD, without Nesterov.
        weight_decay: The decay lambda, applied at w to all parameters.
        unperturbed: The names with eps = 0, outside the norm.

    Returns:
        The parameters before each step, and those after the last.
    """
    velocity = {name: np.zeros_like(w) for name, w in params.items()}
    trajectory = [params]
    for gradient, rho in zip(gradients, radii, strict=True):
        climbed = {k: g for k, g in gradient(params).items() if k not in unperturbed}
        ball = scales(params, operator=operator, eta=eta)
        eps = perturbation(climbed, ball, rho=rho, p=p)
        ascended = gradient({k: w + eps.get(k, 0.0) for k, w in params.items()})
        velocity = {
            k: momentum * velocity[k] + ascended[k] + weight_decay * w
            for k, w in params.items()
        }
        params = {k: w - learning_rate * velocity[k] for k, w in params.items()}
        trajectory.append(params)
    return trajectory
