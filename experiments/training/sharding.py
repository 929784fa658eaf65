"""Where arrays live: batches split over all devices, the state on each or split too.

With many processes an array is made of the parts that each of them puts on its own
devices; none need hold the whole.
"""

import math
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from experiments.settings_error import SettingsError
from experiments.training.config import StateSharding

PyTree = Any

FSDP_MIN_SIZE = 2**14
"""Numbers in an array that is worth splitting; smaller ones cost more to gather."""


def data_mesh() -> Mesh:
    """Returns all devices along the axis `data`, those of process 0 first."""
    # Not jax.make_mesh: it refuses GPU and CPU hosts, each of which is a slice to XLA.
    devices = sorted(
        jax.devices(), key=lambda device: (device.process_index, device.id)
    )
    return Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))


def replicated() -> NamedSharding:
    """Returns the sharding of what every device holds whole."""
    return NamedSharding(data_mesh(), P())


def state_shardings(shapes: PyTree, mesh: Mesh, kind: StateSharding) -> PyTree:
    """Returns where the arrays of a training state live.

    Args:
        shapes: The state, of which shapes alone matter.
        mesh: The devices, along `data`.
        kind: replicated: every device holds the whole. fsdp: fully sharded data
            parallel; parameters and optimizer state are split by `fsdp_spec`, and
            gathered where a layer needs them.

    Returns:
        A `NamedSharding` for each leaf.
    """

    def sharding(leaf):
        spec = fsdp_spec(leaf.shape, mesh.size) if kind == "fsdp" else P()
        return NamedSharding(mesh, spec)

    return jax.tree.map(sharding, shapes)


def fsdp_spec(shape: tuple[int, ...], num_devices: int) -> P:
    """Splits an array along its largest axis that the devices divide.

    An array is replicated if it is smaller than `FSDP_MIN_SIZE` or has no such axis. So
    are the scalars of the state, and BatchNorm's scales.
    """
    divisible = [axis for axis, size in enumerate(shape) if size % num_devices == 0]
    if math.prod(shape) < FSDP_MIN_SIZE or not divisible:
        return P()
    largest = max(divisible, key=lambda axis: shape[axis])
    return P(*(None,) * largest, "data")


def replicate(tree: PyTree) -> PyTree:
    """Puts arrays, which every process holds, whole on every device."""
    sharding = replicated()
    return jax.tree.map(lambda leaf: _placed(leaf, sharding, leaf.shape), tree)


def shard_batch(batch: PyTree) -> PyTree:
    """Splits axis 0 of each array, which every process holds whole, over the devices.

    Raises:
        ValueError: If the devices do not divide the batch.
    """
    sharding = _batch_sharding(batch, num_shares=1)
    return jax.tree.map(lambda leaf: _placed(leaf, sharding, leaf.shape), batch)


def shard_shares(share: PyTree) -> PyTree:
    """Splits a batch of which every process holds a share; all are equally large.

    Axis 0 of the whole has the share of process 0 first.

    Raises:
        ValueError: If the devices do not divide the batch.
    """
    sharding = _batch_sharding(share, num_shares=jax.process_count())
    return jax.tree.map(lambda leaf: _placed(leaf, sharding, None), share)


def _placed(leaf, sharding: NamedSharding, shape: tuple[int, ...] | None) -> jax.Array:
    return jax.make_array_from_process_local_data(sharding, leaf, shape)


def _batch_sharding(batch: PyTree, *, num_shares: int) -> NamedSharding:
    mesh = data_mesh()
    sizes = {num_shares * len(leaf) for leaf in jax.tree.leaves(batch)}
    if any(size % mesh.size for size in sizes):
        raise SettingsError(
            f"{mesh.size} devices do not divide a batch of {max(sizes)}: choose a "
            f"--batch-size that is a multiple of {mesh.size}"
        )
    return NamedSharding(mesh, P("data"))
