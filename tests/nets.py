"""Small networks in plain JAX, on which steps are compiled and counted."""

import itertools

import jax
import jax.numpy as jnp


def init_resnet(key, width=64, num_blocks=3, num_classes=10):
    """The CIFAR ResNet of 6n + 2 layers: three stages of n basic blocks.

    Args:
      key: the random key.
      width: the channels of the first stage; each further stage doubles them.
      num_blocks: n, 3 for ResNet-20.
      num_classes: the number of classes.

    Returns:
      The parameters and the BatchNorm statistics (mean, variance) of each layer.
    """
    keys = iter(jax.random.split(key, 6 * num_blocks + 4))
    params = {"stem": _init_convolution(next(keys), 3, 3, width)}
    channels = width
    for stage in range(3):
        for block in range(num_blocks):
            out = width * 2**stage
            layers = {
                "first": _init_convolution(next(keys), 3, channels, out),
                "second": _init_convolution(next(keys), 3, out, out),
            }
            if channels != out:
                layers["shortcut"] = _init_convolution(next(keys), 1, channels, out)
            params[f"stage{stage}_block{block}"] = layers
            channels = out
    params["head"] = {
        "kernel": jax.random.normal(next(keys), (channels, num_classes)) * 0.01,
        "bias": jnp.zeros(num_classes),
    }
    statistics = jax.tree.map(
        lambda scale: (jnp.zeros_like(scale), jnp.ones_like(scale)),
        {name: _scales(layer) for name, layer in params.items() if name != "head"},
    )
    return params, statistics


def apply_resnet(params, statistics, images):
    """Logits in training mode, and the BatchNorm statistics moved by the batch.

    Args:
      params: the parameters.
      statistics: the BatchNorm statistics.
      images: float32 [batch, height, width, channel].

    Returns:
      The logits, float32 [batch, class], and the new statistics.
    """
    moved = {}
    x, moved["stem"] = _convolution(params["stem"], statistics["stem"], images)
    x = jax.nn.relu(x)
    for name, layers in params.items():
        if name.startswith("stage"):
            x, moved[name] = _block(layers, statistics[name], x)
    features = jnp.mean(x, axis=(1, 2))
    head = params["head"]
    return features @ head["kernel"] + head["bias"][None], moved


def cross_entropy(logits, labels):
    """The mean cross-entropy of logits [batch, class] against labels [batch]."""
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -jnp.mean(picked)


def _init_convolution(key, size, channels, out):
    kernel = jax.random.normal(key, (size, size, channels, out))
    return {
        "kernel": kernel * (2 / (size * size * channels)) ** 0.5,
        "scale": jnp.ones(out),
        "bias": jnp.zeros(out),
    }


def _scales(layer):
    """The scale of each convolution in a layer, in the structure of its statistics."""
    if "kernel" in layer:
        return layer["scale"]
    return {name: convolution["scale"] for name, convolution in layer.items()}


def _block(layers, statistics, x):
    strides = 2 if "shortcut" in layers else 1
    moved = {}
    y, moved["first"] = _convolution(layers["first"], statistics["first"], x, strides)
    y = jax.nn.relu(y)
    y, moved["second"] = _convolution(layers["second"], statistics["second"], y)
    if "shortcut" in layers:
        x, moved["shortcut"] = _convolution(
            layers["shortcut"], statistics["shortcut"], x, strides
        )
    return jax.nn.relu(x + y), moved


def _convolution(layer, statistics, x, strides=1, momentum=0.9):
    """Convolution and BatchNorm by the statistics of the batch."""
    x = jax.lax.conv_general_dilated(
        x,
        layer["kernel"],
        window_strides=(strides, strides),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    mean = jnp.mean(x, axis=(0, 1, 2), keepdims=True)
    variance = jnp.var(x, axis=(0, 1, 2), keepdims=True)
    scale, bias = layer["scale"][None, None, None], layer["bias"][None, None, None]
    moved = jax.tree.map(
        lambda old, new: momentum * old + (1 - momentum) * new.ravel(),
        statistics,
        (mean, variance),
    )
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + bias, moved


def init_mlp(key, sizes=(4, 8, 3)):
    """The parameters of a perceptron with tanh between its layers.

    Args:
      key: the random key.
      sizes: the number of inputs, of each layer's hidden units, and of outputs.

    Returns:
      ``{"layer<i>": {"kernel", "bias"}}``.
    """
    return {
        f"layer{i}": {
            "kernel": jax.random.normal(jax.random.fold_in(key, i), shape),
            "bias": jnp.full(shape[1], 0.1, jnp.float32),
        }
        for i, shape in enumerate(itertools.pairwise(sizes))
    }


def mlp_loss(params, inputs, targets):
    """The mean squared error of the perceptron, over the batch and the outputs."""
    x = inputs
    for i in range(len(params)):
        layer = params[f"layer{i}"]
        x = x @ layer["kernel"] + layer["bias"][None]
        x = jnp.tanh(x) if i < len(params) - 1 else x
    return jnp.mean((x - targets) ** 2)


def regression_batch(key, size, sizes=(4, 3)):
    """Inputs [size, sizes[0]] and targets [size, sizes[1]] for the perceptron."""
    keys = jax.random.split(key)
    return tuple(
        jax.random.normal(key, (size, features))
        for key, features in zip(keys, sizes, strict=True)
    )
