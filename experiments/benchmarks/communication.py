"""What a training step of ResNet-50 sends between devices, and how long that takes.

    python -m experiments.benchmarks.communication --out runs/communication

Compiles the step of the training system from shapes alone, for 8 and for 256 virtual
devices, and counts the collectives in the program. The times are those bytes, and the
operations of the step, divided by assumed speeds: nothing is run.
"""

import dataclasses
import math
import multiprocessing
import pathlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from tqdm import tqdm
from tyro.conf import OmitArgPrefixes

from experiments.benchmarks.collectives import Collective, collectives
from experiments.benchmarks.projection import Speeds, markdown, project
from experiments.cost import gradient_flops
from experiments.nets import IMAGE_NETS
from experiments.presets import IMAGENET
from experiments.provenance import provenance, write_results
from experiments.training.classification import Batch
from experiments.training.classification_task import classification_task
from experiments.training.config import StateSharding
from experiments.training.gradient import num_gradients
from experiments.training.image_config import ImageConfig
from experiments.training.loop import initial_state, train_step_of
from experiments.training.sharding import data_mesh, state_shardings
from experiments.training.step import TrainState

NUM_CLASSES = 1000
SGD, ASAM = (IMAGENET[f"imagenet-resnet50-{method}"] for method in ("sgd", "asam"))
ASAM_PER_DEVICE = dataclasses.replace(
    ASAM, ascent=dataclasses.replace(ASAM.ascent, group="device")
)
STEPS: dict[str, tuple[ImageConfig, StateSharding]] = {
    "SGD": (SGD, "replicated"),
    "ASAM, one eps": (ASAM, "replicated"),
    "ASAM, one eps a device": (ASAM_PER_DEVICE, "replicated"),
    "SGD, FSDP": (SGD, "fsdp"),
    "ASAM, one eps, FSDP": (ASAM, "fsdp"),
    "ASAM, one eps a device, FSDP": (ASAM_PER_DEVICE, "fsdp"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compile and where to write."""

    out: pathlib.Path = pathlib.Path("runs/communication")
    """Folder of communication.json and communication.md."""
    devices: tuple[int, ...] = (8, 256)
    """Numbers of devices."""
    images: int = 32
    """Images a device and step."""
    side: int = 224
    """Side of the images in pixels; the size of a gradient does not depend on it."""
    speeds: OmitArgPrefixes[Speeds] = dataclasses.field(default_factory=Speeds)
    """What to assume of a device."""


def abstract_step(
    config: ImageConfig, sharding: StateSharding, images: int, side: int
) -> tuple[Any, TrainState, Batch]:
    """Returns the step to compile, and shapes and shardings of its state and batch.

    Args:
        config: What is trained, on all devices of this process.
        sharding: Where the state lives.
        images: Images a device.
        side: Of an image, in pixels.
    """
    task = classification_task(
        config,
        IMAGE_NETS[config.net](NUM_CLASSES),
        seed=0,
        num_classes=NUM_CLASSES,
        steps_per_epoch=1,
        inputs=lambda start: iter(()),
        prepare=lambda batch, key: batch,
        evaluate=lambda params, model_state: {},
    )
    mesh = data_mesh()

    def batch():
        shape = (images * mesh.size, side, side, 3)
        return Batch(jnp.zeros(shape), jnp.zeros(shape[0], jnp.int32))

    state = jax.eval_shape(initial_state(task, seed=0, sharding=sharding))
    batch = jax.eval_shape(batch)
    shardings = state_shardings(state, mesh, sharding)
    on_data = jax.tree.map(lambda _: NamedSharding(mesh, P("data")), batch)
    return (
        jax.jit(train_step_of(task, seed=0), donate_argnums=0, out_shardings=shardings),
        jax.tree.map(_placed, state, shardings),
        jax.tree.map(_placed, batch, on_data),
    )


def _placed(shape: jax.ShapeDtypeStruct, sharding: NamedSharding):
    return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)


def measure(label: str, images: int, side: int) -> dict[str, Any]:
    """Compiles one of `STEPS` for all devices and counts what it sends."""
    config, sharding = STEPS[label]
    step, state, batch = abstract_step(config, sharding, images, side)
    found = collectives(step.lower(state, batch).compile().as_text())
    return {
        "devices": jax.device_count(),
        "step": label,
        "collectives": totals(found),
        "wire_bytes": sum(c.wire_bytes for c in found),
        "gradient_bytes": num_bytes(state.params),
        "state_bytes_a_device": shard_bytes(state),
        "gradients_a_step": num_gradients(config.ascent, num_steps=1),
    }


def totals(found: Sequence[Collective]) -> dict[str, dict[str, float]]:
    """Adds up the collectives of each kind."""
    return {
        kind: {
            "count": len(same),
            "payload_bytes": sum(c.payload_bytes for c in same),
            "wire_bytes": sum(c.wire_bytes for c in same),
        }
        for kind in sorted({c.kind for c in found})
        if (same := [c for c in found if c.kind == kind])
    }


def num_bytes(tree: Any) -> int:
    """Returns the bytes of arrays."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def shard_bytes(tree: Any) -> int:
    """Returns the bytes of arrays that one device holds."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def measure_all(options: Options) -> Iterator[dict[str, Any]]:
    """Measures each step on each number of devices, of which a process has one."""
    context = multiprocessing.get_context("spawn")
    for count in options.devices:
        with ProcessPoolExecutor(
            1, mp_context=context, initializer=_use_virtual_devices, initargs=(count,)
        ) as process:
            for label in STEPS:
                args = (label, options.images, options.side)
                yield process.submit(measure, *args).result()


def _use_virtual_devices(count: int) -> None:
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", count)


def main(options: Options) -> None:
    """Compiles every step for every number of devices, and writes the tables."""
    record = provenance()
    rows = list(
        tqdm(
            measure_all(options),
            total=len(options.devices) * len(STEPS),
            desc="compile",
            disable=None,
        )
    )
    flops = gradient_flops(ASAM) * options.images
    projected = [project(row, flops, options.speeds) for row in rows]
    record |= {
        "options": dataclasses.asdict(options) | {"out": str(options.out)},
        "gigaflops_a_gradient_and_device": flops / 1e9,
        "programs": rows,
        "projections": projected,
    }
    text = markdown(rows, projected, options.speeds)
    write_results(options.out, "communication", record, text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
