import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.data.augment import CIFAR10
from experiments.data.images import ImageSet
from experiments.nets.mlp import mlp
from experiments.presets import CIFAR
from experiments.training import image_data, image_task
from experiments.training.config import Ascent
from experiments.training.image_config import ImageConfig, ImageData
from tests.experiments.data.prepared import find_prepared
from tests.experiments.training.running import assert_same_run, train_tiny

NUM_CLASSES, SIDE, BATCH = 10, 8, 16
NUM_TRAIN, NUM_TEST = 88, 1003
STEPS = NUM_TRAIN // BATCH


def make_images(seed: int, num: int) -> ImageSet:
    rng = np.random.default_rng(seed)
    images = rng.integers(256, size=(num, SIDE, SIDE, 3), dtype=np.uint8)
    return ImageSet(images, rng.integers(NUM_CLASSES, size=num).astype(np.int32))


STORED = {"train": make_images(0, NUM_TRAIN), "test": make_images(1, NUM_TEST)}
CONFIG = ImageConfig(
    name="tiny",
    data=ImageData("cifar10"),
    net="small",
    ascent=Ascent(rho=0.5, normalization="elementwise"),
    epochs=4,
    batch_size=BATCH,
    learning_rate=0.01,
)


@pytest.fixture
def stored(monkeypatch):
    """Puts small images and a small net in the place of CIFAR-10 and ResNet-8."""
    monkeypatch.setattr(
        image_data, "load_images", lambda name, split, data_dir: STORED[split]
    )
    nets = {"small": lambda num_classes: mlp(SIDE * SIDE * 3, (16,), num_classes, 0.2)}
    monkeypatch.setattr(image_task, "IMAGE_NETS", nets)


def make_task(seed=0, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    return image_task.image_task(config, seed=seed, data_dir="")


def normalized(images: np.ndarray) -> np.ndarray:
    return (images / 255 - np.array(CIFAR10.mean)) / np.array(CIFAR10.std)


def indices_of(task, start, num):
    return [np.asarray(x[1]) for x in itertools.islice(task.inputs(start), num)]


def test_no_example_comes_twice_in_an_epoch(stored):
    task = make_task()
    assert task.steps_per_epoch == STEPS
    batches = indices_of(task, 0, 2 * STEPS)
    assert {batch.shape for batch in batches} == {(BATCH,)}
    epochs = [np.concatenate(batches[:STEPS]), np.concatenate(batches[STEPS:])]
    for epoch in epochs:
        assert len(set(epoch)) == STEPS * BATCH
    assert (epochs[0] != epochs[1]).any()


def test_the_order_is_that_of_the_seed_and_the_step(stored):
    task = make_task()
    batches = indices_of(task, 0, 2 * STEPS)
    for start in (3, STEPS, STEPS + 2):
        for batch, expected in zip(
            indices_of(task, start, 3), batches[start:], strict=False
        ):
            np.testing.assert_array_equal(batch, expected)
    assert (indices_of(make_task(seed=1), 0, 1)[0] != batches[0]).any()


def test_a_batch_is_split_over_the_devices_and_the_images_are_on_each(stored):
    images, indices = next(make_task().inputs(0))
    shards = indices.addressable_shards
    assert [shard.data.shape for shard in shards] == [(BATCH // 8,)] * 8
    assert images.images.sharding.is_fully_replicated


def test_without_augmentation_a_batch_is_what_is_stored(stored):
    task = make_task(data=ImageData("cifar10", augmentation="none"))
    inputs = next(task.inputs(0))
    batch = jax.jit(task.prepare)(inputs, jax.random.key(0))
    examples = STORED["train"].take(np.asarray(inputs[1]))
    np.testing.assert_allclose(batch.images, normalized(examples.images), atol=1e-5)
    np.testing.assert_array_equal(batch.labels, examples.labels)


def test_crops_and_flips_move_the_pixels_of_each_image(stored):
    task = make_task()
    inputs = next(task.inputs(0))
    examples = STORED["train"].take(np.asarray(inputs[1]))
    batches = [jax.jit(task.prepare)(inputs, jax.random.key(k)) for k in (0, 1, 0)]
    images = [np.asarray(batch.images) for batch in batches]
    np.testing.assert_array_equal(images[0], images[2])
    assert (images[0] != images[1]).any()
    places = {
        find(image, crops_and_flips(example))
        for image, example in zip(images[0], examples.images, strict=True)
    }
    assert len({crop for crop, _ in places}) > BATCH / 2
    assert {flipped for _, flipped in places} == {False, True}
    np.testing.assert_array_equal(batches[0].labels, examples.labels)


def crops_and_flips(image: np.ndarray) -> dict[tuple[int, bool], np.ndarray]:
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), (0, 1))
    crops = normalized(windows.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))
    return {
        (place, flipped): crop[:, ::-1] if flipped else crop
        for place, crop in enumerate(crops)
        for flipped in (False, True)
    }


