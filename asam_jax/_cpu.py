"""What XLA on CPU is better told in another way than an accelerator's compiler."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from ._axis import vary_alike
from ._typing import PyTree


def in_cpu_program(compute: Callable[[], Any], *, otherwise: Callable[[], Any]) -> Any:
    """Calls `compute` in programs that are compiled for a CPU, else `otherwise`.

    Args:
        compute: A function of no arguments, for the CPU.
        otherwise: One of the same values, for accelerators and outside `jax.jit`, where
            a branch would be compiled anew at each call.
    """
    is_compiled = isinstance(jnp.zeros([]), Tracer)
    if not is_compiled:
        return otherwise()
    return lax.platform_dependent(cpu=compute, default=otherwise)


def unshared(tree: PyTree) -> PyTree:
    """The same arrays, which XLA on CPU takes for others until it fuses.

    On CPU, XLA hands a sum to a library, together with the operations that lead to it
    as far as nothing else reads their results. What the sum shares with other
    operations it first writes out in full, were it one scalar, broadcast to the shape
    of a leaf. An ascent is bound by memory: written out, the scaled gradient or its
    factors double the time that it takes.

    Accelerators compute shared operands again in each fusion.

    Args:
        tree: Arrays or numbers.

    Returns:
        The arrays. Inside `jax.shard_map` each varies over all axes that one does.
    """
    same = vary_alike(tree)
    return in_cpu_program(
        lambda: lax.optimization_barrier(same), otherwise=lambda: same
    )
