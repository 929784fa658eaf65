"""Compiled programs are shared by the tests here, and by the processes they start."""

import signal

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from tests.experiments.training.running import train_tiny


@pytest.fixture(scope="package", autouse=True)
def cache_dir(tmp_path_factory):
    """Returns the folder of compiled programs."""
    path = tmp_path_factory.mktemp("compiled")
    options = {
        "jax_compilation_cache_dir": str(path),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
    }
    before = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield path
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="package")
def unbroken(tmp_path_factory):
    """Returns a run of the tiny task, from its beginning to its end."""
    return train_tiny(tmp_path_factory.mktemp("unbroken"))


@pytest.fixture(autouse=True)
def default_sigint():
    """Lets SIGINT act, which a shell's background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
