"""Prepared data sets: small ones made on the spot, and those of this machine."""

import io
import os
import pathlib

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


def encode(image: np.ndarray, image_format: str) -> io.BytesIO:
    """Encodes uint8 [height, width, channel] as a file in memory."""
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, image_format)
    file.seek(0)
    return file


def find_prepared(name: str) -> pathlib.Path | None:
    """Returns the data folder if it holds the whole of a data set."""
    root = os.environ.get("ASAM_JAX_DATA_DIR", "~/tensorflow_datasets")
    root = pathlib.Path(root).expanduser()
    return root if (root / name).exists() else None


def make_builder(
    data_dir: pathlib.Path,
    name: str,
    splits: dict[str, list[np.ndarray]],
    *,
    image_format: str = "png",
    file_format: str = "array_record",
) -> tfds.core.DatasetBuilder:
    """Returns a TFDS builder called `name` of images that their index labels."""
    upstream = tfds.builder_cls(name)
    channels = next(iter(splits.values()))[0].shape[-1]

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = upstream.VERSION
        name = upstream.name

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(
                            shape=(None, None, channels), encoding_format=image_format
                        ),
                        "label": tfds.features.ClassLabel(num_classes=100),
                    }
                ),
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split):
            for label, image in enumerate(splits[split]):
                yield label, {"image": encode(image, image_format), "label": label}

    return Builder(data_dir=data_dir, file_format=file_format)
