"""PyTorch's steps: SGD, and ASAM as the released package pytorch_optimizer has it.

Importing this needs the extra `bench-torch`.
"""

# pyright: reportMissingImports=false

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from pytorch_optimizer import SAM
from torch import nn
from torch.nn import functional

from experiments.benchmarks import torch_nets
from experiments.benchmarks.convolution import TORCH
from experiments.benchmarks.methods import LEARNING_RATE, MOMENTUM, RHO
from experiments.benchmarks.problems import NUM_CLASSES, Batch, Problem
from experiments.benchmarks.steps import Program
from experiments.benchmarks.timing import Run
from experiments.cores import available_cores

NETS: dict[str, Callable[[], nn.Module]] = {
    "MLP": lambda: torch_nets.MLP(28 * 28, 512, 512, NUM_CLASSES),
    "ResNet-8": torch_nets.ResNet8,
    "transformer": lambda: torch_nets.Transformer(length=32),
}
SGD, ASAM = "SGD, PyTorch", "ASAM, pytorch_optimizer"


def use_all_cores() -> int:
    """Gives PyTorch as many threads as XLA takes, and returns their number."""
    num_threads = len(available_cores())
    torch.set_num_threads(num_threads)
    return num_threads


def programs(name: str, problem: Problem) -> dict[str, Program]:
    """Returns both steps on the weights and the batch that JAX has."""
    return {
        SGD: _program(name, problem, _sgd, _plain_step),
        ASAM: _program(name, problem, _asam, _ascent_step),
    }


def _program(name, problem, make_optimizer, step) -> Program:
    module, loss_fn = net_and_loss(name, problem)
    optimizer = make_optimizer(module)

    def run(num_steps: int) -> None:
        for _ in range(num_steps):
            step(optimizer, loss_fn)
        _synchronize()

    run(1)  # makes the momentum
    return Program(run, {"persistent_bytes": _persistent_bytes(module, optimizer)})


def net_and_loss(
    name: str, problem: Problem
) -> tuple[nn.Module, Callable[[], torch.Tensor]]:
    """Returns the net with JAX's initial weights, and its loss on the batch."""
    params, model_state = problem.init(jax.random.key(0))
    module = torch_nets.load(NETS[name](), params, model_state).to(_device()).train()
    inputs, labels = _tensors(problem.batch)
    return module, lambda: functional.cross_entropy(
        module(inputs).flatten(0, -2), labels
    )


def ascent_run(shape: tuple[int, ...], num_leaves: int) -> Run:
    """Returns the ascent alone, on leaves of one shape: w becomes w + eps."""
    leaves = [
        nn.Parameter(torch.randn(shape, device=_device())) for _ in range(num_leaves)
    ]
    for leaf in leaves:
        leaf.grad = torch.randn_like(leaf)
    optimizer = SAM(leaves, torch.optim.SGD, rho=1e-3, adaptive=True, lr=0.0)

    def run(num_steps: int) -> None:
        for _ in range(num_steps):
            optimizer.first_step()
        _synchronize()

    return run


def layer_runs(
    images: np.ndarray, kernel: np.ndarray, scale: np.ndarray
) -> dict[str, Run]:
    """Returns a 3x3 convolution and a BatchNorm, forward and backward."""
    to_tensor = lambda x: torch.tensor(x, device=_device(), requires_grad=True)
    x = to_tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    weight = to_tensor(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
    slope, bias = to_tensor(scale), torch.zeros(len(scale), device=_device())

    def repeated(layer: Callable[[], torch.Tensor]) -> Run:
        def run(num_steps: int) -> None:
            for _ in range(num_steps):
                x.grad = weight.grad = slope.grad = None
                layer().square().sum().backward()
            _synchronize()

        return run

    convolution = lambda: functional.conv2d(x, weight, padding=1)
    norm = lambda: functional.batch_norm(x, None, None, slope, bias, training=True)
    return dict(zip(TORCH, map(repeated, (convolution, norm)), strict=True))


def _sgd(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)


def _asam(module: nn.Module) -> Any:
    return SAM(
        module.parameters(),
        torch.optim.SGD,
        rho=10 * RHO,
        adaptive=True,
        lr=LEARNING_RATE,
        momentum=MOMENTUM,
    )


def _plain_step(optimizer, loss_fn) -> None:
    optimizer.zero_grad()
    loss_fn().backward()
    optimizer.step()


def _ascent_step(optimizer, loss_fn) -> None:
    def closure():
        optimizer.zero_grad()
        loss = loss_fn()
        loss.backward()
        return loss

    closure()
    optimizer.step(closure)


def _tensors(batch: Batch) -> tuple[Any, torch.Tensor]:
    labels = torch.tensor(batch.labels.ravel(), dtype=torch.long, device=_device())
    if isinstance(batch.inputs, tuple):
        to_tensor = lambda tokens: torch.tensor(tokens, dtype=torch.long)
        return tuple(to_tensor(x).to(_device()) for x in batch.inputs), labels
    images = np.ascontiguousarray(batch.inputs.transpose(0, 3, 1, 2))  # to NCHW
    return torch.tensor(images, device=_device()), labels


def _persistent_bytes(module: nn.Module, optimizer: Any) -> int:
    tensors = [*module.parameters(), *module.buffers()]
    for state in optimizer.state.values():
        tensors += [x for x in state.values() if isinstance(x, torch.Tensor)]
    return sum(tensor.nbytes for tensor in tensors)


def _device() -> str:
    is_gpu = jax.default_backend() == "gpu" and torch.cuda.is_available()
    return "cuda" if is_gpu else "cpu"


def _synchronize() -> None:
    if _device() == "cuda":
        torch.cuda.synchronize()
