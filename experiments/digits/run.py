"""The demo from data to files."""

import dataclasses
import functools
import shutil
import time
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from experiments.data.digits import DigitSplits
from experiments.digits import figures, mlp, report
from experiments.digits.config import Config
from experiments.digits.invariance import Climb, climbs, rescaled_twin
from experiments.digits.methods import Method, methods
from experiments.digits.results import Result
from experiments.digits.tasks import noisy_digits
from experiments.digits.training import Accuracies, initial_params, loss_fn, train
from experiments.provenance import provenance, write_results


def run(config: Config) -> None:
    """Trains, chooses, measures, writes and prints."""
    wall, cpu = time.perf_counter(), time.process_time()
    record: dict[str, Any] = provenance()
    config.out.mkdir(parents=True, exist_ok=True)

    tasks = _tasks(config)
    results, sgd_params = _train_all(config, tasks)
    net, task = jax.tree.map(lambda leaf: leaf[0], (sgd_params, tasks))
    twin = rescaled_twin(net, 0, config.rescaling)
    curves = climbs(lambda params: loss_fn(params, task.train)[0], net, twin, config)

    record |= {
        "seconds": {
            "wall": round(time.perf_counter() - wall, 1),
            "cpu": round(time.process_time() - cpu, 1),
        },
        "config": dataclasses.asdict(config) | {"out": str(config.out)},
        "results": [result.record() for result in results],
        "invariance": {name: climb.record() for name, climb in curves.items()},
    }
    text = report.markdown(config, results, curves)
    _write(config, record, text, results, curves)
    print(text)
    print(f"Table, results and figures: {config.out}/digits*")


def _tasks(config: Config) -> DigitSplits:
    """The data of each noise rate and seed, on a leading axis in that order."""
    tasks = [
        noisy_digits(
            seed,
            noise_rate,
            num_train=config.num_train,
            num_validation=config.num_validation,
        )
        for noise_rate in config.noise_rates
        for seed in range(config.num_seeds)
    ]
    return jax.tree.map(lambda *arrays: np.stack(arrays), *tasks)


def _train_all(config: Config, tasks: DigitSplits) -> tuple[list[Result], mlp.Params]:
    """Returns results by noise rate and method, and SGD's parameters [task]."""
    num_seeds = config.num_seeds
    seeds = [*range(num_seeds)] * len(config.noise_rates)
    params = initial_params(seeds, config)
    trained: list[tuple[Method, mlp.Params, Accuracies]] = []
    with _progress_bar(config) as bar:
        for method in methods(config):
            bar.set_description(method.name)
            on_epoch = functools.partial(_advance, bar, method)
            trained.append(
                (method, *train(method, params, tasks, seeds, config, on_epoch))
            )
    results = []
    for i, noise_rate in enumerate(config.noise_rates):
        of_rate = slice(i * num_seeds, (i + 1) * num_seeds)
        for method, _, accuracies in trained:
            parts = [np.asarray(part)[..., of_rate] for part in accuracies]
            results.append(Result(method, noise_rate, *parts))
    _, sgd_params, _ = trained[0]
    return results, jax.tree.map(lambda leaf: leaf[0], sgd_params)


def _progress_bar(config: Config) -> tqdm:
    """A bar that counts passes over the training set, one a gradient, of all runs."""
    costs = [
        method.epochs * method.gradients_per_step * len(method.rhos)
        for method in methods(config)
    ]
    num_tasks = len(config.noise_rates) * config.num_seeds
    # tqdm shows nothing in a terminal that does not tell its size; this guesses.
    terminal = shutil.get_terminal_size()
    return tqdm(
        total=sum(costs) * num_tasks,
        unit=" passes",
        ncols=terminal.columns,
        nrows=terminal.lines,
        disable=None,  # where standard error is no terminal
    )


def _advance(bar: tqdm, method: Method, accuracies: Accuracies) -> None:
    validation = np.asarray(accuracies.validation)
    bar.set_postfix_str(f"validation {100 * np.max(np.mean(validation, axis=1)):.1f} %")
    bar.update(method.gradients_per_step * validation.size)


def _write(
    config: Config,
    record: dict[str, Any],
    text: str,
    results: list[Result],
    curves: dict[str, Climb],
) -> None:
    write_results(config.out, "digits", record, text)
    figures.accuracy_against_rho(results, config.out / "digits-rho.png")
    figures.learning_curves(results, config.out / "digits-curves.png")
    figures.invariance(curves, config.out / "digits-invariance.png")
