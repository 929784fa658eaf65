import dataclasses
import io
import itertools

import jax
import numpy as np
import pytest
from PIL import Image

from experiments.data.augment import IMAGENET as STATISTICS
from experiments.data.imagenet import Readers, open_imagenet
from experiments.data.resized_crop import center_crop
from experiments.nets.functional import Net
from experiments.presets import IMAGENET
from experiments.training import imagenet_task
from experiments.training.image_config import ImageData
from tests.experiments.data.prepared import make_builder
from tests.experiments.training.running import lines_of, train_tiny

CONFIG = dataclasses.replace(IMAGENET["imagenet-resnet50-asam"], epochs=2, batch_size=8)
NUM = 19


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Prepares some blocks of colour under the name of ImageNet."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(256, size=(NUM, 3, 4, 3), dtype=np.uint8)
    images = [np.kron(image, np.ones((8, 8, 1), np.uint8)) for image in coarse]
    path = tmp_path_factory.mktemp("tfds")
    splits = {"train": images, "validation": images}
    make_builder(
        path, "imagenet2012", splits, image_format="jpeg"
    ).download_and_prepare()
    return path


@pytest.fixture
def task(monkeypatch, data_dir):
    """The task at 16x16 pixels, read in this process, for a net that is linear."""
    monkeypatch.setattr(imagenet_task, "SIZE", 16)
    monkeypatch.setattr(imagenet_task, "RESIZE", 20)
    monkeypatch.setattr(imagenet_task, "EVALUATION_BATCH", 8)
    monkeypatch.setattr(
        imagenet_task, "Readers", lambda threads, workers: Readers(2, workers=0)
    )
    monkeypatch.setattr(imagenet_task, "IMAGE_NETS", {"resnet50": linear_net})
    return imagenet_task.imagenet_task(CONFIG, seed=0, data_dir=str(data_dir))


def linear_net(num_classes: int) -> Net:
    """Returns a net whose logits are linear in the mean colour."""

    def init(key):
        return {"kernel": jax.random.normal(key, (3, num_classes))}, {}

    def apply(params, model_state, x, train, key=None):
        return x.mean((1, 2)) @ params["kernel"], model_state

    return Net(init, apply)


def normalized(images: np.ndarray) -> np.ndarray:
    return (images / 255 - np.array(STATISTICS.mean)) / np.array(STATISTICS.std)


def test_every_example_of_a_ragged_split_counts_once(task, data_dir):
    params, model_state = task.init(jax.random.key(0))
    expected = dict.fromkeys(("loss", "accuracy", "top5"), 0.0)
    for example in open_imagenet("validation", data_dir):
        image = Image.open(io.BytesIO(example["image"])).convert("RGB")
        colour = normalized(center_crop(image, resize=20, size=16)).mean((0, 1))
        logits = colour @ np.asarray(params["kernel"])
        expected["loss"] += np.log(np.exp(logits).sum()) - logits[example["label"]]
        expected["accuracy"] += logits.argmax() == example["label"]
        expected["top5"] += example["label"] in np.argsort(logits)[-5:]
    measured = task.evaluate(params, model_state)
    assert measured.keys() == {"test"}
    for name, total in expected.items():
        assert measured["test"][name] == pytest.approx(total / NUM, rel=1e-4)


def test_a_batch_is_split_over_the_devices_and_normalized_there(task):
    assert task.steps_per_epoch == NUM // 8
    (inputs,) = itertools.islice(task.inputs(1), 1)
    assert inputs.images.dtype == np.uint8
    assert inputs.images.addressable_shards[0].data.shape == (1, 16, 16, 3)
    batch = jax.jit(task.prepare)(inputs, jax.random.key(0))
    np.testing.assert_allclose(
        batch.images, normalized(np.asarray(inputs.images)), atol=1e-5
    )


def test_a_run_is_evaluated_in_each_epoch(task, tmp_path):
    outcome = train_tiny(tmp_path, task=task)
    assert int(outcome.state.step) == 2 * (NUM // 8)
    tests = [line for line in lines_of(outcome) if line["split"] == "test"]
    assert [line["epoch"] for line in tests] == [1, 2]


@pytest.mark.parametrize(
    "options",
    [{"noise_rate": 0.4}, {"num_train": 1000}, {"shrink": 2}, {"augmentation": "none"}],
)
def test_options_of_the_images_are_refused_instead_of_ignored(options):
    config = dataclasses.replace(CONFIG, data=ImageData("imagenet2012", **options))
    with pytest.raises(ValueError, match="leave the options of the images"):
        imagenet_task.imagenet_task(config, seed=0, data_dir="")
