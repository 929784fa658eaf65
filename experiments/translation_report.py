"""The tables, figure and JSON of the translation study."""

import json
import pathlib
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments import palette
from experiments.provenance import write_json
from experiments.runs import Run
from experiments.statistics import mean_of
from experiments.study import best_rho
from experiments.training.run_folder import RunFolder

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


def method_of(run: Run) -> str:
    """Returns adam, adam-2x, sam or asam, from a name like `sam-rho0.2`."""
    return run.config["name"].partition("-rho")[0]


def scores_of(run: Run) -> dict[str, float]:
    """Returns the BLEU of each split, of plain text."""
    scores = json.loads(RunFolder(run.path).scores.read_text())
    return {split: score["bleu"]["plain"]["score"] for split, score in scores.items()}


def write_report(
    out: pathlib.Path, record: dict[str, Any], study: dict[str, Any], runs: list[Run]
) -> None:
    """Writes translation.json, .md and .png of the runs that are finished."""
    out.mkdir(parents=True, exist_ok=True)
    results = sorted(
        map(_result, runs), key=lambda r: (r["method"], r["rho"], r["seed"])
    )
    first_seed = study["seeds"][0]
    write_json(out / "translation.json", {**record, "study": study, "runs": results})
    text = _table(results, first_seed) + "\n" + _samples(results, first_seed)
    (out / "translation.md").write_text(text)
    _draw(results, first_seed).savefig(out / "translation.png", dpi=120)


def _result(run: Run) -> dict[str, Any]:
    scores = json.loads(RunFolder(run.path).scores.read_text())
    plain, tokenized = (scores["test"]["bleu"][kind] for kind in ("plain", "tokenized"))
    return {
        "method": method_of(run),
        "rho": run.config["ascent"]["rho"],
        "seed": run.config["seed"],
        "validation_bleu": scores["validation"]["bleu"]["plain"]["score"],
        "test_bleu": plain["score"],
        "signature": plain["signature"],
        "test_tokenized_bleu": tokenized["score"],
        "tokenized_signature": tokenized["signature"],
        "last_test_loss": run.series("test", "loss")[-1],
        "train_loss": run.series("train", "loss")[-1],
        "epochs": run.series("validation", "epoch"),
        "validation_loss": run.series("validation", "loss"),
        "samples": scores["test"]["samples"],
    }


def _chosen(results: list[dict], method: str, first_seed: int) -> list[dict]:
    """Returns the runs of the rho that the first seed chooses."""
    tried = [r for r in results if r["method"] == method]
    first = [r for r in tried if r["seed"] == first_seed]
    if not first:
        return []
    rho = best_rho((r["validation_bleu"], r["rho"]) for r in first)
    return [r for r in tried if r["rho"] == rho]


def _table(results: list[dict], first_seed: int) -> str:
    lines = [
        "German to English on Multi30k, test_2016:",
        "",
        "| | rho | seeds | BLEU | tokenized lower-case BLEU | test loss | train loss |",
        "|---|---|---|---|---|---|---|",
    ]
    names = ("test_bleu", "test_tokenized_bleu", "last_test_loss", "train_loss")
    for method, label in LABELS.items():
        runs = _chosen(results, method, first_seed)
        if not runs:
            lines.append(f"| {label} | | 0 | not run | | | |")
            continue
        rho = f"{runs[0]['rho']:g}" if runs[0]["rho"] else "-"
        cells = [mean_of([run[name] for run in runs]).text() for name in names]
        lines.append(f"| {label} | {rho} | {len(runs)} | {' | '.join(cells)} |")
    signatures = {(r["signature"], r["tokenized_signature"]) for r in results}
    for plain, tokenized in signatures:
        lines += ["", f"BLEU `{plain}`, tokenized `{tokenized}`."]
    lines += [
        "The training loss has dropout and smoothed labels in it, the test loss not.",
        "",
    ]
    return "\n".join(lines)


def _samples(results: list[dict], first_seed: int) -> str:
    """Returns some test sentences and what each method's chosen run makes of them."""
    samples = {}
    for method in LABELS:
        for result in _chosen(results, method, first_seed):
            if result["seed"] == first_seed:
                samples[method] = result["samples"]
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
        runs = _chosen(results, method, first_seed)
        if runs:
            loss = np.mean([run["validation_loss"] for run in runs], axis=0)
            curves.plot(runs[0]["epochs"], loss, **style)
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
