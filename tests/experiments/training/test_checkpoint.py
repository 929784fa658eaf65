import contextlib
import gc
import itertools
import logging
import pathlib
import resource
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from jax.sharding import AxisType

from experiments.training.checkpoint import CheckpointError, Checkpoints
from experiments.training.sharding import replicated, state_shardings

# What orbax leaves behind when a read or a write fails.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def leave_nothing_behind():
    """Collects it while it is ignored."""
    yield
    gc.collect()


class State(NamedTuple):
    step: Any
    weights: Any
    others: Any


def make_state(step: int) -> State:
    rng = np.random.default_rng(step)
    state = State(
        step=np.int32(step),
        weights={"kernel": rng.normal(size=(300, 400)).astype(np.float32), "bias": 1.5},
        others=[
            {3: jnp.arange(7, dtype=jnp.bfloat16)},
            np.array([True, False, True]),
            np.array([-0.0, np.inf, 1e-42], np.float32),
        ],
    )
    return jax.device_put(jax.tree.map(jnp.asarray, state), replicated())


def assert_same_bits(actual, expected):
    chex.assert_trees_all_equal_shapes_and_dtypes(actual, expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
        assert a.sharding == b.sharding


def save_all(path: pathlib.Path, *steps: int) -> None:
    with Checkpoints(path) as checkpoints:
        for step in steps:
            checkpoints.save(step, make_state(step))


def restore(path: pathlib.Path) -> tuple[int | None, State]:
    with Checkpoints(path) as checkpoints:
        return checkpoints.last_saved, checkpoints.restore_newest(make_state(0))


def data_file(path: pathlib.Path) -> pathlib.Path:
    """Returns the file that holds the arrays."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size)


def flip_a_bit(path: pathlib.Path) -> None:
    content = bytearray(data_file(path).read_bytes())
    content[len(content) // 2] ^= 16
    data_file(path).write_bytes(content)


def truncate(path: pathlib.Path) -> None:
    content = data_file(path).read_bytes()
    data_file(path).write_bytes(content[: len(content) // 2])


def remove_manifest(path: pathlib.Path) -> None:
    next(path.rglob("manifest.ocdbt")).unlink()


def empty_folder(path: pathlib.Path) -> None:
    for file in path.rglob("*"):
        if file.is_file():
            file.unlink()


DAMAGES = (flip_a_bit, truncate, remove_manifest, empty_folder)


def test_the_newest_state_comes_back_to_the_bit(tmp_path):
    save_all(tmp_path / "c", 3, 7, 20)
    _, state = restore(tmp_path / "c")
    assert_same_bits(state, make_state(20))
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"7", "20"}


def test_what_will_be_asked_for_stays(tmp_path):
    path = tmp_path / "c"
    for steps in ((3, 4, 8), (12, 13), (14,)):  # opened anew, as by a resumed run
        with Checkpoints(path, every=4, keep=2) as checkpoints:
            for step in steps:
                checkpoints.save(step, make_state(step))
    assert {file.name for file in path.iterdir()} == {"8", "12", "13", "14"}
    with Checkpoints(path, every=4, keep=2) as checkpoints:
        for step in (8, 12):
            state = checkpoints.restore(step, make_state(0))
            assert_same_bits(state, make_state(step))


def test_a_step_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "c"
    save_all(path, 1, 2)
    with (
        Checkpoints(path) as checkpoints,
        pytest.raises(CheckpointError, match=f"the checkpoint {path / '3'} cannot be"),
    ):
        checkpoints.restore(3, make_state(0))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_step_is_an_error_that_says_what_to_do(tmp_path, damage):
    path = tmp_path / "c"
    save_all(path, 1, 2)
    damage(path / "1")
    with Checkpoints(path) as checkpoints:
        with pytest.raises(CheckpointError, match=r"c/1 cannot .* Remove it and the "):
            checkpoints.restore(1, make_state(0))
        assert_same_bits(checkpoints.restore(2, make_state(0)), make_state(2))


def test_without_a_checkpoint_the_given_state_comes_back(tmp_path):
    last_saved, state = restore(tmp_path / "c")
    assert_same_bits(state, make_state(0))
    assert last_saved is None


def test_a_save_in_the_background_is_of_the_state_that_was_given(tmp_path):
    double = jax.jit(lambda tree: jax.tree.map(lambda x: x + x, tree), donate_argnums=0)
    state = make_state(5)
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(5, state)
        for _ in range(20):
            state = double(state)
    assert_same_bits(restore(tmp_path / "c")[1], make_state(5))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_skipped_with_a_warning(tmp_path, caplog, damage):
    path = tmp_path / "c"
    save_all(path, 1, 2)
    damage(path / "2")
    caplog.set_level(logging.WARNING)
    with Checkpoints(path) as checkpoints:
        assert_same_bits(checkpoints.restore_newest(make_state(0)), make_state(1))
        assert f"checkpoint {path / '2'} cannot be read" in caplog.text
        checkpoints.save(2, make_state(2))
    assert_same_bits(restore(path)[1], make_state(2))
    assert (tmp_path / "checkpoint-2.damaged-0").is_dir()


def test_who_only_reads_leaves_a_damaged_checkpoint_where_it_is(tmp_path):
    path = tmp_path / "c"
    save_all(path, 1, 2)
    flip_a_bit(path / "2")
    before = sorted(tmp_path.rglob("*"))
    with Checkpoints(path) as checkpoints:
        assert_same_bits(checkpoints.read_newest(make_state(0)), make_state(1))
        assert checkpoints.last_saved == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_step_may_be_damaged_twice(tmp_path):
    path = tmp_path / "c"
    save_all(path, 1)
    for _ in range(2):
        save_all(path, 2)
        flip_a_bit(path / "2")
        assert_same_bits(restore(path)[1], make_state(1))
    assert (tmp_path / "checkpoint-2.damaged-1").is_dir()


def test_nothing_starts_anew_where_no_checkpoint_can_be_read(tmp_path):
    path = tmp_path / "c"
    save_all(path, 1, 2)
    truncate(path / "1")
    flip_a_bit(path / "2")
    for _ in range(2):  # the second attempt finds the folder as it was
        with pytest.raises(CheckpointError, match=str(path)):
            restore(path)


@contextlib.contextmanager
def full_disk(num_bytes: int):
    """Lets no file grow beyond a size, as root, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path):
    path = tmp_path / "c"
    save_all(path, 1)
    with (
        full_disk(100_000),
        pytest.raises(CheckpointError, match=f"cannot write a checkpoint to {path}"),
    ):
        save_all(path, 2)
    assert_same_bits(restore(path)[1], make_state(1))


