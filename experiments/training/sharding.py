"""Where arrays live: batches split over all devices, everything else on each."""

from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

PyTree = Any


def data_mesh() -> Mesh:
    """Returns all devices along the axis `data`."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def replicated() -> NamedSharding:
    """Returns the sharding of what every device holds whole."""
    return NamedSharding(data_mesh(), P())


def shard_batch(batch: PyTree) -> PyTree:
    """Splits axis 0 of each array over the devices.

    Raises:
        ValueError: If the devices do not divide the batch.
    """
    mesh = data_mesh()
    sizes = {len(leaf) for leaf in jax.tree.leaves(batch)}
    if any(size % mesh.size for size in sizes):
        raise ValueError(
            f"{mesh.size} devices do not divide a batch of {max(sizes)}: choose a "
            f"--batch-size that is a multiple of {mesh.size}"
        )
    return jax.device_put(batch, NamedSharding(mesh, P("data")))
