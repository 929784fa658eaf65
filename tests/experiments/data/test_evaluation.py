import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.evaluation import evaluation_batches


@given(num=st.integers(1, 300), batch=st.integers(1, 128), shards=st.integers(1, 16))
def test_every_example_counts_exactly_once(num, batch, shards):
    indices, weights = evaluation_batches(num, batch, num_shards=shards)
    assert indices.shape == weights.shape
    assert indices.shape[1] % shards == 0
    assert batch <= indices.shape[1] < batch + shards
    counts = np.bincount(indices.ravel(), weights.ravel(), minlength=num)
    np.testing.assert_array_equal(counts, np.ones(num))


@given(num=st.integers(1, 300), batch=st.integers(1, 128), shards=st.integers(1, 16))
def test_the_columns_of_all_shards_give_the_mean_over_the_examples(num, batch, shards):
    values = np.random.default_rng(num).normal(size=num)
    indices, weights = evaluation_batches(num, batch, num_shards=shards)
    total = count = 0.0
    for part, weight in zip(
        np.split(indices, shards, axis=1),
        np.split(weights, shards, axis=1),
        strict=True,
    ):
        total += np.sum(weight * values[part])
        count += np.sum(weight)
    assert count == num
    np.testing.assert_allclose(total / count, values.mean(), rtol=1e-9, atol=1e-12)


def test_no_batch_is_all_padding():
    _, weights = evaluation_batches(17, 8)
    np.testing.assert_array_equal(weights.sum(1), [8, 8, 1])


@pytest.mark.parametrize("num_devices", [1, 3, 8])
def test_a_mean_on_any_number_of_devices_is_the_plain_mean(num_devices):
    values = np.random.default_rng(0).normal(size=101).astype(np.float32)
    batches = evaluation_batches(101, 32, num_shards=num_devices)
    mesh = jax.make_mesh(
        (num_devices,),
        ("data",),
        axis_types=(jax.sharding.AxisType.Auto,),
        devices=jax.devices()[:num_devices],
    )
    sharding = jax.NamedSharding(mesh, jax.sharding.PartitionSpec(None, "data"))
    indices, weights = jax.device_put(tuple(batches), sharding)
    total = jax.jit(lambda v, i, w: (w * v[i]).sum())(values, indices, weights)
    np.testing.assert_allclose(total / weights.sum(), values.mean(), rtol=1e-5)