def test_a_full_disk_does_not_hide_what_made_the_run_leave(tmp_path, caplog):
    def save_and_fail():
        with Checkpoints(tmp_path / "c") as checkpoints:
            checkpoints.save(1, make_state(1))
            raise RuntimeError("diverged")

    with full_disk(100_000), pytest.raises(RuntimeError, match="diverged"):
        save_and_fail()
    assert f"cannot write a checkpoint to {tmp_path / 'c'}" in caplog.text


def fail_on_the_device(*args, **options):
    raise jax.errors.JaxRuntimeError("UNKNOWN: Gloo AllGather failed")


def test_a_process_that_is_lost_is_no_damage(tmp_path, monkeypatch):
    path = tmp_path / "c"
    save_all(path, 1, 2)
    monkeypatch.setattr(ocp.StandardCheckpointHandler, "restore", fail_on_the_device)
    with Checkpoints(path) as checkpoints:
        with pytest.raises(jax.errors.JaxRuntimeError, match="Gloo"):
            checkpoints.restore_newest(make_state(0))
        with pytest.raises(jax.errors.JaxRuntimeError, match="Gloo"):
            checkpoints.restore(2, make_state(0))
    assert {file.name for file in path.iterdir()} == {"1", "2"}


@pytest.mark.parametrize("method", ["save", "close"])
def test_a_process_that_is_lost_is_no_full_disk(tmp_path, monkeypatch, method):
    monkeypatch.setattr(ocp.CheckpointManager, method, fail_on_the_device)
    with pytest.raises(jax.errors.JaxRuntimeError, match="Gloo"):
        save_all(tmp_path / "c", 1)


@pytest.mark.parametrize(("written", "read"), [*itertools.permutations((8, 4, 1), 2)])
def test_a_state_is_restored_on_another_number_of_devices(tmp_path, written, read):
    def place(num_devices, kernel, kind):
        mesh = jax.make_mesh(
            (num_devices,),
            ("data",),
            axis_types=(AxisType.Auto,),
            devices=jax.devices()[:num_devices],
        )
        state = {"kernel": kernel, "step": np.int32(5)}
        return jax.device_put(state, state_shardings(state, mesh, kind))

    kernel = np.random.default_rng(0).normal(size=(128, 136)).astype(np.float32)
    kinds = ("fsdp", "replicated") if written > read else ("replicated", "fsdp")
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(5, place(written, kernel, kinds[0]))
    with Checkpoints(tmp_path / "c") as checkpoints:
        state = checkpoints.restore_newest(place(read, 0 * kernel, kinds[1]))
    assert_same_bits(state, place(read, kernel, kinds[1]))
