import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from experiments.training.checkpoint import checksum
from experiments.training.sharding import data_mesh

ARRAYS = {
    "a": np.zeros((3, 4), np.float32),
    "b": np.array([1, 2, 3], np.int32),
    "c": np.arange(5, dtype=jnp.bfloat16),
    "d": np.array([False, True]),
}
WORDS = [(name, i) for name, array in ARRAYS.items() for i in range(array.size)]


@given(word=st.sampled_from(WORDS), bit=st.integers(0, 31))
def test_the_checksum_tells_every_flipped_bit(word, bit):
    name, i = word
    tree = {name: array.copy() for name, array in ARRAYS.items()}
    size = tree[name].dtype.itemsize
    unsigned = tree[name].reshape(-1).view(f"u{size}")
    unsigned[i] ^= 1 if name == "d" else 1 << bit % (8 * size)
    assert jax.jit(checksum)(tree) != jax.jit(checksum)(ARRAYS)


def test_the_checksum_is_that_of_any_layout():
    tree = {"a": np.arange(64 * 24.0).reshape(64, 24), "b": np.arange(7)}
    specs = (P(), P("data"), P(None, "data"))
    values = {
        int(jax.jit(checksum)({**tree, "a": jax.device_put(tree["a"], sharding)}))
        for sharding in (NamedSharding(data_mesh(), spec) for spec in specs)
    }
    flat = {"a": tree["a"].ravel(), "b": tree["b"]}
    assert values == {int(checksum(flat))}


def test_the_checksum_tells_the_order_of_words_and_arrays():
    swapped = {**ARRAYS, "b": np.array([2, 1, 3], np.int32)}
    assert checksum(swapped) != checksum(ARRAYS)
    x, y = np.array([1], np.int32), np.array([2], np.int32)
    assert checksum((x, y)) != checksum((y, x))
