import itertools
import shutil
import time

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from experiments.training import run_folder, sharding
from experiments.training.config import Ascent, Cadence
from experiments.training.gradient import gradient_fn
from experiments.training.loop import (
    NonFiniteLossError,
    initial_state,
)
from experiments.training.metrics import read_metrics
from experiments.training.run_folder import RunFolderError
from experiments.training.step import make_train_step
from tests.experiments.training.running import (
    END,
    SMALL,
    assert_same_bits,
    assert_same_run,
    lines_of,
    train_tiny,
    use_devices,
)
from tests.experiments.training.tiny import STEPS_PER_EPOCH, TinyConfig, tiny_task


@pytest.fixture
def one_device(monkeypatch):
    use_devices(monkeypatch, 1)


def test_a_run_writes_what_its_cadence_says(unbroken):
    steps = {"train": [], "test": []}
    for line in lines_of(unbroken):
        steps[line["split"]].append(line["step"])
        assert line["epoch"] == line["step"] / STEPS_PER_EPOCH
    assert steps == {"train": [7, 14, 21, 28, 35, 40], "test": [10, 20, 30, 40]}
    saved = {path.name for path in unbroken.folder.checkpoints.iterdir()}
    assert saved == {"30", "40"}
    assert int(unbroken.state.step) == END
    assert unbroken.finished and not unbroken.interrupted


def test_a_run_learns(unbroken):
    first, *_, last = [line for line in lines_of(unbroken) if line["split"] == "test"]
    assert last["loss"] < 0.5 * first["loss"]


# 13 and 26 are no steps of the log, of an evaluation or of a checkpoint.
def test_a_run_climbs_on_the_steps_that_are_due(tmp_path):
    ascent = Ascent(rho=0.5, normalization="elementwise", every=3, start=0.2)
    config = TinyConfig(width=8, epochs=1, ascent=ascent)
    found = train_tiny(tmp_path, config).state
    task = tiny_task(config, seed=0)
    gradient = gradient_fn(task.loss_fn, ascent, STEPS_PER_EPOCH)
    step = jax.jit(make_train_step(gradient, task.prepare, task.optimizer, seed=0))
    state = initial_state(task, seed=0)()
    for inputs in itertools.islice(task.inputs(0), STEPS_PER_EPOCH):
        state = step(state, inputs)
    # An ascent more or less changes the parameters in the second digit.
    for leaf, expected in zip(
        jax.tree.leaves(found.params), jax.tree.leaves(state.params), strict=True
    ):
        np.testing.assert_allclose(leaf, expected, rtol=1e-3, atol=1e-4)


def test_a_resumed_run_is_the_unbroken_one(tmp_path, unbroken):
    for max_steps in (13, 26, None):
        outcome = train_tiny(tmp_path, max_steps=max_steps)
    assert_same_run(outcome, unbroken)


def test_what_came_after_the_checkpoint_is_done_again(tmp_path, unbroken):
    outcome = train_tiny(tmp_path, max_steps=38)
    # As if killed at step 38: the state of step 30 was written while training went on.
    shutil.rmtree(outcome.folder.checkpoints / "38")
    with outcome.folder.metrics.open("a") as file:
        file.write('{"step": 38, "spl')
    assert lines_of(outcome)[-1]["step"] == 35
    assert_same_run(train_tiny(tmp_path), unbroken)


def test_the_clock_goes_on_in_a_resumed_run(tmp_path):
    for max_steps in (13, 26):
        outcome = train_tiny(tmp_path, max_steps=max_steps)
    seconds = [line["seconds"] for line in read_metrics(outcome.folder.metrics)]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_a_finished_run_stays_as_it_is(tmp_path, unbroken):
    shutil.copytree(unbroken.folder.path, tmp_path / "tiny/seed0")
    before = unbroken.folder.metrics.read_bytes()
    outcome = train_tiny(tmp_path)
    assert_same_run(outcome, unbroken)
    assert outcome.folder.metrics.read_bytes() == before


def test_the_cadence_changes_no_result(tmp_path, unbroken):
    often = Cadence(log_every=1, eval_every=3, checkpoint_every=3)
    outcome = train_tiny(tmp_path, cadence=often)
    assert_same_bits(outcome.state, unbroken.state)
    tests = [line for line in lines_of(outcome) if line["split"] == "test"]
    assert [line["step"] for line in tests] == [30, 40]


