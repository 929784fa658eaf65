import dataclasses

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from experiments.training import sharding
from experiments.training.sharding import (
    data_mesh,
    fsdp_spec,
    replicated,
    shard_batch,
    state_shardings,
)


def test_a_batch_is_split_along_its_first_axis():
    batch = {"x": np.arange(48.0).reshape(16, 3), "y": np.arange(16)}
    sharded = shard_batch(batch)
    for name, array in batch.items():
        np.testing.assert_array_equal(sharded[name], array)
        shards = sorted(
            sharded[name].addressable_shards, key=lambda shard: shard.device.id
        )
        for shard, part in zip(shards, np.split(array, 8), strict=True):
            np.testing.assert_array_equal(shard.data, part)


def test_what_is_replicated_is_whole_on_every_device():
    array = jax.device_put(np.arange(3), replicated())
    assert [shard.data.shape for shard in array.addressable_shards] == [(3,)] * 8
    assert data_mesh().size == 8


def test_devices_are_in_the_order_of_the_processes(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Device:
        process_index: int
        id: int

    hosts = [Device(1, 10), Device(0, 11), Device(1, 0), Device(0, 1)]
    placed = []
    monkeypatch.setattr(sharding.jax, "devices", lambda: hosts)
    monkeypatch.setattr(
        sharding, "Mesh", lambda devices, *args, **kwargs: placed.extend(devices)
    )
    data_mesh()
    assert placed == [Device(0, 1), Device(0, 11), Device(1, 0), Device(1, 10)]


def test_devices_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match="8 devices do not divide a batch of 12"):
        shard_batch(np.zeros((12, 3)))


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((), P()),
        ((64,), P()),
        ((1 << 14,), P("data")),
        ((3, 3, 256, 512), P(None, None, None, "data")),
        ((3, 3, 512, 256), P(None, None, "data")),
        ((256, 256), P("data")),
        ((1001, 64), P(None, "data")),
        ((1001, 63), P()),
        ((8, 2047), P()),
        ((8, 2048), P(None, "data")),
    ],
)
def test_fsdp_splits_the_largest_axis_that_the_devices_divide(shape, spec):
    assert fsdp_spec(shape, 8) == spec


def test_fsdp_keeps_a_part_of_each_large_array_on_each_device():
    state = {"kernel": np.ones((24, 1024), np.float32), "step": np.array(3)}
    held = {
        kind: jax.tree.map(
            lambda x: x.addressable_shards[5].data.shape,
            jax.device_put(state, state_shardings(state, data_mesh(), kind)),
        )
        for kind in ("replicated", "fsdp")
    }
    assert held == {
        "replicated": {"kernel": (24, 1024), "step": ()},
        "fsdp": {"kernel": (24, 128), "step": ()},
    }
