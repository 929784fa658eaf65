"""Every model of a study, trained and measured."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from tqdm import tqdm

from experiments.correlation.config import Study
from experiments.correlation.measures import measure_model, missing
from experiments.correlation.problem import Data, load_data, make_net
from experiments.correlation.results import Results
from experiments.correlation.training import (
    CHUNK,
    Models,
    evaluate,
    mean_loss,
    train,
)
from experiments.data.images import ImageSet
from experiments.settings_error import blaming_settings


def train_and_measure(study: Study, data_dir: str) -> Results:
    """Trains the grid with every seed and measures each model that reaches the target.

    Raises:
        FileNotFoundError: If the data set is not prepared.
        SettingsError: If there are fewer data than the study asks for.
    """
    with blaming_settings():
        datasets = [load_data(study, seed, data_dir) for seed in study.seeds]
    net = make_net(study, datasets[0])
    loss_fn = functools.partial(mean_loss, net)
    evaluate_all = jax.jit(jax.vmap(functools.partial(evaluate, net), (0, None)))
    parts = []
    with tqdm(total=_num_models(study), unit="model", disable=None) as bar:
        for seed, data in zip(study.seeds, datasets, strict=True):
            for batch_size in study.grid.batch_size:
                tell = functools.partial(_tell, bar, seed, batch_size)
                models = train(net, data, study, batch_size, seed, tell)
                parts.append(
                    _measured(models, data, evaluate_all, loss_fn, study, bar.update)
                )
    shape = (len(study.seeds), *study.grid.shape)
    return jax.tree.map(
        lambda *of_parts: np.concatenate(of_parts).reshape(
            *shape, *of_parts[0].shape[1:]
        ),
        *parts,
    )


def _num_models(study: Study) -> int:
    return len(study.seeds) * int(np.prod(study.grid.shape))


def _tell(bar: tqdm, seed: int, batch_size: int, step: int, models: Models) -> None:
    reached = int(np.sum(np.asarray(models.reached_at) >= 0))
    bar.set_postfix_str(
        f"seed {seed}, batch {batch_size}, step {step}: {reached} at the target"
    )


def _measured(
    models: Models,
    data: Data,
    evaluate_all: Callable[..., tuple[jax.Array, jax.Array]],
    loss_fn: Callable[..., jax.Array],
    study: Study,
    on_model: Callable[[], object],
) -> Results:
    """Returns the results of the models of a batch size, on a leading axis."""
    batches = _batches(data.train)
    steps = np.asarray(models.reached_at)
    found = []
    for i in range(len(steps)):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], models.params)
        if steps[i] >= 0:
            found.append(measure_model(loss_fn, params, batches, study))
        else:
            found.append(missing(study))
        on_model()
    losses = (
        *evaluate_all(models.params, data.train),
        *evaluate_all(models.params, data.test),
    )
    return Results(
        steps,
        *(np.asarray(values, float) for values in losses),
        sharpness=jax.tree.map(lambda *values: np.stack(values), *found),
    )


def _batches(part: ImageSet) -> list[ImageSet]:
    """Cuts a data set into what is evaluated at once, on the device."""
    parts = np.split(np.arange(len(part.labels)), range(CHUNK, len(part.labels), CHUNK))
    return [jax.device_put(part.take(indices)) for indices in parts]
