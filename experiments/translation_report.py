"""The tables, figure and JSON of the translation study."""

import json
import operator
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments import palette
from experiments.markdown import markdown_table
from experiments.provenance import write_results
from experiments.runs import Run
from experiments.statistics import mean_of
from experiments.training.run_folder import RunFolder
from experiments.tuning import EDGE_NOTE, ChosenRuns, chosen_runs

COLOURS = {
    "adam": palette.SGD,
    "adam-2x": palette.SGD_LONGER,
    "sam": palette.SAM,
    "asam": palette.ASAM,
}
LABELS = {
    "adam": "Adam, equal steps",
    "adam-2x": "Adam, equal compute",
    "sam": "SAM",
    "asam": "ASAM",
}
HEADER = (
    "",
    "rho",
    "seeds",
    "BLEU",
    "tokenized lower-case BLEU",
    "test loss",
    "train loss",
)


def validation_bleu(run: Run) -> float:
    """Returns what chooses rho: BLEU of plain text on the validation split."""
    return _scores(run)["validation"]["bleu"]["plain"]["score"]


def result_of(method: str, run: Run) -> dict[str, Any]:
    """Returns what the report says of a finished run."""
    test = _scores(run)["test"]
    plain, tokenized = (test["bleu"][kind] for kind in ("plain", "tokenized"))
    return {
        "method": method,
        "rho": run.config["ascent"]["rho"],
        "seed": run.config["seed"],
        "validation_bleu": validation_bleu(run),
        "test_bleu": plain["score"],
        "signature": plain["signature"],
        "test_tokenized_bleu": tokenized["score"],
        "tokenized_signature": tokenized["signature"],
        "last_test_loss": run.series("test", "loss")[-1],
        "train_loss": run.series("train", "loss")[-1],
        "epochs": run.series("validation", "epoch"),
        "validation_loss": run.series("validation", "loss"),
        "samples": test["samples"],
    }


def _scores(run: Run) -> dict[str, Any]:
    return json.loads(RunFolder(run.path).scores.read_text())


def write_report(
    out: pathlib.Path, record: Mapping[str, Any], results: Iterable[dict[str, Any]]
) -> None:
    """Writes translation.json, .md and .png of the runs that are finished.

    Args:
        out: The folder.
        record: What the JSON says beside the runs; the first of the seeds of its
            `study` chooses rho.
        results: What `result_of` returns of each run.
    """
    order = operator.itemgetter("method", "rho", "seed")
    record = {**record, "runs": sorted(results, key=order)}
    write_results(out, "translation", record, markdown(record))
    figure = _draw(record["runs"], record["study"]["seeds"][0])
    figure.savefig(out / "translation.png", dpi=120)


def markdown(record: Mapping[str, Any]) -> str:
    """Returns table and sample translations of what `write_report` writes as JSON."""
    results, first_seed = record["runs"], record["study"]["seeds"][0]
    return _table(results, first_seed) + "\n" + _samples(results, first_seed)


def _chosen(results: list[dict], method: str, first_seed: int) -> ChosenRuns | None:
    """Returns the runs of the rho that the first seed chooses."""
    tried = [result for result in results if result["method"] == method]
    return chosen_runs(tried, "validation_bleu", first_seed)


def _table(results: list[dict], first_seed: int) -> str:
    found = {method: _chosen(results, method, first_seed) for method in LABELS}
    rows = [[label, *_cells(found[method])] for method, label in LABELS.items()]
    lines = [
        "German to English on Multi30k, test_2016:",
        "",
        markdown_table(HEADER, rows),
    ]
    signatures = {(r["signature"], r["tokenized_signature"]) for r in results}
    for plain, tokenized in signatures:
        lines += ["", f"BLEU `{plain}`, tokenized `{tokenized}`."]
    lines += [
        "The training loss has dropout and smoothed labels in it, the test loss not.",
    ]
    if any(runs is not None and runs.choice.is_at_edge for runs in found.values()):
        lines += [EDGE_NOTE]
    return "\n".join([*lines, ""])


def _cells(found: ChosenRuns | None) -> list[str]:
    if found is None:
        return ["", "0", "not run", "", "", ""]
    means = [
        mean_of([run[name] for run in found.runs]).text()
        for name in ("test_bleu", "test_tokenized_bleu", "last_test_loss", "train_loss")
    ]
    return [found.choice.text(), f"{len(found.runs)}", *means]


def _samples(results: list[dict], first_seed: int) -> str:
    """Returns some test sentences and what each method's chosen run makes of them."""
    samples = {}
    for method in LABELS:
        if found := _chosen(results, method, first_seed):
            (run,) = (run for run in found.runs if run["seed"] == first_seed)
            samples[method] = run["samples"]
    lines = [f"The first test sentences, as seed {first_seed} translates them:", ""]
    for each in zip(*samples.values(), strict=True):
        lines += [
            f"* {each[0]['source']}",
            f"  * reference: {each[0]['reference']}",
            *(
                f"  * {LABELS[method]}: {sample['translation']}"
                for method, sample in zip(samples, each, strict=True)
            ),
        ]
    return "\n".join(lines) + "\n"


def _draw(results: list[dict], first_seed: int) -> Figure:
    """Draws validation loss against epochs, and BLEU against rho."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    curves, rhos = figure.subplots(1, 2)
    for method, label in LABELS.items():
        style = {"color": COLOURS[method], "label": label}
        if found := _chosen(results, method, first_seed):
            loss = np.mean([run["validation_loss"] for run in found.runs], axis=0)
            curves.plot(found.runs[0]["epochs"], loss, **style)
        tried = sorted(
            (r["rho"], r["test_bleu"])
            for r in results
            if r["method"] == method and r["seed"] == first_seed
        )
        if tried and tried[0][0] == 0:
            rhos.axhline(tried[0][1], linestyle="--", **style)
        elif tried:
            rhos.semilogx(*zip(*tried, strict=True), "o-", **style)
    curves.set(xlabel="epoch", ylabel="validation loss", ylim=(None, None))
    rhos.set(xlabel="rho", ylabel=f"test BLEU, seed {first_seed}")
    for axes in (curves, rhos):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return figure
