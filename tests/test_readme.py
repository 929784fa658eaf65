"""The code in README.md runs, given what a reader would have already."""

import json
import pathlib
import re

import pytest

from experiments.statistics import mean_of

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "experiments" / "results"
DIGITS = RESULTS / "digits.json"

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


def test_the_demo_table_is_that_of_the_results_file():
    results = json.loads(DIGITS.read_text())["results"]
    pattern = r"^\| \d+ % \| (?:SGD|SAM|ASAM).*\|$"
    rows = re.findall(pattern, README.read_text(), flags=re.MULTILINE)
    assert len(rows) == len(results)
    for row, result in zip(rows, results, strict=True):
        assert row.startswith(
            f"| {100 * result['noise_rate']:g} % | {result['method']}"
        )
        last = result["test_last"]
        mean, error = 100 * last["mean"], 100 * last["standard_error"]
        assert row.endswith(f"| {mean:.2f} ± {error:.2f} |")


@pytest.mark.parametrize(("rate", "label"), [(0.0, "0 %"), (0.4, "40 %, redrawn")])
def test_the_label_noise_table_is_that_of_the_results_file(rate, label):
    runs = json.loads((RESULTS / "label_noise.json").read_text())["runs"]
    chosen = {"sgd": 0.0, "sgd-2x": 0.0, "sam": 0.3, "asam": 2.0}
    (row,) = re.findall(
        rf"^\| {label}[^|]*\| (\d.*) \|$", README.read_text(), flags=re.MULTILINE
    )
    cells = row.split(" | ")
    for cell, (method, rho) in zip(cells, chosen.items(), strict=True):
        wanted = (rate, method, rho)
        accuracies = [
            run["last_test_accuracy"]
            for run in runs
            if (run["noise_rate"], run["method"], run["rho"]) == wanted
        ]
        assert len(accuracies) == 3
        assert cell == mean_of(accuracies).percent()


def test_the_translation_table_is_that_of_the_results_file():
    runs = json.loads((RESULTS / "translation.json").read_text())["runs"]
    chosen = {"adam": 0.0, "adam-2x": 0.0, "sam": 0.03, "asam": 0.1}
    cells = []
    for method, rho in chosen.items():
        scores = [
            run["test_bleu"]
            for run in runs
            if (run["method"], run["rho"]) == (method, rho)
        ]
        assert len(scores) == 2
        cells.append(mean_of(scores).text())
    assert f"\n| {' | '.join(cells)} |\n" in README.read_text()


def test_the_speed_of_the_loop_is_that_of_the_results_file():
    record = json.loads((RESULTS / "loop.json").read_text())
    pattern = (
        r"in the loop takes ([\d.]+) times the bare step, median of (\d+) pairs "
        r"\(([\d.]+) to ([\d.]+)\)"
    )
    text = (ROOT / "experiments" / "README.md").read_text()
    ((ratio, pairs, *ends),) = re.findall(pattern, text)
    assert ratio == f"{record['ratio']['median']:.2f}"
    assert int(pairs) == record["options"]["blocks"]
    assert ends == [f"{record['ratio'][end]:.2f}" for end in ("least", "most")]


def in_words(values):
    return f"{min(values):.2f} to {max(values):.2f}"


