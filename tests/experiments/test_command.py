import itertools
import json
import os
import runpy
import signal

import jax.numpy as jnp
import pytest

from experiments.command import main
from experiments.presets import CIFAR, IMAGENET
from experiments.training.accuracy import accuracy_line
from experiments.training.config import Ascent
from experiments.training.interruption import EXIT_INTERRUPTED
from experiments.training.optimizer import sgd
from experiments.training.task import Task
from experiments.translation_presets import TRANSLATION
from tests.experiments.training.tiny import TinyConfig


def parabola_task(config: TinyConfig, *, seed: int, data_dir: str, folder) -> Task:
    """Builds a task of two steps an epoch, without data."""
    del seed, data_dir, folder

    def loss_fn(params, model_state, batch, key):
        loss = jnp.sum(params["kernel"] ** 2) * batch
        metrics = {"loss": loss, "accuracy": loss * 0, "count": jnp.ones([])}
        return loss, (model_state, metrics)

    def inputs(start):
        for step in itertools.count(start + 1):
            yield jnp.asarray(jnp.inf if step == config.diverge_at else 1.0)

    return Task(
        init=lambda key: ({"kernel": jnp.ones(2)}, {}),
        loss_fn=loss_fn,
        metric_names=("loss", "accuracy", "count"),
        inputs=inputs,
        prepare=lambda inputs, key: inputs,
        evaluate=lambda params, model_state: {"test": {"accuracy": 0.25}},
        ascent=Ascent(),
        optimizer=sgd(learning_rate=0.1, momentum=0.9, weight_decay=0.0),
        learning_rate=lambda step: 0.1,
        steps_per_epoch=2,
        num_epochs=config.epochs,
        unit="images",
        conclude=accuracy_line,
    )


PRESETS = {"tiny": TinyConfig(), "other": TinyConfig(name="other")}


@pytest.fixture
def run_command(monkeypatch, tmp_path):
    """Runs the command with the given options, in a folder of its own."""

    def run_command(*options, make_task=parabola_task):
        argv = ["command", *map(str, options), "--run-dir", str(tmp_path)]
        monkeypatch.setattr("sys.argv", argv)
        main(PRESETS, TinyConfig, make_task, "What it does.")

    return run_command


@pytest.fixture
def show_help(monkeypatch, capsys):
    """Returns the words of a module's help, given some options before --help."""

    def show_help(module, *options):
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr("sys.argv", [module, *options, "--help"])
        with pytest.raises(SystemExit) as end:
            runpy.run_module(module, run_name="__main__")
        assert end.value.code == 0
        return " ".join(capsys.readouterr().out.replace("│", " ").split())

    return show_help


def test_help_lists_the_presets_with_a_summary(show_help):
    text = show_help("experiments.cifar")
    for name, config in CIFAR.items():
        assert f" {name} " in text
        assert config.summary in text
    assert "The CIFAR tables of the paper" in text


def test_imagenet_lists_its_presets(show_help):
    text = show_help("experiments.imagenet")
    for name in IMAGENET:
        assert f" {name} " in text


def test_translation_lists_its_presets(show_help):
    text = show_help("experiments.translation")
    for name, config in TRANSLATION.items():
        assert f" {name} " in text
        assert config.summary in text


def test_help_of_a_translator_shows_every_number(show_help):
    text = show_help("experiments.translation", "iwslt14-asam")
    for option, default in [
        ("--rho", "0.2"),
        ("--num-subwords", "10000"),
        ("--num-tokens", "4096"),
        ("--bucket-lengths", "16 24 32 48 80 176"),
        ("--features", "512"),
        ("--attention-dropout", "0.0"),
        ("--betas", "0.9 0.98"),
        ("--averaged", "10"),
        ("--beam-size", "5"),
    ]:
        _, _, after = text.partition(f" {option} ")
        assert after.split("(default: ")[1].split(")")[0] == default


def test_help_of_a_preset_shows_every_number(show_help):
    text = show_help("experiments.cifar", "cifar100-pyramidnet272-asam")
    for option, default in [
        ("--rho", "1.0"),
        ("--eta", "0.01"),
        ("--batch-size", "256"),
        ("--weight-decay", "0.0001"),
        ("--epochs", "900"),
        ("--augmentation", "autoaugment"),
        ("--checkpoint-every", "10"),
        ("--seed", "0"),
    ]:
        _, _, after = text.partition(f" {option} ")
        assert after.split("(default: ")[1].split(")")[0] == default


def test_a_run_tells_its_accuracy_and_leaves_its_files(run_command, tmp_path, capsys):
    run_command("tiny", "--epochs", 2, "--seed", 3, 4)
    output = capsys.readouterr().out
    for seed in (3, 4):
        path = tmp_path / f"tiny/seed{seed}"
        assert f"{path}: test accuracy 25.00 % in the last epoch" in output
        names = {file.name for file in path.iterdir()}
        assert names == {"config.json", "metrics.jsonl", "curves.png", "checkpoints"}
        config = json.loads((path / "config.json").read_text())
        assert (config["seed"], config["epochs"]) == (seed, 2)


