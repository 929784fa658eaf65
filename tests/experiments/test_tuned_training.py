import pathlib
from typing import NamedTuple

from experiments.runs import Run
from experiments.tuned_training import tune_then_repeat


class Config(NamedTuple):
    """A config whose name tells nothing."""

    name: str
    summary: str = ""


def test_the_first_seed_tries_all_and_the_others_run_at_the_chosen_rho():
    grids = {"sgd": (0.0,), "sam": (0.1, 0.4), "asam": (1.0, 4.0)}
    scores = {"sgd": [0.1], "sam": [0.6, 0.6], "asam": [0.2, 0.3]}
    trials = [(method, rho) for method, rhos in grids.items() for rho in rhos]
    flat = [score for of_method in scores.values() for score in of_method]
    score_of = dict(zip(trials, flat, strict=True))
    trained = []

    def config_of(method, rho):
        return Config(str(trials.index((method, rho))))

    def finish(configs, seeds):
        pairs = [(config, seed) for seed in seeds for config in configs]
        for config, seed in reversed(pairs):  # as it comes
            trained.append((*trials[int(config.name)], seed))
            yield Run(pathlib.Path(), {"name": config.name, "seed": seed}, [])

    def score(run):
        # Another seed has no say.
        method, rho = trials[int(run.config["name"])]
        return score_of[method, rho] if run.config["seed"] == 5 else rho

    found = [
        (method, int(run.config["name"]), run.config["seed"])
        for method, run in tune_then_repeat(grids, (5, 0, 7), config_of, finish, score)
    ]
    chosen = [("sgd", 0.0), ("sam", 0.1), ("asam", 4.0)]
    first = [(*trial, 5) for trial in trials]
    others = [(*trial, seed) for seed in (0, 7) for trial in chosen]
    assert trained == first[::-1] + others[::-1]
    assert found == [
        (method, trials.index((method, rho)), seed) for method, rho, seed in trained
    ]
