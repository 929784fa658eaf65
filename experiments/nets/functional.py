"""NNX modules behind a pure boundary.

A sharpness-aware step evaluates a net twice. A net that holds its state would move its
BatchNorm averages and dropout counters twice; a pure function cannot.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx

Params: TypeAlias = dict[Any, Any]
ModelState: TypeAlias = dict[Any, Any]


class Apply(Protocol):
    """The type of `Net.apply`."""

    def __call__(
        self,
        params: Params,
        model_state: ModelState,
        x: Any,
        train: bool,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, ModelState]:
        """Returns the logits and the new model state."""
        ...


class Call(Protocol):
    """The type of `Boundary.call`."""

    def __call__(
        self,
        method: Callable[[Any], Any],
        params: Params,
        model_state: ModelState,
        train: bool,
        key: jax.Array | None = None,
    ) -> tuple[Any, ModelState]:
        """Returns `method(module)` and the new model state."""
        ...


class Net(NamedTuple):
    """A net as two pure functions.

    Attributes:
        init: `init(key) -> (params, model_state)` draws float32 arrays. They come in
            nested dicts under NNX's names (`kernel`, `bias`, `scale`; `mean`, `var`),
            and under integers where a module holds a list. To count parameters without
            drawing them, use `jax.eval_shape(init, key)`.
        apply: `apply(params, model_state, x, train, key) -> (logits, model_state)`
            gives float32 logits `[batch, class]`, for a transformer `[batch, position,
            class]`. `x` is what the net takes: images, or the tokens of source and
            target. `train`, a Python bool, chooses between batch and running
            statistics, and turns on dropout and ShakeDrop: their noise is a function of
            `key` alone. Evaluation and nets without noise need no key. The computation
            runs in the common dtype of `params` and, where it is floating, `x` (cast
            both to bfloat16 for mixed precision), the statistics of BatchNorm and
            LayerNorm in float32.
    """

    init: Callable[[jax.Array], tuple[Params, ModelState]]
    apply: Apply


class Boundary(NamedTuple):
    """A module as two pure functions, for nets that have more to offer than logits.

    Attributes:
        init: As in `Net`.
        call: `call(method, params, model_state, train, key)` returns `method(module)`,
            for a module that holds these variables, and the new model state. `train`
            and `key` are those of `Net.apply`.
    """

    init: Callable[[jax.Array], tuple[Params, ModelState]]
    call: Call


class _Stream(nnx.RngStream):
    # Counts as its parent does, without comparing the shardings of old and new count:
    # on tracers, that walks the whole program so far at every key drawn.
    def __call__(self):
        key = jax.random.fold_in(self.key[...], self.count[...])
        self.count.set_value(self.count[...] + 1)
        return key


class _Rngs(nnx.Rngs):
    def __init__(self, key):
        self.params = _Stream(key, tag="params")
        self.dropout = _Stream(key, tag="dropout")


def _seed(model, key):
    if key is None:
        raise ValueError("training with dropout or ShakeDrop needs a key")
    nodes = (node for _, node in nnx.iter_graph(model))
    streams = (node for node in nodes if isinstance(node, nnx.RngStream))
    for index, stream in enumerate(streams):
        stream.key.set_value(jax.random.fold_in(key, index))
        stream.count.set_value(jnp.uint32(0))


def boundary(make: Callable[[nnx.Rngs], nnx.Module]) -> Boundary:
    """Turns a module into pure functions.

    Args:
        make: Builds the module from the random streams `params` and `dropout`. A layer
            with noise forks a stream of its own off `dropout`, and draws nothing while
            its attribute `deterministic` is true.

    Returns:
        The functions. `call` raises `ValueError` if noise is due and the key is None.
    """

    def build(key):
        model = make(_Rngs(key))
        graph, *states = nnx.split(model, nnx.Param, nnx.BatchStat, nnx.RngState)
        return graph, *map(nnx.to_pure_dict, states)

    def init(key):
        _, params, model_state, _ = build(key)
        return params, model_state

    graph, _, _, streams = nnx.eval_shape(build, jax.random.key(0))

    def call(method, params, model_state, train, key=None):
        model = nnx.merge(graph, params, model_state, streams)
        if train:
            model.train()
        else:
            model.eval()
        if train and streams:
            _seed(model, key)
        output = method(model)
        return output, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))

    return Boundary(init, call)


def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Net:
    """Turns a module that maps inputs to logits into a net.

    Args:
        make: Builds the module, as `boundary` asks for it.

    Returns:
        The net. `apply` raises `ValueError` if noise is due and the key is None.
    """
    init, call = boundary(make)

    def apply(params, model_state, x, train, key=None):
        logits, model_state = call(
            lambda model: model(x), params, model_state, train, key
        )
        return logits.astype(jnp.float32), model_state

    return Net(init, apply)
