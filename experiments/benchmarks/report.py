"""The tables, and whether asam_jax is as fast as the other JAX library."""

from collections.abc import Mapping
from typing import Any

from experiments.benchmarks import convolution
from experiments.benchmarks.timing import Spread
from experiments.markdown import markdown_table

NOT_INSTALLED = "not installed"
TOLERANCE = 1.02


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the whole report."""
    machine, versions = record["machine"], record["versions"]
    caption = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + _STEPS_CAPTION
    )
    parts = [steps_table(record), caption, verdicts(record), _VERDICTS_CAPTION]
    parts += [ascent_table(record), _ASCENT_CAPTION, growth_table(record)]
    parts += [layers_table(record), _LAYERS_CAPTION]
    return "\n\n".join(parts) + "\n"


_STEPS_CAPTION = (
    ". Medians with quartiles over rounds, in each of which every method of a net was "
    "timed once; ratios are taken round by round, to SGD of the same framework. "
    "float32; SGD with momentum descends everywhere; every JAX state is donated. One "
    "step of optax's transparent mode is two calls of its `update`, each with a "
    "gradient of its own; it can donate only because its first state, which holds the "
    "parameters twice, is copied here. PyTorch runs eagerly, on one thread a core, "
    "which sleeps where it waits, so as not to disturb XLA."
)
_VERDICTS_CAPTION = (
    f"No slower: the median ratio is at most {TOLERANCE}, or the quartiles of the "
    "rounds reach 1; where the interval of the median lies above 1, ours is slower all "
    'the same, by so little. No JAX library has ASAM: "by hand" is the textbook '
    "formula, seven lines, as the adversary of optax's opaque mode. The transparent "
    "mode branches, and XLA on CPU runs what comes before a branch in another order, "
    'faster or slower: "in a branch" are SGD and our SAM with an SGD that stands in '
    "one, `optax.conditionally_transform`."
)
_ASCENT_CAPTION = (
    "The ascent alone, w to w + eps on eight leaves, parameters donated: its time over "
    "that of the reads and writes it cannot do without (ASAM 20 bytes a parameter, SAM "
    "16) at the speed of `numpy.copyto` on warm arrays, in the same rounds. "
    "pytorch_optimizer also keeps a copy of the parameters."
)

_LAYERS_CAPTION = (
    f"Forward and backward on {convolution.BATCH} images of {convolution.SIDE}x"
    f"{convolution.SIDE} pixels and {convolution.CHANNELS} channels. Where XLA's own "
    "convolution is the fastest row, no formulation in JAX gains on this machine."
)


def steps_table(record: Mapping[str, Any]) -> str:
    """Returns a row for each net and method."""
    header = ["net", "method", "step / SGD", "ms", "compile, s", "Gflop", "GB moved"]
    header += ["temporary, MB", "persistent, MB"]
    table = []
    for net, measured in record["nets"].items():
        name = f"{net}, {measured['num_parameters']:,} parameters"
        for method, row in measured["methods"].items():
            table.append([name, method, *_cells(row)])
    return markdown_table(header, table)


def _cells(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return [NOT_INSTALLED] + [""] * 6
    return [
        Spread(**row["ratio"]).text(),
        _milliseconds(row["seconds"]),
        _scaled(row.get("compile_seconds"), 1, 1),
        _scaled(row.get("flops"), 1e9, 2),
        _scaled(row.get("bytes_accessed"), 1e9, 3),
        _scaled(row.get("temporary_bytes"), 1e6, 2),
        _scaled(row.get("persistent_bytes"), 1e6, 2),
    ]


def verdicts(record: Mapping[str, Any]) -> str:
    """Returns a table of ours against Optax's, in time and peak memory."""
    header = ["program", "asam_jax", "against", "time, ratio", "its median, 95 %"]
    header += ["no slower", "peak memory, ratio"]
    table = []
    for program, measured in _programs(record).items():
        for compared in measured["against_peers"]:
            found = Spread(**compared["ratio"])
            low, high = compared["median_interval"]
            interval = f"{low:.3f} to {high:.3f}"
            verdict = "yes" if is_no_slower(found) else "no"
            pair = compared["ours"], compared["peer"]
            rows = [measured["methods"][name] for name in pair]
            is_step = "persistent_bytes" in rows[0]
            memory = f"{peak_ratio(*rows):.3f}" if is_step else ""
            table.append([program, *pair, found.text(3), interval, verdict, memory])
    return markdown_table(header, table)


def _programs(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Everything that was measured of ours and of Optax's, under a name."""
    ascents = {
        f"ascent, {int(size):.0e} parameters": measured
        for size, measured in record["ascent"].items()
    }
    growth = {
        f"MLP, {point['num_parameters']:,} parameters, batch {point['batch_size']}": (
            point
        )
        for point in record["growth"]
    }
    return {**record["nets"], **ascents, **growth}


def is_no_slower(found: Spread) -> bool:
    """Tells whether a ratio is at most 1.02, or its quartiles reach below 1."""
    return found.median <= TOLERANCE or found.lower <= 1


def peak_ratio(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> float:
    """Returns the ratio of what two methods hold at once, batch and code aside."""
    held = [row["temporary_bytes"] + row["persistent_bytes"] for row in (ours, peer)]
    return held[0] / held[1]


def ascent_table(record: Mapping[str, Any]) -> str:
    """Returns a row for each size and ascent."""
    header = ["parameters", "copy, GB/s", "ascent", "ms", "time / necessary"]
    header += ["temporary, MB"]
    table = []
    for size, measured in record["ascent"].items():
        speed = Spread(**measured["copy_gigabytes_per_second"]).text(1)
        for name, row in measured["methods"].items():
            cells = (
                [NOT_INSTALLED, "", ""]
                if row is None
                else [
                    _milliseconds(row["seconds"]),
                    Spread(**row["times_necessary"]).text(),
                    _scaled(row["temporary_bytes"], 1e6, 2),
                ]
            )
            table.append([f"{int(size):.0e}", speed, name, *cells])
    return markdown_table(header, table)


def growth_table(record: Mapping[str, Any]) -> str:
    """Returns step / SGD for MLPs of several sizes and batches, a column a method."""
    methods = list(record["growth"][0]["methods"])[1:]
    header = ["MLP, parameters", "batch", "SGD, ms"]
    header += [f"{method} / SGD" for method in methods]
    table = []
    for point in record["growth"]:
        rows = point["methods"]
        table.append(
            [
                f"{point['num_parameters']:,}",
                str(point["batch_size"]),
                _milliseconds(rows["SGD"]["seconds"]),
                *(Spread(**rows[method]["ratio"]).text() for method in methods),
            ]
        )
    return markdown_table(header, table)


def layers_table(record: Mapping[str, Any]) -> str:
    """Returns the ways to write a convolution and a BatchNorm."""
    rows = [
        [name, NOT_INSTALLED if row is None else _milliseconds(row["seconds"])]
        for name, row in record["layers"].items()
    ]
    return markdown_table(["layer", "ms"], rows)


def _milliseconds(seconds: Mapping[str, float]) -> str:
    return Spread(*(1e3 * seconds[name] for name in Spread._fields)).text()


def _scaled(value: float | None, unit: float, digits: int) -> str:
    return "" if value is None else f"{value / unit:.{digits}f}"
