import jax
import numpy as np
import pytest

from experiments.data.order import epoch_order, steps_per_epoch

KEY = jax.random.key(0)


@pytest.mark.parametrize(("num", "batch", "steps"), [(50, 8, 6), (48, 8, 6), (7, 7, 1)])
def test_an_epoch_is_whole_batches_without_replacement(num, batch, steps):
    order = epoch_order(KEY, 0, num, batch)
    assert order.shape == (steps, batch) == (steps_per_epoch(num, batch), batch)
    assert order.dtype == np.int32
    assert len(np.unique(order)) == steps * batch
    assert set(np.ravel(order)) <= set(range(num))


def test_each_epoch_drops_other_examples():
    dropped = [
        set(range(50)) - set(np.ravel(epoch_order(KEY, e, 50, 8))) for e in (0, 1)
    ]
    assert dropped[0] != dropped[1]


def test_every_example_is_equally_likely_at_every_place():
    orders = jax.vmap(lambda epoch: epoch_order(KEY, epoch, 5, 5))(np.arange(5000))
    counts = [np.bincount(orders[:, 0, place], minlength=5) for place in range(5)]
    # 5,000 epochs, 5 places: 1,000 each, with a standard deviation of 28.
    np.testing.assert_allclose(counts, 1000, atol=120)


def test_order_is_a_pure_function_of_key_and_epoch():
    order = epoch_order(KEY, 3, 50, 8)
    traced = jax.jit(epoch_order, static_argnums=(2, 3))(KEY, 3, 50, 8)
    np.testing.assert_array_equal(order, traced)
    assert np.any(order != epoch_order(KEY, 4, 50, 8))
    assert np.any(order != epoch_order(jax.random.key(1), 3, 50, 8))


def test_a_batch_larger_than_the_training_set_is_refused():
    with pytest.raises(ValueError, match="7 examples do not fill a batch of 8"):
        epoch_order(KEY, 0, 7, 8)
