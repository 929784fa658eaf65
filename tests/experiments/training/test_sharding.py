import jax
import numpy as np
import pytest

from experiments.training.sharding import data_mesh, replicated, shard_batch


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


def test_devices_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match="8 devices do not divide a batch of 12"):
        shard_batch(np.zeros((12, 3)))
