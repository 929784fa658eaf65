"""The code in README.md runs, given what a reader would have already."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"

COMMON = """
import asam_jax, jax, jax.numpy as jnp, optax
from jax.sharding import AxisType, PartitionSpec as P
schedule = optax.constant_schedule(0.1)
batch = {"x": jnp.linspace(-1, 1, 32).reshape(8, 4), "y": jnp.arange(8) % 3}
params = {"dense": {"kernel": jnp.linspace(-1, 1, 12).reshape(4, 3)},
          "norm": {"scale": jnp.ones(3), "bias": jnp.zeros(3)}}
def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
def apply(params, x):
    norm = params["norm"]
    return x @ params["dense"]["kernel"] * norm["scale"][None] + norm["bias"][None]
def loss_fn(params, batch):
    return cross_entropy(apply(params, batch["x"]), batch["y"])
def step(optimizer, params):
    grads = jax.grad(loss_fn)(params, batch)
    updates, _ = optimizer.update(
        grads, optimizer.init(params), params,
        grad_fn=lambda p: jax.grad(loss_fn)(p, batch))
    return optax.apply_updates(params, updates)
def changed(before, after):
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()),
                                            before, after)))
"""

# A word of each block: what comes before it, and what must hold after it.
BLOCKS = {
    "add_decayed_weights": (
        "",
        "new, _, loss = train_step(params, optimizer.init(params), batch)\n"
        "assert changed(params, new) and jnp.isfinite(loss)",
    ),
    "asam_jax.nnx": (
        "from flax import nnx\n"
        "def loss_fn(model, batch):\n"
        "    return cross_entropy(model(batch['x']), batch['y'])\n"
        "model = nnx.Sequential(nnx.Linear(4, 3, rngs=nnx.Rngs(0)),\n"
        "                       nnx.BatchNorm(3, rngs=nnx.Rngs(0)))\n"
        "chain = optax.chain(asam_jax.asam(rho=0.5), optax.sgd(0.1))\n"
        "optimizer = nnx.Optimizer(model, chain, wrt=nnx.Param)",
        "before = jax.tree.map(jnp.copy, nnx.state(model, nnx.Param))\n"
        "assert jnp.isfinite(train_step(model, optimizer, batch))\n"
        "assert bool((before['layers'][0]['kernel'][...]"
        " != model.layers[0].kernel[...]).any())",
    ),
    "asam_jax.linen": (
        "import flax.linen as nn\n"
        "from flax.training.train_state import TrainState\n"
        "class State(TrainState):\n"
        "    batch_stats: dict\n"
        "norm = nn.BatchNorm(use_running_average=False)\n"
        "model = nn.Sequential([nn.Dense(3), norm])\n"
        "variables = model.init(jax.random.key(0), batch['x'])\n"
        "state = State.create(\n"
        "    apply_fn=model.apply, params=variables['params'],\n"
        "    batch_stats=variables['batch_stats'],\n"
        "    tx=optax.chain(asam_jax.asam(rho=0.5), optax.sgd(0.1)))",
        "new = train_step(state, batch)\n"
        "assert new.step == 1 and changed(state.batch_stats, new.batch_stats)",
    ),
    "eqx.filter_jit": (
        "import equinox as eqx\n"
        "model = eqx.nn.MLP(4, 3, width_size=8, depth=1, key=jax.random.key(0))\n"
        "def loss_fn(model, batch):\n"
        "    return cross_entropy(jax.vmap(model)(batch['x']), batch['y'])\n"
        "optimizer = optax.chain(asam_jax.asam(rho=0.5), optax.sgd(0.1))\n"
        "opt_state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))",
        "new, _, loss = train_step(model, opt_state, batch)\n"
        "before, after = (\n"
        "    eqx.filter(m, eqx.is_inexact_array) for m in (model, new))\n"
        "grads = asam_jax.value_and_grad(\n"
        "    lambda p: loss_fn(eqx.combine(p, model), batch), rho=0.5)(before)[1]\n"
        "expected = jax.tree.map(lambda w, g: w - 0.1 * g, before, grads)\n"
        "assert optax.tree.allclose(after, expected, rtol=1e-5, atol=1e-6)",
    ),
    "jnp.bfloat16": (
        "params = optax.tree.cast(params, jnp.bfloat16)",
        "new = step(optax.chain(asam_jax.asam(rho=0.5), optax.sgd(0.1)), params)\n"
        "assert changed(params, new)\n"
        "assert optax.tree.dtype(new) == jnp.bfloat16",
    ),
    "mean_over_devices": (
        "mesh = jax.make_mesh((8,), ('data',), axis_types=(AxisType.Auto,))",
        "expected = asam_jax.value_and_grad(loss_fn, rho=0.5, num_groups=8)(\n"
        "    params, batch)\n"
        "assert optax.tree.allclose((loss, grads), expected, rtol=1e-5, atol=1e-6)",
    ),
    'axis_name="data"': (
        "mesh = jax.make_mesh((8,), ('data',), axis_types=(AxisType.Auto,))",
        "new, _ = train_step(params, optimizer.init(params), batch)\n"
        "grads = asam_jax.value_and_grad(loss_fn, rho=0.5, num_groups=8)(\n"
        "    params, batch)[1]\n"
        "expected = jax.tree.map(lambda w, g: w - 0.1 * g, params, grads)\n"
        "assert optax.tree.allclose(new, expected, rtol=1e-5, atol=1e-6)",
    ),
    "MultiSteps": (
        "",
        "assert not changed(params, step(optimizer, params))  # one of four",
    ),
    "momentum_source": (
        "optimizer = optax.sgd(0.1, momentum=0.9)",
        "first, opt_state, loss = train_step(params, optimizer.init(params), batch)\n"
        "assert jnp.allclose(loss, loss_fn(params, batch), rtol=1e-6)  # no momentum\n"
        "eps = asam_jax.perturbation(\n"
        "    first, asam_jax.momentum_source(opt_state), rho=3.0)\n"
        "_, _, loss = train_step(first, opt_state, batch)\n"
        "expected = loss_fn(optax.tree.add(first, eps), batch)\n"
        "assert jnp.allclose(loss, expected, rtol=1e-5)",
    ),
    "linear_schedule": ("", "assert changed(params, step(optimizer, params))"),
    "asam_jax.sharpness": (
        "plain_apply, model_state = apply, {'shift': 1.0}\n"
        "def apply(params, model_state, x):\n"
        "    return plain_apply(params, x + model_state['shift'])\n"
        "batches = [batch, jax.tree.map(lambda x: x[:3], batch)]",
        "assert found.value > 0 and found.converged",
    ),
}


def python_blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_every_block_is_run():
    assert len(python_blocks()) == len(BLOCKS)


@pytest.mark.parametrize("word", BLOCKS)
def test_block(word):
    (block,) = [block for block in python_blocks() if word in block]
    before, after = BLOCKS[word]
    exec("\n".join([COMMON, before, block, after]), {})