def test_the_metrics_are_means_over_the_steps_of_a_line(tmp_path, unbroken):
    each = train_tiny(tmp_path, cadence=Cadence(log_every=1), max_steps=14)
    losses = [line["loss"] for line in lines_of(each) if line["split"] == "train"]
    second = next(line for line in lines_of(unbroken) if line["step"] == 14)
    assert second["loss"] == pytest.approx(np.mean(losses[7:14]), rel=1e-6)
    learning_rate = 0.05 * (1 + np.cos(np.pi * 13 / END)) / 2
    assert second["learning_rate"] == pytest.approx(learning_rate)


def assert_close(actual, expected):
    chex.assert_trees_all_close(actual.state, expected.state, rtol=1e-3, atol=1e-4)


def test_one_device_and_eight_train_the_same_net(tmp_path, unbroken, one_device):
    outcome = train_tiny(tmp_path, max_steps=END)
    assert len(outcome.state.step.sharding.device_set) == 1
    assert len(unbroken.state.step.sharding.device_set) == 8
    assert_close(outcome, unbroken)


def test_a_run_of_eight_devices_is_resumed_by_one(tmp_path, monkeypatch, unbroken):
    train_tiny(tmp_path, max_steps=13)
    use_devices(monkeypatch, 1)
    outcome = train_tiny(tmp_path)
    assert lines_of(outcome)[-1]["loss"] == pytest.approx(
        lines_of(unbroken)[-1]["loss"], rel=1e-3
    )


def test_fsdp_trains_the_same_net_and_may_be_turned_off(
    tmp_path, monkeypatch, unbroken
):
    monkeypatch.setattr(sharding, "FSDP_MIN_SIZE", 1024)
    split = train_tiny(tmp_path, max_steps=13, sharding="fsdp")
    whole = train_tiny(tmp_path)
    for outcome, spec in ((split, P("data")), (whole, P())):
        for tree in (outcome.state.params, outcome.state.opt_state[-1][0].trace):
            assert tree["layers"][4]["kernel"].sharding.spec == spec
    assert_close(whole, unbroken)


# On one device, since XLA's CPU client itself waits where there are several.
def test_the_host_does_not_wait_for_the_steps(tmp_path, one_device):
    task = tiny_task(SMALL, seed=0)
    asked = []

    def inputs(start):
        for x in task.inputs(start):
            asked.append(time.perf_counter())
            yield x

    def slow_prepare(inputs, key):
        x, y = task.prepare(inputs, key)
        return jax.lax.fori_loop(0, 200_000, lambda i, x: jnp.sin(x), x), y

    slow = task._replace(inputs=inputs, prepare=slow_prepare)
    train_tiny(tmp_path, task=slow, cadence=Cadence(log_every=100), max_steps=9)
    compiled, *_, last = asked[1:]
    assert last - compiled < 0.2 * (time.perf_counter() - compiled)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    config = TinyConfig(width=32, epochs=4, diverge_at=17)
    for _ in range(2):  # and again, from the last good checkpoint
        with pytest.raises(NonFiniteLossError) as error:
            train_tiny(tmp_path, config)
        assert "step 17 is not finite" in str(error.value)
        assert "The last good checkpoint is that of step 10." in str(error.value)
    outcome = train_tiny(tmp_path, config, max_steps=1)
    assert int(outcome.state.step) == 10
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(outcome.state))


def test_a_loss_that_is_not_finite_may_be_the_first(tmp_path):
    config = TinyConfig(width=32, epochs=4, diverge_at=1)
    with pytest.raises(NonFiniteLossError, match="no checkpoint before it"):
        train_tiny(tmp_path, config)


def test_a_disk_without_room_is_refused_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        run_folder.shutil, "disk_usage", lambda path: usage._replace(free=1000)
    )
    with pytest.raises(RunFolderError, match=f"{tmp_path}.* has 0 MB free"):
        train_tiny(tmp_path)
    assert not (tmp_path / "tiny/seed0/checkpoints").exists()
