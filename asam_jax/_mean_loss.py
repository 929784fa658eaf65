"""The loss over a whole data set: its value, its gradient and its curvature."""

import dataclasses
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._programs import Programs
from ._typing import PyTree

_NOISE = 1e-4  # relative; the same program may round differently on some accelerators


@dataclasses.dataclass(frozen=True)
class MeanLoss:
    """L(w), the mean of a loss over all examples of a data set.

    Each batch counts by its number of examples, so that a smaller last one is right.
    Losses are summed on the host in float64, gradients on the device.

    Its methods take the parameters that vary, as `partition` splits them off.

    Attributes:
        programs: The loss and its derivatives over a batch, to be compiled.
        fixed: The parameters that do not vary.
        batches: The data, to be iterated over many times; None for a loss that
            holds its own.
        args: What the loss takes besides, the same for all batches.
    """

    programs: Programs
    fixed: PyTree
    batches: Iterable[PyTree] | None
    args: tuple[Any, ...]

    def value(self, params: PyTree) -> float:
        """Returns L(w)."""
        return self._value(self.programs.loss, params)

    def rounding(self, params: PyTree) -> float:
        """Returns the share of L(w) below which a change of it is rounding."""
        _, arguments = next(self._parts())
        loss = jax.eval_shape(self.programs.loss, params, self.fixed, arguments)
        return 8 * float(jnp.finfo(loss.dtype).eps)

    def _value(self, loss: Callable[..., jax.Array], params: PyTree) -> float:
        losses, counts = [], []
        for count, arguments in self._parts():
            losses.append(loss(params, self.fixed, arguments))
            counts.append(count)
        return _mean(losses, counts)

    def value_and_grad(self, params: PyTree) -> tuple[float, PyTree]:
        """Returns L(w) and its gradient."""
        grads, losses, counts = jax.tree.map(jnp.zeros_like, params), [], []
        for count, arguments in self._parts():
            loss, grads = self.programs.add_grads(
                grads, count, params, self.fixed, arguments
            )
            losses.append(loss)
            counts.append(count)
        return _mean(losses, counts), _divide(grads, sum(counts))

    def hessian_vector_product(self, params: PyTree, vector: PyTree) -> PyTree:
        """Returns H v, where H is the Hessian of L at w."""
        product, total = jax.tree.map(jnp.zeros_like, params), 0
        for count, arguments in self._parts():
            product = self.programs.add_product(
                product, count, params, vector, self.fixed, arguments
            )
            total += count
        return _divide(product, total)

    def checked_value(self, params: PyTree) -> float:
        """Returns L(w), after checks that it can be measured.

        Raises:
            ValueError: If there are no data, or only enough for one pass; if the loss
                is not finite; if two evaluations of it differ.
        """
        _check_batches(self.batches)
        value = self.value(params)
        again = self._value(self.programs.loss_traced_anew, params)
        if not math.isfinite(value):
            raise ValueError(f"the loss at the parameters is not finite: {value}.")
        if not abs(value - again) <= _NOISE * max(abs(value), abs(again)):
            raise ValueError(
                "the loss is not deterministic: two evaluations at the same parameters "
                f"gave {value} and {again}. Turn dropout and augmentation off, or fix "
                "their random keys, and give the same batches every time."
            )
        return value

    def _parts(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yields the number of examples of each batch and the loss's arguments."""
        if self.batches is None:
            yield 1, self.args
            return
        for batch in self.batches:
            if count := num_examples(batch):
                yield count, (batch, *self.args)


def _check_batches(batches: Iterable[PyTree] | None) -> None:
    if isinstance(batches, Iterator):
        raise ValueError(
            "batches is an iterator, which one pass uses up: give a list, or an object "
            "that starts again at each iter()."
        )
    if isinstance(batches, (Mapping, jax.Array, np.ndarray)):
        raise ValueError("batches is one batch: give a list of them, [batch].")


def groups_of(loss: MeanLoss, size: int) -> Iterator[tuple[int, MeanLoss]]:
    """Yields the loss of each group of `size` consecutive examples of a batch.

    Returns:
        The number of examples of each group, the last of a batch may have fewer, and
        its loss.
    """
    for batch in loss.batches or ():
        for start in range(0, num_examples(batch), size):
            group = jax.tree.map(operator.itemgetter(slice(start, start + size)), batch)
            yield num_examples(group), dataclasses.replace(loss, batches=[group])


def num_examples(batch: PyTree) -> int:
    """Returns the common length of axis 0 of a batch's arrays.

    Raises:
        ValueError: If there is none.
    """
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(batch)]
    lengths = {shape[0] if shape else -1 for shape in shapes}
    if len(lengths) != 1 or -1 in lengths:
        raise ValueError(
            "the arrays of a batch must agree on the length of axis 0, the number of "
            f"examples: got shapes {shapes}. Pass what is no data through args=."
        )
    return lengths.pop()


def check_data(count: int) -> None:
    """Refuses a data set without examples."""
    if count == 0:
        raise ValueError("there are no data: batches holds no example.")


def _mean(losses: list[jax.Array], counts: list[int]) -> float:
    check_data(sum(counts))
    return float(np.average(np.asarray(jax.device_get(losses), float), weights=counts))


@jax.jit
def _divide(total, count):
    return jax.tree.map(lambda x: x / count, total)