def test_a_run_may_be_stopped_and_go_on(run_command, tmp_path, capsys):
    options = ("tiny", "--epochs", 2)
    run_command(*options, "--max-steps", 3)
    path = tmp_path / "tiny/seed0"
    assert (
        f"{path}: saved at step 3; the same command goes on" in capsys.readouterr().out
    )
    run_command(*options)
    assert f"{path}: test accuracy 25.00 %" in capsys.readouterr().out


def test_another_config_is_refused_in_a_sentence(run_command):
    run_command("tiny", "--epochs", 2, "--max-steps", 1)
    with pytest.raises(SystemExit, match="epochs: 2 in the run folder, 3 now"):
        run_command("tiny", "--epochs", 3)


def test_an_interrupted_run_exits_with_its_own_code(run_command, tmp_path, capsys):
    def make_task(config, **options):
        task = parabola_task(config, **options)

        def inputs(start):
            for x in task.inputs(start):
                os.kill(os.getpid(), signal.SIGTERM)
                yield x

        return task._replace(inputs=inputs)

    with pytest.raises(SystemExit) as end:
        run_command("tiny", "--seed", 0, 1, make_task=make_task)
    assert end.value.code == EXIT_INTERRUPTED == 75
    assert "stopped and saved at step 1; the same command" in capsys.readouterr().out
    assert not (tmp_path / "tiny/seed1").exists()


def test_a_finished_run_is_concluded_with_the_mean_of_its_last_epochs(
    run_command, capsys
):
    def make_task(config, **options):
        return parabola_task(config, **options)._replace(
            averaged=2,
            conclude=lambda params, folder: f"{folder.path.name} {params['kernel'][0]}",
        )

    options = ("tiny", "--epochs", 3)
    run_command(*options, "--max-steps", 5, make_task=make_task)
    assert "saved at step 5; the same command goes on" in capsys.readouterr().out
    run_command(*options, make_task=make_task)
    w, velocity, path = 1.0, 0.0, []
    for _ in range(6):
        velocity = 0.9 * velocity + 2 * w
        w -= 0.1 * velocity
        path.append(w)
    name, value = capsys.readouterr().out.split()
    assert name == "seed0"
    assert float(value) == pytest.approx((path[3] + path[5]) / 2, rel=1e-6)


def test_a_diverged_run_ends_with_a_sentence(run_command):
    with pytest.raises(
        SystemExit, match="error: the loss or the update of step 3 is not"
    ):
        run_command("tiny", "--diverge-at", 3)


def test_data_that_do_not_suffice_are_named_in_a_sentence(run_command):
    def make_task(config, **options):
        raise ValueError("88 examples do not fill a batch of 128")

    with pytest.raises(SystemExit, match=r"^error: 88 examples do not fill"):
        run_command("tiny", make_task=make_task)


def test_a_fault_in_a_net_keeps_its_traceback(run_command):
    def make_task(config, **options):
        def loss_fn(params, model_state, batch, key):
            return jnp.reshape(params["kernel"], (3,)), ({}, {})

        return parabola_task(config, **options)._replace(loss_fn=loss_fn)

    with pytest.raises(TypeError, match="reshape"):
        run_command("tiny", make_task=make_task)


def test_a_value_error_while_training_keeps_its_traceback(run_command):
    def make_task(config, **options):
        def inputs(start):
            raise ValueError("no such axis")
            yield

        return parabola_task(config, **options)._replace(inputs=inputs)

    with pytest.raises(ValueError, match="no such axis"):
        run_command("tiny", make_task=make_task)


def test_an_unwritable_folder_is_named_before_anything_is_loaded(run_command, tmp_path):
    def make_task(config, **options):
        raise AssertionError

    (tmp_path / "tiny").write_text("a file")
    with pytest.raises(
        SystemExit, match=f"error: cannot write .* {tmp_path}/tiny/seed0"
    ):
        run_command("tiny", make_task=make_task)


@pytest.mark.parametrize(
    ("module", "preset", "dataset"),
    [
        ("cifar", "cifar10-small-asam", "cifar10"),
        ("translation", "multi30k-asam", "multi30k"),
    ],
)
def test_data_that_is_not_prepared_names_the_command(
    monkeypatch, tmp_path, module, preset, dataset
):
    argv = [module, preset, "--data-dir", tmp_path / "data"]
    argv += ["--run-dir", tmp_path / "runs"]
    monkeypatch.setattr("sys.argv", list(map(str, argv)))
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"experiments.{module}", run_name="__main__")
    command = f"python -m experiments.prepare {dataset} --data-dir {tmp_path / 'data'}"
    assert command in str(end.value.code)


def test_an_impossible_option_is_refused_by_the_command_line(run_command, capsys):
    with pytest.raises(SystemExit) as end:
        run_command("tiny", "--log-every", 0)
    assert end.value.code == 2
    assert "log_every must be at least 1" in " ".join(capsys.readouterr().err.split())
