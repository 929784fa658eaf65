"""What a run tells while it lasts: lines of metrics and a progress bar."""

import time
from collections.abc import Mapping
from typing import Self

from tqdm import tqdm

from experiments.training.metrics import MetricsLog


class Progress:
    """The log and the bar of a run, as a context manager."""

    def __init__(
        self,
        log: MetricsLog | None,
        *,
        start: int,
        end: int,
        steps_per_epoch: int,
        unit: str,
    ):
        """Starts the clock at step `start` of `end`; `unit` is what is counted.

        Without a log nothing is told, as by all processes of a run but one.
        """
        self._log, self._unit, self._steps_per_epoch = log, unit, steps_per_epoch
        self._bar = tqdm(
            total=end,
            initial=start,
            unit="step",
            disable=True if log is None else None,
            dynamic_ncols=True,
        )
        self._started = self._last = time.perf_counter()

    def advance(self) -> None:
        """Moves the bar by a step."""
        self._bar.update()

    def training(
        self, step: int, totals: Mapping[str, float], learning_rate: float
    ) -> None:
        """Writes the means since the last line, from sums that include the count."""
        count = totals["count"]
        values = {name: x / count for name, x in totals.items() if name != "count"}
        now = time.perf_counter()
        speed, self._last = count / (now - self._last), now
        self._write(
            step,
            "train",
            {**values, "learning_rate": learning_rate, "per_second": speed},
        )
        shown = {name: f"{value:.4g}" for name, value in values.items()}
        self._bar.set_postfix({**shown, f"{self._unit}/s": f"{speed:.0f}"})

    def evaluation(self, step: int, splits: Mapping[str, Mapping[str, float]]) -> None:
        """Writes a line for each evaluated split."""
        for split, values in splits.items():
            self._write(step, split, values)
        self._last = time.perf_counter()

    def _write(self, step, split, values):
        if self._log is None:
            return
        seconds = self._log.seconds_before + time.perf_counter() - self._started
        epoch = step / self._steps_per_epoch
        self._log.write(step, split, {"epoch": epoch, **values, "seconds": seconds})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self._bar.close()
        if self._log is not None:
            self._log.close()
