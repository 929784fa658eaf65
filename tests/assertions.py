"""Assertions about trees of arrays."""

from typing import Any

import chex
import jax
import numpy as np


def assert_trees_close(
    actual: Any, expected: Any, *, rtol: float, atol: float = 0.0
) -> None:
    """Compares structure, shapes and dtypes exactly, and values within a tolerance.

    Args:
        actual: A tree of arrays.
        expected: A tree of arrays; NaNs in it are expected to be NaN.
        rtol: Relative tolerance, element by element.
        atol: Absolute tolerance.
    """
    chex.assert_trees_all_equal_shapes_and_dtypes(actual, expected)
    chex.assert_trees_all_close(actual, expected, rtol=rtol, atol=atol)


def assert_leaves_close(actual: Any, expected: Any, *, tol: float) -> None:
    r"""Asserts ``max |a - b| <= tol * max(1e-3, max |b|)``, leaf by leaf.

    The measure suits long computations, after which an element that happens to be near
    zero carries the rounding of its whole leaf. Dtypes may differ.
    """
    chex.assert_trees_all_equal_structs(actual, expected)

    def check(path, a, b):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert a.shape == b.shape
        error = np.max(np.abs(a - b)) / max(1e-3, np.max(np.abs(b)))
        assert error <= tol, f"{jax.tree_util.keystr(path)}: {error:.2e} > {tol:.0e}"

    jax.tree_util.tree_map_with_path(check, actual, expected)
