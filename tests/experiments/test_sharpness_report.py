"""The sharpness report of a run in miniature."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments.command import run
from experiments.data.augment import CIFAR10
from experiments.data.images import ImageSet
from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import functional
from experiments.nets.mlp import mlp
from experiments.sharpness_report import trained
from experiments.sharpness_report.__main__ import main
from experiments.sharpness_report.config import Options
from experiments.sharpness_report.trained import load_trained
from experiments.training import image_data, image_task
from experiments.training.config import Ascent, Cadence, RunOptions
from experiments.training.image_config import ImageConfig, ImageData
from experiments.translation_presets import TRANSLATION

SIDE, BATCH = 4, 16
CONFIG = ImageConfig(
    name="tiny",
    data=ImageData("cifar10", noise_rate=0.25),
    net="small",
    ascent=Ascent(rho=0.5, normalization="elementwise", p=float("inf")),
    epochs=1,
    batch_size=BATCH,
)


def make_images(seed: int, num: int) -> ImageSet:
    rng = np.random.default_rng(seed)
    images = rng.integers(256, size=(num, SIDE, SIDE, 3), dtype=np.uint8)
    return ImageSet(images, rng.permutation(np.arange(num, dtype=np.int32) % 10))


STORED = {"train": make_images(0, 80), "test": make_images(1, 40)}


def train(patch, config, make_net, run_dir):
    """Trains a net on the stored images, and leaves both in place."""
    patch.setattr(
        image_data, "load_images", lambda name, split, data_dir: STORED[split]
    )
    for module in (image_task, trained):
        patch.setattr(module, "IMAGE_NETS", {"small": make_net})
    options = RunOptions(run_dir=str(run_dir))
    outcome, _ = run(config, image_task.image_task, 3, Cadence(), options)
    return outcome


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    make_net = lambda num_classes: mlp(SIDE * SIDE * 3, (8,), num_classes, 0.2)
    with pytest.MonkeyPatch.context() as patch:
        yield train(patch, CONFIG, make_net, tmp_path_factory.mktemp("runs"))


def load(outcome, **sizes):
    sizes = {"num_examples": 50, "batch_size": 20} | sizes
    return load_trained(outcome.folder.path, "", **sizes)


@pytest.fixture(scope="module")
def net(run_folder):
    return load(run_folder)


def test_the_config_is_read_back(net):
    assert net.config == CONFIG


def test_the_newest_parameters_are_measured_on_examples_as_asked(run_folder, net):
    assert (net.seed, net.step) == (3, 5)
    jax.tree.map(np.testing.assert_array_equal, net.params, run_folder.state.params)
    assert [len(batch.labels) for batch in net.batches] == [20, 20, 10]
    assert len(load(run_folder, num_examples=1000).batches) == 4


def test_the_loss_is_that_of_training_without_dropout(net):
    batch = net.batches[0]
    x = np.asarray(batch.images, np.float64).reshape(20, -1)
    layers = jax.device_get([net.params["layers"][i] for i in range(2)])
    hidden = np.maximum(x @ layers[0]["kernel"] + layers[0]["bias"], 0)
    logits = hidden @ layers[1]["kernel"] + layers[1]["bias"]
    targets = 0.9 * np.eye(10)[np.asarray(batch.labels)] + 0.01
    log_p = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    expected = -np.mean(np.sum(targets * log_p, axis=1))
    loss = net.loss_fn(net.params, batch, net.model_state)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def net_with_batch_norm(num_classes):
    return functional(
        lambda rngs: nnx.Sequential(
            lambda x: x.reshape(len(x), -1),
            nnx.Linear(SIDE * SIDE * 3, 8, rngs=rngs),
            BatchNorm(8),
            nnx.Linear(8, num_classes, rngs=rngs),
        )
    )


def test_statistics_that_training_took_elsewhere_are_estimated_anew(
    monkeypatch, tmp_path
):
    config = dataclasses.replace(
        CONFIG,
        data=ImageData("cifar10", augmentation="none"),
        ascent=Ascent(rho=5.0, source="momentum"),
        epochs=3,
        batch_size=80,  # every pass sees all images
    )
    outcome = train(monkeypatch, config, net_with_batch_norm, tmp_path)
    net = load(outcome)
    layer = net.params["layers"][1]
    x = (STORED["train"].images / 255 - np.array(CIFAR10.mean)) / np.array(CIFAR10.std)
    hidden = x.reshape(80, -1) @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
    clean, trained_on = (
        state["layers"][2]["mean"]
        for state in (net.model_state, outcome.state.model_state)
    )
    np.testing.assert_allclose(clean, hidden.mean(axis=0), atol=0.02)
    assert np.abs(trained_on - hidden.mean(axis=0)).max() > 0.2


@pytest.mark.parametrize("num_points", [1, 2, 14])
def test_a_landscape_without_the_net_in_its_middle_is_refused(num_points):
    with pytest.raises(ValueError, match="num_points must be odd and at least 3"):
        Options(pathlib.Path(), num_points=num_points)


def test_a_translator_is_refused(tmp_path):
    config = dataclasses.asdict(TRANSLATION["numbers-asam"]) | {"seed": 0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ValueError, match="holds a run on numbers: only runs of"):
        load_trained(tmp_path, "", num_examples=1, batch_size=1)


@pytest.mark.slow
def test_the_report_holds_what_was_measured(run_folder, tmp_path):
    options = Options(
        run_folder.folder.path,
        out=tmp_path,
        num_examples=40,
        batch_size=40,
        num_lanczos=3,
        num_points=3,
        num_steps=5,
    )
    main(options)
    record = json.loads((tmp_path / "sharpness.json").read_text())
    assert record["run"] == {
        "name": "tiny",
        "summary": CONFIG.summary,
        "seed": 3,
        "step": 5,
    }
    found = record["measures"]
    assert [(case["ball"], case["p"]) for case in found["sharpness"]] == [
        ("plain", 2),
        ("plain", "inf"),
        ("adaptive", 2),
        ("adaptive", "inf"),
    ]
    for case in found["sharpness"]:
        assert case["worst_case"] >= case["one_step"] > 0
    net = load(run_folder, num_examples=40, batch_size=40)
    middle = found["landscape"]["losses"][1][1]
    loss = net.loss_fn(net.params, net.batches[0], net.model_state)
    assert middle == pytest.approx(float(loss), rel=1e-5)

    # The largest eigenvalue is at least that of any block, here of the last biases.
    def loss_of_bias(bias):
        first, last = (net.params["layers"][i] for i in range(2))
        params = {"layers": {0: first, 1: last | {"bias": bias}}}
        return net.loss_fn(params, net.batches[0], net.model_state)

    block = jax.jit(jax.hessian(loss_of_bias))(net.params["layers"][1]["bias"])
    smallest = jnp.linalg.eigvalsh(block)[-1].item()
    assert found["eigenvalues"]["plain"][0] >= 0.99 * smallest
    page = (tmp_path / "sharpness.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert f"{found['eigenvalues']['plain'][0]:.4g}" in page


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_a_run_or_a_checkpoint(tmp_path, exists):
    if exists:
        config = dataclasses.asdict(CONFIG) | {"seed": 0}
        (tmp_path / "config.json").write_text(json.dumps(config))
    message = "has no checkpoint yet" if exists else "no run in"
    with pytest.raises(FileNotFoundError, match=message):
        load_trained(pathlib.Path(tmp_path), "", num_examples=1, batch_size=1)
