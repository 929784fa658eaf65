"""The training system: a pure step, a loop, checkpoints and logs, for every task."""
