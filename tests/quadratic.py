"""A quadratic loss whose highest point in a ball is known, in float64 NumPy."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from scipy import optimize


@dataclasses.dataclass(frozen=True, eq=False)
class Quadratic:
    """L(w) = <slope, w> + <w, hessian w> / 2."""

    hessian: np.ndarray
    slope: np.ndarray

    def __call__(self, w):
        """Returns the loss, in JAX."""
        hessian, slope = jnp.asarray(self.hessian), jnp.asarray(self.slope)
        return slope @ w + w @ hessian @ w / 2

    def rise(self, w, eps):
        """L(w + eps) - L(w) for eps [..., n]."""
        grad = self.slope + self.hessian @ w
        return eps @ grad + np.sum(eps * (eps @ self.hessian), axis=-1) / 2

    def argmax_on_ellipsoid(self, w, scales, rho):
        r"""The worst eps with ``||eps / scales||_2 <= rho``, by its secular equation.

        In delta = eps / scales the maximiser solves ``(mu I - M) delta = g`` with
        ``mu > max(0, lambda_max(M))`` and ``||delta|| = rho``, if some curvature is
        positive (More and Sorensen, 1983).
        """
        matrix = scales[:, None] * self.hessian * scales
        grad = scales * (self.slope + self.hessian @ w)
        values, vectors = np.linalg.eigh(matrix)
        projected = vectors.T @ grad
        excess = lambda mu: np.linalg.norm(projected / (mu - values)) - rho
        largest = max(0.0, values[-1])
        mu = optimize.brentq(excess, largest + 1e-9, largest + 1e6, xtol=1e-12)
        return scales * (vectors @ (projected / (mu - values)))


def quadratic(seed: int, size: int, *, definite: bool) -> tuple[Quadratic, np.ndarray]:
    """A random loss, with positive curvature only or both signs, and a point."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(size, size))
    hessian = half @ half.T / size if definite else (half + half.T) / 2
    return Quadratic(hessian, rng.normal(size=size)), rng.normal(size=size)
