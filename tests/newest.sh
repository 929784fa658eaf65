#!/usr/bin/env bash
# The library's tests, but the slow ones, on Python 3.12 or newer with the newest JAX,
# if there is such a Python.
set -euo pipefail
cd "$(dirname "$0")/.."

newest_python() {
  for version in 3.14 3.13 3.12; do
    if "python$version" -c "" 2>/dev/null; then
      command -v "python$version"
      return
    fi
  done
  if command -v pyenv >/dev/null; then
    local version
    version=$(pyenv versions --bare | grep -E '^3\.1[2-9]\.[0-9]+$' | sort -V | tail -n 1)
    [ -z "$version" ] || echo "$(pyenv root)/versions/$version/bin/python"
  fi
}

python=${PYTHON_NEWEST:-$(newest_python)}
if [ -z "$python" ]; then
  echo "no Python 3.12 or newer found: the tests with the newest JAX were not run"
  exit 0
fi
venv=.venv-newest
if [ ! -e "$venv/.installed" ] || [ setup.cfg -nt "$venv/.installed" ]; then
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --upgrade --upgrade-strategy eager \
    --editable '.[test-library]'
  touch "$venv/.installed"
fi
"$venv/bin/python" -c 'import jax, sys; print("Python", sys.version.split()[0], "with jax", jax.__version__)'
"$venv/bin/python" -m pytest -n auto -q -m 'not slow' asam_jax tests --ignore tests/experiments
