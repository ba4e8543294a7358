"""Look at a network in the middle of its training and leave everything as it was, whatever happens on the way."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, fp32 and plain defaults inside; outside nothing has happened.

    Put back, also after an error or an interruption: the mode of every submodule by itself,
    `requires_grad` flags, `.grad` (the same objects), buffers (the same objects with the same values),
    the random states of Python, numpy, torch on the processor and on every accelerator in use, torch's
    determinism flags, default dtype and thread count; autocast, gradient and inference mode. Modes are set
    as flags: an own `train()` method, which may do more, is not called. Not put back: what a network's
    own code or hooks keep in plain Python attributes.
    """
    restore = [_modes(network), _gradients(network), _buffers(network), _random_states(), _flags()]
    try:
        for module in network.modules():
            module.training = False
        with _plain_surroundings():
            yield
    finally:
        for put_back in restore:
            put_back()


Restore = Callable[[], None]


def _modes(network: nn.Module) -> Restore:
    modes = [(module, module.training) for module in network.modules()]

    def put_back() -> None:
        for module, training in modes:
            module.training = training

    return put_back


def _gradients(network: nn.Module) -> Restore:
    """Nothing here writes gradients, so keeping the objects is keeping their values."""
    kept = [(parameter, parameter.requires_grad, parameter.grad) for parameter in network.parameters()]

    def put_back() -> None:
        for parameter, wanted, gradient in kept:
            if parameter.requires_grad != wanted:
                parameter.requires_grad_(wanted)
            if parameter.grad is not gradient:
                parameter.grad = gradient

    return put_back


def _buffers(network: nn.Module) -> Restore:
    kept = [
        (module, name, buffer, buffer.detach().clone())
        for module in network.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]

    def put_back() -> None:
        for module, name, buffer, values in kept:
            # A buffer that a backward pass still needs must not be written, not even with its own values.
            if not _same(buffer, values):
                with torch.no_grad():
                    buffer.copy_(values)
            if module._buffers.get(name) is not buffer:
                module._buffers[name] = buffer

    return put_back


def _same(now: Tensor, before: Tensor) -> bool:
    return now.shape == before.shape and bool(torch.equal(now, before))


def _random_states() -> Restore:
    python, processor = random.getstate(), torch.get_rng_state()
    arrays = np.random.get_state()  # noqa: NPY002 - the state that a training loop may use
    device: Any = torch.cuda
    cuda = device.get_rng_state_all() if device.is_available() and device.is_initialized() else None
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None

    def put_back() -> None:
        random.setstate(python)
        np.random.set_state(arrays)  # noqa: NPY002
        torch.set_rng_state(processor)
        if cuda is not None:
            device.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)

    return put_back


def _flags() -> Restore:
    cudnn: Any = torch.backends.cudnn
    benchmark, deterministic = cudnn.benchmark, cudnn.deterministic
    strict, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()

    def put_back() -> None:
        cudnn.benchmark, cudnn.deterministic = benchmark, deterministic
        torch.use_deterministic_algorithms(strict, warn_only=warn)
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)

    return put_back


@contextmanager
def _plain_surroundings() -> Iterator[None]:
    """What midvision's own arithmetic takes for granted, whatever the training loop is inside of."""
    torch.set_default_dtype(torch.float32)
    kinds = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in kinds:
            with contextlib.suppress(RuntimeError):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
