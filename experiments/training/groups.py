"""One gradient a device or a group of examples, the same on any number of devices."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from experiments.settings_error import SettingsError
from experiments.training.sharding import data_mesh
from experiments.training.step import GradientFn, PyTree, TrainState
from experiments.training.streams import StepKeys


def in_groups(gradient: GradientFn, group: Literal["device"] | int) -> GradientFn:
    """Lets a gradient be taken in each group of the batch by itself, then averaged.

    A group is of consecutive examples, all on one device, and climbs its own eps.
    Nothing of an ascent crosses devices; each holds whole parameters, perturbed, and
    whole gradients for all of its groups at once. BatchNorm normalizes a group by its
    own statistics (ghost batch normalization, Hoffer et al., 2017), and its dropout
    masks come from its place in the batch, whichever device that is on.

    Args:
        gradient: The gradient of a batch.
        group: Examples a group, or the share of a device.

    Returns:
        The function of a whole batch. Loss, model state and gradient are means over the
        groups, weighted by their ``count``; metrics are sums.
    """

    def grouped(state: TrainState, batch: PyTree, keys: StepKeys):
        (loss, (model_state, metrics)), grads = jax.shard_map(
            functools.partial(_on_device, gradient, group),
            mesh=data_mesh(),
            in_specs=(P(), P("data"), P()),
            out_specs=P("data"),
        )(state, batch, keys)
        totals = {name: jnp.sum(x) for name, x in metrics.items()}
        weights = metrics["count"] / totals["count"]

        def mean(x):
            return jnp.sum(jnp.expand_dims(weights, range(1, x.ndim)) * x, axis=0)

        loss, model_state, grads = jax.tree.map(mean, (loss, model_state, grads))
        return (loss, (model_state, totals)), grads

    return grouped


def _on_device(
    gradient: GradientFn,
    group: Literal["device"] | int,
    state: TrainState,
    batch: PyTree,
    keys: StepKeys,
):
    """Returns the gradients of a device's groups, stacked."""
    (share,) = {len(leaf) for leaf in jax.tree.leaves(batch)}
    size = share if group == "device" else group
    if share % size:
        raise SettingsError(
            f"a device has {share} examples of the batch, which groups of {size} do "
            "not divide: choose another --group, --batch-size or number of devices"
        )
    num_groups = share // size
    groups = jax.tree.map(lambda x: x.reshape(num_groups, size, *x.shape[1:]), batch)
    places = jax.lax.axis_index("data") * num_groups + jnp.arange(num_groups)
    fold_in = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    keys = jax.tree.map(lambda key: fold_in(key, places), keys)
    # With respect to what the devices share, a gradient would be summed over them.
    state = jax.tree.map(lambda x: jax.lax.pcast(x, "data", to="varying"), state)
    return jax.vmap(gradient, in_axes=(None, 0, 0))(state, groups, keys)
