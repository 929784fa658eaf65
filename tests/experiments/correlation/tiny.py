"""A study small enough to check by hand."""

import numpy as np

from experiments.correlation.config import Study
from experiments.correlation.grid import Grid
from experiments.correlation.measures import Sharpnesses
from experiments.correlation.problem import Data
from experiments.correlation.results import Results
from experiments.data.images import ImageSet

STUDY = Study(
    dataset="digits",
    net="mlp",
    widths=(6,),
    num_train=20,
    noise_rate=0.2,
    grid=Grid((5, 10), (0.05, 0.1), (0.0, 0.01), (0.0, 0.3)),
    target_loss=0.0,
    epochs=3,
    check_every=4,
    plain_l2_rhos=(0.1, 0.2, 0.3),
    adaptive_l2_rhos=(0.4, 0.5, 0.6),
    plain_inf_rhos=(0.01, 0.02, 0.03),
    adaptive_inf_rhos=(0.04, 0.05, 0.06),
    seeds=(0,),
    num_steps=2,
    resamples=20,
)


def images(num: int, seed: int) -> ImageSet:
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(size=(num, 2, 2, 1)).astype(np.float32)
    return ImageSet(pixels, rng.integers(10, size=num).astype(np.int32))


DATA = Data(images(20, 0), images(7, 1))


def results_of(error_gap: np.ndarray, worst: np.ndarray) -> Results:
    """Makes results of gaps [seed, grid ...] and sharpness [..., measure, rho].

    A NaN in the gap is a model that never reached the target.
    """
    zero = np.zeros_like(error_gap)
    return Results(
        steps=np.where(np.isnan(error_gap), -1, 4),
        train_loss=zero + 0.1,
        train_error=zero,
        test_loss=zero + 0.5 - np.nan_to_num(error_gap),
        test_error=np.nan_to_num(error_gap),
        sharpness=Sharpnesses(worst, -worst, np.ones_like(worst)),
    )
