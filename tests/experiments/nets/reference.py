"""Layers in NumPy and float64, on nested dicts of parameters and statistics."""

import numpy as np


def conv(x, params, *, strides=1, groups=1):
    """Sums over the windows of images padded by half the kernel on each side."""
    kernel = params["kernel"].astype(np.float64)
    height, width, _, _ = kernel.shape
    padded = np.pad(x, ((0, 0), (height // 2,) * 2, (width // 2,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (1, 2))
    windows = windows[:, ::strides, ::strides]  # [n, y, x, channel, i, j]
    sums = [
        np.tensordot(group, filters, ((3, 4, 5), (2, 0, 1)))
        for group, filters in zip(
            np.split(windows, groups, 3), np.split(kernel, groups, 3), strict=True
        )
    ]
    return np.concatenate(sums, -1)


def batch_norm(x, params, state, *, train):
    if train:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    else:
        mean, var = state["mean"], state["var"]
    return (x - mean) / np.sqrt(var + 1e-5) * params["scale"] + params["bias"]


def relu(x):
    return np.maximum(x, 0)


def average_pool(x):
    """Means over windows of 2x2 pixels."""
    batch, height, width, channel = x.shape
    windows = x.reshape(batch, height // 2, 2, width // 2, 2, channel)
    return windows.mean((2, 4))


def linear(x, params):
    return x @ params["kernel"].astype(np.float64) + params["bias"]


def layer_norm(x, params):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * params["scale"] + params["bias"]


def attention(x, memory, params, *, num_heads, visible):
    """Attends head by head and query by query, of one sequence.

    Args:
        x: What asks, [query, feature].
        memory: What answers, [key, feature].
        params: The four projections.
        num_heads: The number of equal parts of the features.
        visible: `visible(query) -> keys`, the indices that a query sees.
    """
    q, k, v = (
        np.split(linear(inputs, params[name]), num_heads, -1)
        for inputs, name in [(x, "query"), (memory, "key"), (memory, "value")]
    )
    outputs = np.zeros((len(x), num_heads, v[0].shape[-1]))
    for t in range(len(x)):
        keys = visible(t)
        for head in range(num_heads):
            logits = k[head][keys] @ q[head][t] / np.sqrt(q[head].shape[-1])
            weights = np.exp(logits) / np.exp(logits).sum()
            outputs[t, head] = weights @ v[head][keys]
    return linear(outputs.reshape(len(x), -1), params["out"])
