"""The ascent: the worst perturbation of the parameters in a ball around them."""

import functools

import jax
import jax.numpy as jnp

from ._norm import rescaled_norm
from ._normalization import elementwise
from ._precision import at_least_float32
from ._scales import checked_scales
from ._typing import Normalization, PyTree, Where
from ._validation import check_like, check_nonnegative, check_p


def perturbation(
    params: PyTree,
    grads: PyTree,
    rho: jax.typing.ArrayLike,
    *,
    normalization: Normalization = elementwise(),
    p: float = 2,
    mask: Where | None = None,
) -> PyTree:
    r"""The perturbation that raises a linear loss most within the ball.

    .. math::
      \epsilon = \arg\max_\epsilon
        \{ \langle g, \epsilon \rangle : \|T_w^{-1} \epsilon\|_p \le \rho \}
      = \begin{cases}
        \rho \, T_w^2 g / \|T_w g\|_2 & p = 2 \\
        \rho \, T_w \, \mathrm{sign}(g) & p = \infty
      \end{cases}

    The norm runs over all leaves together; inside `jax.shard_map` over what a device
    holds, which has to be whole leaves. Everything is computed in float32 at least
    (float64 for float64 leaves), and again from T and g times a power of two where a
    square of :math:`T_w g` overflows or underflows.

    Where the gradient is zero or not finite there is no direction, and
    :math:`\epsilon = 0`: the step is then a plain one, never NaN. The same holds for a
    `rho` that turns out negative, not finite, or below 1e-38 of the norm in float32,
    and for scales so extreme that in float32 :math:`\|T_w g\|` is below 1e-41 or above
    1e46, or below 1e-12 beside single gradients above 1e24. (XLA takes denormal numbers
    for zero on some backends, the CPU among them.)

    Args:
        params: The parameters w, a tree of floating or complex arrays.
        grads: The gradients g at w, like `params`. Those of complex leaves as
            `jax.grad` returns them: they are conjugated here, so that the step ascends.
        rho: The radius, >= 0.
        normalization: Parameters to the diagonal of T_w: `elementwise`, `filterwise`,
            `identity` or any function from parameters to scales that broadcast to them.
            It is traced several times, and must not communicate between devices.
        p: The norm of the ball, 2 or ``jax.numpy.inf``.
        mask: The leaves that are perturbed, all by default: a tree of booleans or a
            function ``(path, leaf) -> bool``. The others get 0 and are left out of the
            norm.

    Returns:
        A tree like `params`, in float32 at least.

    Raises:
        ValueError: If `rho` is negative or not finite, `p` is unknown, the trees do not
            match, or nothing is left to perturb.
        TypeError: If `rho` is no number, or a parameter that is not masked out is
            neither floating nor complex.

    Example:
        >>> import asam_jax, jax.numpy as jnp
        >>> params = {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([5.0])}
        >>> grads = {"kernel": jnp.array([[3.0, 1.0]]), "bias": jnp.array([0.0])}
        >>> eps = asam_jax.perturbation(
        ...     params, grads, rho=0.1, normalization=asam_jax.identity())
        >>> [round(float(x), 4) for x in eps["kernel"][0]]
        [0.0949, 0.0316]
        >>> eps = asam_jax.perturbation(params, grads, rho=0.1)
        >>> [round(float(x), 4) for x in eps["kernel"][0]]
        [0.0842, 0.1111]

    References:
        Kwon et al., `ASAM <https://arxiv.org/abs/2102.11600>`_, 2021, section 3; Foret
        et al., `SAM <https://arxiv.org/abs/2010.01412>`_, 2021, section 2.
    """
    check_nonnegative("rho", rho)
    check_p(p)
    params, scales, kept = checked_scales(params, normalization, mask)
    check_like("grads", grads, params)

    # Leaves that are masked out may be integers with float0 gradients: not touched.
    climbed = [jnp.conj(at_least_float32(grad)) for grad in _kept(grads, kept)]
    own_scales = _kept(scales, kept)
    rho = at_least_float32(rho)
    rho = jnp.where(jnp.isfinite(rho) & (rho >= 0), rho, 0)
    with jax.numpy_dtype_promotion("standard"):  # here, whatever the user has elsewhere
        if p == 2:
            r, norm = rescaled_norm(
                lambda params: _kept(normalization(params), kept), params, climbed
            )
            eps = iter(_maximise_euclidean(rho, own_scales, climbed, r, norm))
        else:
            eps = iter(_maximise_infinity(rho, own_scales, climbed))
    return jax.tree.map(
        lambda w, keep: next(eps).astype(w.dtype) if keep else jnp.zeros_like(w),
        params,
        kept,
    )


def _kept(tree: PyTree, kept: PyTree) -> list:
    leaves = zip(jax.tree.leaves(tree), jax.tree.leaves(kept), strict=True)
    return [leaf for leaf, keep in leaves if keep]


def _maximise_euclidean(
    rho: jax.Array,
    scales: list[jax.Array],
    grads: list[jax.Array],
    r: jax.Array,
    norm: jax.Array,
) -> list[jax.Array]:
    """``rho * T^2 g / ||T g||_2``, where norm is ``||r T (r g)||_2``."""
    # XLA computes a division once. A cheaper operation it would copy into the loop of
    # every leaf, and with it the sum over all leaves: compile time would grow with the
    # square of their number, 20 s at 200.
    inverse = 1 / norm
    factor = rho.astype(norm.dtype) * inverse
    # At rho = 0, too, eps has a derivative with respect to rho: not `factor > 0`.
    return [
        jnp.where(inverse > 0, scale * (factor * (r * (scale * (r * grad)))), 0)
        for scale, grad in zip(scales, grads, strict=True)
    ]


def _maximise_infinity(
    rho: jax.Array, scales: list[jax.Array], grads: list[jax.Array]
) -> list[jax.Array]:
    """``rho * T sign(g)``."""
    exists = 1 / jnp.where(_have_direction(grads), 1, jnp.inf)  # divided as above
    return [
        jnp.where(
            (exists > 0) & jnp.isfinite(scale),
            rho * jnp.abs(scale) * jnp.sign(grad),
            0,
        )
        for scale, grad in zip(scales, grads, strict=True)
    ]


def _have_direction(grads: list[jax.Array]) -> jax.Array:
    """Whether all gradients are finite and one is not zero."""
    peaks = [jnp.max(jnp.abs(grad), initial=0) for grad in grads]
    peak = functools.reduce(jnp.maximum, peaks)  # NaN if one gradient is
    return (peak > 0) & jnp.isfinite(peak)
