"""The largest loss in a ball, at two points that compute the same."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar

import asam_jax
from experiments.toy.trajectories import NORMALIZATIONS

POINTS = ((1.0, 1.0), (3.0, 1 / 3))
RHO = 0.4
TARGET = 0.5
NUM_ANGLES = 720
METHODS = ("SAM", "ASAM, eta 0")
NORMS = (2.0, math.inf)


def loss(w: Any) -> Any:
    """Returns ``(w1 w2 - 0.5)^2`` of weights [..., 2]: a net of two linear layers."""
    return (w[..., 0] * w[..., 1] - TARGET) ** 2


class Ball(NamedTuple):
    """The points w + eps with ``||T_w^-1 eps||_p <= rho``, in the plane."""

    method: str
    """One of `METHODS`."""
    centre: tuple[float, float]
    p: float
    rho: float

    def boundary(self, angle: Any) -> np.ndarray:
        """Returns the points of the boundary at angles [...]: [..., 2]."""
        direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        length = np.linalg.norm(direction, self.p, axis=-1, keepdims=True)
        scales: Any = NORMALIZATIONS[self.method](jnp.array(self.centre))
        offset = self.rho * np.array(scales, np.float64) * direction / length
        return self.centre + offset

    def worst(self) -> np.ndarray:
        """Returns the point of the largest loss, [2], without any gradient.

        Both extremes of w1 w2 in the ball lie on its boundary, since the product is
        harmonic, and so does the largest square of its distance from a number. The
        boundary is searched densely, then between the neighbours of the best angle.
        """
        angles, spacing = np.linspace(
            -np.pi, np.pi, NUM_ANGLES, endpoint=False, retstep=True
        )
        best = angles[np.argmax(loss(self.boundary(angles)))]
        refined: Any = minimize_scalar(
            lambda angle: -loss(self.boundary(angle)),
            bounds=(best - spacing, best + spacing),
            method="bounded",
            options={"xatol": 1e-10},
        )
        return max(self.boundary(best), self.boundary(refined.x), key=loss)

    def climbed(self) -> np.ndarray:
        """Returns the point w + eps that the library climbs to, [2]."""
        w = jnp.array(self.centre)
        eps = asam_jax.perturbation(
            w,
            jax.grad(loss)(w),
            self.rho,
            normalization=NORMALIZATIONS[self.method],
            p=self.p,
        )
        return np.array(w + eps)

    def record(self) -> dict[str, Any]:
        """Returns the ball and its largest loss for JSON."""
        worst, climbed = self.worst(), self.climbed()
        return {
            "method": self.method,
            "p": f"{self.p:g}",
            "rho": self.rho,
            "centre": list(self.centre),
            "worst_point": worst.tolist(),
            "largest_loss": float(loss(worst)),
            "climbed_point": climbed.tolist(),
            "climbed_loss": float(loss(climbed)),
        }


BALLS = tuple(
    Ball(method, centre, p, RHO)
    for p in NORMS
    for method in METHODS
    for centre in POINTS
)
"""Both methods' balls at both points, in both norms."""