def find(image: np.ndarray, variants: dict) -> tuple[int, bool]:
    (place,) = (
        place
        for place, variant in variants.items()
        if np.allclose(image, variant, atol=1e-5)
    )
    return place


@pytest.mark.parametrize("augmentation", ["none", "crop-flip", "autoaugment"])
def test_cutout_follows_every_augmentation(stored, augmentation):
    task = make_task(data=ImageData("cifar10", augmentation=augmentation, cutout=4))
    batch = task.prepare(next(task.inputs(0)), jax.random.key(0))
    zeros = np.sum(np.all(np.asarray(batch.images) == 0, axis=-1), axis=(1, 2))
    assert np.all((zeros >= 4) & (zeros <= 16)) and (zeros == 16).any()


def test_every_example_of_a_ragged_split_counts_once(stored):
    data = ImageData("cifar10", num_validation=20)
    task = make_task(data=data)
    params, model_state = task.init(jax.random.key(0))
    measured = task.evaluate(params, model_state)
    assert measured.keys() == {"validation", "test"}
    validation = image_data.load_splits(data, "").evaluated["validation"]
    for split, images in (("validation", validation), ("test", STORED["test"])):
        expected = dict.fromkeys(("loss", "accuracy", "top5"), 0.0)
        for image, label in zip(images.images, images.labels, strict=True):
            logits = forward(params, normalized(image).ravel())
            expected["loss"] += np.log(np.exp(logits).sum()) - logits[label]
            expected["accuracy"] += logits.argmax() == label
            expected["top5"] += label in np.argsort(logits)[-5:]
        for name, total in expected.items():
            assert measured[split][name] == pytest.approx(total / len(images.labels))


def forward(params, x: np.ndarray) -> np.ndarray:
    """The multilayer perceptron in NumPy, without dropout."""
    *hidden, head = (params["layers"][i] for i in sorted(params["layers"]))
    for layer in hidden:
        x = np.maximum(x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"]), 0)
    return x @ np.asarray(head["kernel"]) + np.asarray(head["bias"])


def test_the_learning_rate_falls_to_zero_along_half_a_cosine(stored):
    schedule = make_task(learning_rate=0.1).learning_rate
    end = CONFIG.epochs * STEPS
    for step in (0, 1, 7, end // 2, end):
        expected = 0.05 * (1 + np.cos(np.pi * step / end))
        assert float(jnp.asarray(schedule(step))) == pytest.approx(expected, abs=1e-8)


def test_more_in_a_batch_than_in_the_data_is_refused(stored):
    with pytest.raises(ValueError, match="88 examples do not fill a batch of 128"):
        make_task(batch_size=128)


def test_imagenet_is_refused():
    with pytest.raises(ValueError, match="imagenet2012 is no data set of this command"):
        make_task(data=ImageData("imagenet2012"))


def test_a_resumed_run_is_the_unbroken_one(stored, tmp_path):
    unbroken = train_tiny(tmp_path / "a", task=make_task())
    for max_steps in (3, STEPS + 2, None):
        resumed = train_tiny(tmp_path / "b", task=make_task(), max_steps=max_steps)
    assert_same_run(resumed, unbroken)


@pytest.mark.slow
@pytest.mark.skipif(find_prepared("cifar10") is None, reason="CIFAR-10 is not prepared")
def test_a_preset_reads_cifar10():
    config = CIFAR["cifar10-small-asam"]
    task = image_task.image_task(config, seed=0, data_dir=str(find_prepared("cifar10")))
    assert task.steps_per_epoch == 10_000 // 128
    batch = jax.jit(task.prepare)(next(task.inputs(0)), jax.random.key(0))
    assert batch.images.shape == (128, 16, 16, 3)
    assert {*np.asarray(batch.labels).tolist()} == {*range(10)}
    # Padding with black and the official constants make a mean below 0.
    assert -1 < batch.images.mean() < 0
    assert 0.8 < batch.images.std() < 1.6
