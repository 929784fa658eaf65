"""The diagonal of T_w at the parameters, checked."""

from typing import Any

import jax

from ._precision import at_least_float32
from ._selection import select
from ._typing import Normalization, PyTree, Where
from ._validation import check_perturbable, check_scales, check_unmasked


def checked_scales(
    params: PyTree, normalization: Normalization, mask: Where | None
) -> tuple[PyTree, PyTree, Any]:
    """Evaluates a normalization.

    Args:
        params: The parameters w.
        normalization: Parameters to the diagonal of T_w.
        mask: The leaves that are perturbed; None for all.

    Returns:
        The parameters in float32 at least, the diagonal of T_w, and the mask as a tree
        of booleans.

    Raises:
        ValueError: If the scales do not fit, or nothing is left to perturb.
        TypeError: If a parameter that is not masked out has no gradient.
    """
    check_unmasked(params)
    kept = select(True if mask is None else mask, params)
    check_perturbable(params, kept)
    params = jax.tree.map(at_least_float32, params)
    scales = normalization(params)
    check_scales(scales, params)
    return params, scales, kept
