"""What the cells of the paper's tables cost: floating-point operations, counted by XLA.

    python -m experiments.cost --out runs/cost

Lowers the gradient of each net's loss without running it, and multiplies by gradients a
step (two with an ascent), images and epochs. Listed are the ASAM presets; SAM costs the
same, and so does SGD, which has half the gradients and twice the epochs. The hours are
those counts divided by an assumed speed, no measurement.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from tqdm import tqdm

from experiments.markdown import markdown_table
from experiments.nets import IMAGE_NETS
from experiments.presets import CIFAR, IMAGENET
from experiments.provenance import provenance, write_results
from experiments.training.classification import Batch, classification_loss
from experiments.training.image_config import ImageConfig

IMAGES = {
    "cifar10": (50_000, 32, 10),
    "cifar100": (50_000, 32, 100),
    "imagenet2012": (1_281_167, 224, 1000),
}
"""Data set to training images, side in pixels, classes."""
BATCH = 8


@dataclasses.dataclass(frozen=True)
class Options:
    """What to assume and where to write."""

    out: pathlib.Path = pathlib.Path("runs/cost")
    """Folder of cost.json and cost.md."""
    teraflops: float = 60.0
    """Assumed speed in 10^12 operations a second: about a fifth of an A100's bfloat16
    peak."""


def gradient_flops(config: ImageConfig) -> float:
    """Returns the operations of one gradient of the loss, for one image."""
    _, side, num_classes = IMAGES[config.data.dataset]
    side //= config.data.shrink
    net = IMAGE_NETS[config.net](num_classes)
    loss_fn = classification_loss(net, num_classes, config)
    params, model_state = jax.eval_shape(net.init, jax.random.key(0))
    batch, key = jax.eval_shape(
        lambda: (
            Batch(jnp.zeros((BATCH, side, side, 3)), jnp.zeros(BATCH, jnp.int32)),
            jax.random.key(0),
        )
    )
    gradient = jax.jit(jax.grad(loss_fn, has_aux=True))
    analysis: Any = gradient.lower(params, model_state, batch, key).cost_analysis()
    return analysis["flops"] / BATCH


def run_flops(config: ImageConfig, per_gradient: float) -> float:
    """Returns the operations of a whole run."""
    num_images = config.data.num_train or IMAGES[config.data.dataset][0]
    gradients = 2 if config.ascent.rho else 1
    return per_gradient * gradients * num_images * config.epochs


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the table of what `main` writes as JSON, a row a preset."""
    header = ["preset", "Gflop an image and gradient", "Eflop a run"]
    header += [f"hours at {record['assumed_teraflops']:g} Tflop/s"]
    rows = [
        [
            row["preset"],
            f"{row['gigaflops_per_image_and_gradient']:.3g}",
            f"{row['exaflops']:.3g}",
            f"{row['hours_at_assumed_speed']:.2g}",
        ]
        for row in sorted(record["presets"], key=lambda row: row["preset"])
    ]
    return markdown_table(header, rows) + "\n"


def main(options: Options) -> None:
    """Counts, and writes the table and the JSON."""
    record = provenance()
    counted: dict[tuple[str, str, int], float] = {}
    rows = []
    presets = {**CIFAR, **IMAGENET}
    for name, config in tqdm(presets.items(), disable=None):
        if not name.endswith("-asam"):
            continue
        key = (config.net, config.data.dataset, config.data.shrink)
        if key not in counted:
            counted[key] = gradient_flops(config)
        total = run_flops(config, counted[key])
        hours = total / (options.teraflops * 1e12) / 3600
        rows.append(
            {
                "preset": name,
                "gigaflops_per_image_and_gradient": counted[key] / 1e9,
                "exaflops": total / 1e18,
                "hours_at_assumed_speed": hours,
            }
        )
    record |= {"assumed_teraflops": options.teraflops, "presets": rows}
    text = markdown(record)
    write_results(options.out, "cost", record, text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