def test_what_a_step_costs_is_what_the_results_file_says():
    record = json.loads((RESULTS / "benchmark.json").read_text())
    text = " ".join((ROOT / "experiments" / "README.md").read_text().split())
    nets, grown = [*record["nets"].values()], record["growth"]

    def against(programs, ours, peer):
        compared = [found for p in programs for found in p["against_peers"]]
        return in_words(
            [
                found["ratio"]["median"]
                for found in compared
                if (found["ours"], found["peer"]) == (ours, peer)
            ]
        )

    sam, asam = "SAM, asam_jax", "ASAM, asam_jax"
    opaque, transparent = "SAM, optax opaque", "SAM, optax transparent"
    by_hand = "ASAM, by hand"
    steps = [net["methods"][x]["ratio"]["median"] for net in nets for x in (sam, asam)]
    assert f"SAM and ASAM take {in_words(steps)} of SGD's" in text
    assert (
        f"mode our SAM takes {against(nets, sam, opaque)} times as long on the nets "
        f"and {against(grown, sam, opaque)} on MLPs of any size and batch"
    ) in text
    assert (
        f"our ASAM {against(nets, asam, by_hand)} and {against(grown, asam, by_hand)}"
    ) in text
    in_a_branch = against(nets, f"{sam}, in a branch", transparent)
    assert (
        f"transparent mode it takes {against(nets, sam, transparent)} times as long, "
        f"and {in_a_branch} where"
    ) in text

    ascents = [record["ascent"][str(10**i)] for i in range(4, 9)]
    shares = [
        [
            f"{ascent['methods'][x]['times_necessary']['median']:.2f}"
            for x in (asam, sam)
        ]
        for ascent in ascents[3:]
    ]
    (asam_7, sam_7), (asam_8, sam_8) = shares
    assert f"takes {asam_7} (10^7 parameters) and {asam_8} (10^8) times" in text
    assert f"for ASAM, {sam_7} and {sam_8} for SAM" in text
    alone = against(ascents, sam, "SAM, optax")
    assert f"our SAM takes {alone} times as long as Optax's" in text
    large = against(ascents[3:], asam, by_hand)
    assert f"ASAM {large} times as long as by hand from 10^7" in text
    small = against(ascents[1:2], asam, by_hand).split()[0]
    assert f"{small} times as long for 10^5" in text


def cells_of(name):
    """The rows of the tables of a results file, in order."""
    lines = (RESULTS / name).read_text().splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("|")]
    return [[cell.strip("* ") for cell in row] for row in rows]


def readme_text():
    return " ".join(README.read_text().split())


def test_the_balls_are_those_of_the_results_file():
    last = {row[0]: row[4] for row in cells_of("normalization.md")[2:]}
    percent = lambda name: f"{float(last[name]):.1f}"
    text = readme_text()
    for words, name in {
        "filter-wise ({} %)": "filter-wise, p = 2",
        "element-wise with p = inf ({} %)": "element-wise, p = inf",
        "element-wise with biases ({} %)": "element-wise with biases, p = 2",
        "without ({} %, the paper's choice)": "element-wise, p = 2 (ASAM)",
        "layer-wise ({} %)": "layer-wise, p = 2",
        "SGD has {} %": "SGD",
    }.items():
        assert words.format(percent(name)) in text


def test_the_correlations_are_those_of_the_results_file():
    header, _, tau, *_ = cells_of("correlation.md")
    two_digits = lambda cell: re.sub(
        r"\d\.\d+", lambda number: f"{float(number[0]):.2f}", cell
    )
    found = {name: two_digits(cell) for name, cell in zip(header, tau, strict=False)}
    plain, adaptive = found["sharpness, p = 2"], found["adaptive, p = 2"]
    assert f"tau is {adaptive} against {plain} for p = 2" in readme_text()
    plain, adaptive = (
        found[f"{name}, p = ∞"].split()[0] for name in ("sharpness", "adaptive")
    )
    assert f"and {adaptive} against {plain} for p = inf" in readme_text()


def test_the_frontier_is_that_of_the_results_file():
    records = [
        json.loads((RESULTS / f"frontier-{part}.json").read_text())
        for part in ("digits", "cifar10")
    ]

    def accuracies(method, *radii):
        for record, rho in zip(records, radii, strict=True):
            tests = [
                100 * run["test"]
                for run in record["results"]
                if (run["method"], run["rho"]) == (method, rho)
            ]
            assert len(tests) > 2
            mean = mean_of(tests)
            yield f"{mean.mean:.1f} ± {mean.standard_error:.1f}"

    text = readme_text()
    digits, images = accuracies("msam", 2.0, 1.8)
    assert f"MSAM has {digits} and {images} %" in text
    digits, images = accuracies("asam", 1.0, 2.0)
    assert f"ASAM {digits} and {images}" in text
    digits, images = accuracies("sgd", 0.0, 0.0)
    assert f"SGD {digits} and {images}" in text
    _, images = accuracies("asam-random", 10.0, 10.0)
    assert f"random direction does as well ({images})" in text
    _, images = accuracies("sam", 0.42, 0.3)
    assert f"best on the images ({images})" in text
