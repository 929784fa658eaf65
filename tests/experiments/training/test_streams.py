"""The keys of a run, read off every draw in its programs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from experiments.data.images import ImageSet
from experiments.data.order import epoch_order
from experiments.nets.mlp import mlp
from experiments.training import image_task
from experiments.training.clean_statistics import clean_statistics
from experiments.training.config import Ascent
from experiments.training.image_config import ImageConfig, ImageData
from experiments.training.image_data import ImageSplits
from experiments.training.loop import initial_state, train_step_of
from experiments.training.step import init_state
from experiments.training.streams import run_keys

SIDE, BATCH = 8, 16
CONFIG = ImageConfig(
    name="tiny",
    data=ImageData("cifar10", augmentation="autoaugment", cutout=2),
    net="small",
    ascent=Ascent(rho=0.5, source="random"),
    batch_size=BATCH,
)
CALLS = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr"}


def drawn(function, *args) -> list[bytes]:
    """Returns the key of each draw that a program makes of these arguments."""
    program = jax.make_jaxpr(function)(*args)
    keys = []
    _run(program, jax.tree.leaves(args), keys)
    return keys


def _run(program, args, keys):
    """Interprets a program, and writes down the keys."""
    values = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    values |= zip(program.jaxpr.invars, args, strict=True)
    read = lambda x: x.val if isinstance(x, Literal) else values[x]
    for eqn in program.eqns:
        inputs = [read(x) for x in eqn.invars]
        if eqn.primitive.name == "random_bits":
            words = np.asarray(jax.random.key_data(inputs[0])).reshape(-1, 2)
            keys += [key.tobytes() for key in words]
        if inner := CALLS.get(eqn.primitive.name):
            outputs = _run(eqn.params[inner], inputs, keys)
        else:
            assert "random_bits[" not in str(eqn.params)
            outputs = eqn.primitive.bind(*inputs, **eqn.params)
            outputs = outputs if eqn.primitive.multiple_results else [outputs]
        values |= zip(eqn.outvars, outputs, strict=True)
    return [read(x) for x in program.jaxpr.outvars]


def make_images(seed: int, num: int) -> ImageSet:
    rng = np.random.default_rng(seed)
    images = rng.integers(256, size=(num, SIDE, SIDE, 3), dtype=np.uint8)
    return ImageSet(images, rng.integers(10, size=num).astype(np.int32))


def drawn_by_run(task, seed: int) -> list[bytes]:
    """Returns the keys of initial weights, order, two steps and clean statistics."""
    keys = run_keys(seed)
    found = drawn(lambda: init_state(task.init, task.optimizer, (), seed))
    found += drawn(
        lambda: [epoch_order(keys.order, epoch, 48, BATCH) for epoch in (0, 1)]
    )
    state = initial_state(task, seed)()
    inputs = list(itertools.islice(task.inputs(0), 2))
    for step in (0, 1):
        state = state._replace(step=jnp.int32(step))
        found += drawn(train_step_of(task, seed), state, inputs[step])
    seen = task._replace(inputs=lambda start: iter(inputs))
    clean = clean_statistics(seen, keys.statistics)
    return found + drawn(clean, state.params, state.model_state)


def test_no_two_draws_of_a_run_or_of_two_share_a_key(monkeypatch):
    nets = {"small": lambda num_classes: mlp(SIDE * SIDE * 3, (16,), num_classes, 0.2)}
    monkeypatch.setattr(image_task, "IMAGE_NETS", nets)
    splits = ImageSplits(make_images(0, 48), {"test": make_images(1, 16)}, 10)
    found = []
    for seed in (0, 1):
        task = image_task.task_of_splits(CONFIG, splits, seed=seed)
        found += drawn_by_run(task, seed)
    # Two layers; the epochs; crop, flip, policy, cutout, eps and dropout.
    assert len(found) > 2 * (2 + 2 + 2 * 12)
    assert len(set(found)) == len(found)
