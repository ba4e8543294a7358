"""What an encoder costs: counted once on one image, timed on many. Nothing here changes a feature or a random state."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from midvision.core.features import EncoderInfo, FeaturePlan, Features, FeatureSpec, ImageEncoder
from midvision.core.settings import stable_hash
from midvision.encoders.module_backbone import ModuleBackbone
from midvision.encoders.plan import make_plan

if TYPE_CHECKING:
    from midvision.core.items import Dataset

MEBIBYTE = 2**20
GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Count:
    """One image of `size` (H, W) through the encoder, up to its last layer.

    `gflops` counts a multiplication and an addition as two, in matrix products, convolutions and
    attention only (torch's flop counter); None for what is no network. `tokens`: cells of the last
    layer; `prefix_tokens`: class and register tokens before them. `weights_mib`: parameters and
    buffers. `peak_mib`: the most held at once, weights included; on an accelerator by its allocator,
    on a processor by tensors (what kernels take for themselves is not seen).
    """

    size: tuple[int, int]
    parameters: int
    gflops: float | None
    tokens: int
    prefix_tokens: int
    weights_mib: float
    peak_mib: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Speed:
    """`images` in batches of `batch_size` took `images / images_per_s` seconds inside the encoder."""

    images_per_s: float
    images: int
    batch_size: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def whole_plan(info: EncoderInfo, size: tuple[int, int]) -> FeaturePlan:
    """The plan that costs are stated for: the field's four layers and the pooled vector of any encoder."""
    return make_plan(FeatureSpec(image_size=size), info)


def count(encoder: ImageEncoder, size: tuple[int, int]) -> Count:
    """Counted in one pass of one black image. Which layers are read does not matter: the last one always is.

    Only networks are passed an image: what else may be an encoder need not know an unknown image.
    """
    plan = whole_plan(encoder.info, size)
    network, info, last = network_of(encoder), encoder.info, plan.layers[-1]
    flops, peak = 0, None
    if network is not None:
        counter, memory = FlopCounterMode(display=False), _PeakMemory(device_of(encoder))
        with warnings.catch_warnings():
            # The counter's bookkeeping by module, which is not used, warns where a network calls its parts freely.
            warnings.simplefilter("ignore")
            with memory, counter:
                encoder.encode(["counted"], _black(encoder, 1, plan), plan)
        flops, peak = counter.get_total_flops(), _weights_bytes(network) + memory.most
    return Count(
        size=plan.input_size,
        parameters=info.parameters,
        gflops=flops / GIGA if flops else None,
        tokens=last.grid.size[0] * last.grid.size[1],
        prefix_tokens=int(info.has_class_token) + info.register_tokens,
        weights_mib=(_weights_bytes(network) if network is not None else 0) / MEBIBYTE,
        peak_mib=None if peak is None else peak / MEBIBYTE,
    )


def measure(encoder: ImageEncoder, size: tuple[int, int], batch_size: int, least_s: float = 1.0) -> Speed:
    """Images per second over whole batches of black images, after one to warm up, for at least `least_s`."""
    plan = whole_plan(encoder.info, size)
    images = _black(encoder, batch_size, plan)
    ids = [f"timed {row}" for row in range(batch_size)]
    watch = Stopwatch()
    timed = Timed(encoder, watch)
    while watch.seconds < least_s:
        timed.encode(ids, images, plan)
    speed = watch.speed()
    assert speed is not None
    return speed


class Stopwatch:
    """Images and time inside an encoder. The first batch warms up and does not count."""

    def __init__(self) -> None:
        self.images = 0
        self.batch_size = 0
        self._warm = False
        self._seconds = 0.0
        self._events: list[tuple[Any, Any]] = []

    @property
    def seconds(self) -> float:
        """Accelerators are waited for only here."""
        for start, stop in self._events:
            stop.synchronize()
            self._seconds += start.elapsed_time(stop) / 1000.0
        self._events.clear()
        return self._seconds

    def speed(self) -> Speed | None:
        """None until a second batch has passed."""
        seconds = self.seconds
        return Speed(self.images / seconds, self.images, self.batch_size) if seconds > 0 else None

    def time(self, work: Callable[[], Features], images: int, device: torch.device) -> Features:
        """Do the work and take its time."""
        if device.type == "cuda":
            start, stop = (_event() for _ in range(2))
            start.record(torch.cuda.current_stream(device))
            done = work()
            stop.record(torch.cuda.current_stream(device))
            if self._warm:
                self._events.append((start, stop))
        else:
            began = time.perf_counter()
            done = work()
            if self._warm:
                self._seconds += time.perf_counter() - began
        if self._warm:
            self.images += images
            self.batch_size = max(self.batch_size, images)
        self._warm = True
        return done


def _event() -> Any:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class Timed:
    """An encoder under a stopwatch; the same in every other respect."""

    def __init__(self, encoder: ImageEncoder, watch: Stopwatch) -> None:
        self._encoder = encoder
        self._watch = watch
        self.key = encoder.key
        self.info = encoder.info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def for_dataset(self, dataset: Dataset) -> Timed:
        return Timed(self._encoder.for_dataset(dataset), self._watch)

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        return self._watch.time(lambda: self._encoder.encode(ids, images, plan), len(ids), device_of(self._encoder))


class _PeakMemory(AbstractContextManager["_PeakMemory"]):
    """`most`: bytes that what runs inside held at once, beyond what was there before."""

    def __init__(self, device: torch.device) -> None:
        self.most = 0
        self._device = device
        self._before = 0
        self._tensors = _AliveTensors()

    def __enter__(self) -> _PeakMemory:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)
        else:
            self._tensors.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        if self._device.type == "cuda":
            self.most = torch.cuda.max_memory_allocated(self._device) - self._before
        else:
            self._tensors.__exit__(*error)  # type: ignore[no-untyped-call]
            self.most = self._tensors.most


class _AliveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of all storages made inside that are alive at once, at most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._alive: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {_place(tensor) for tensor in _tensors_in((args, kwargs or {}))}
        made = func(*args, **(kwargs or {}))
        self._alive = {place: entry for place, entry in self._alive.items() if not entry[0].expired()}
        for tensor in _tensors_in(made):
            place = _place(tensor)
            if place not in known and place not in self._alive and place:
                storage = tensor.untyped_storage()
                self._alive[place] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        self.most = max(self.most, sum(size for _, size in self._alive.values()))
        return made


def _tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for part in value for tensor in _tensors_in(part)] if isinstance(value, list | tuple) else []


def _place(tensor: Tensor) -> int:
    return int(tensor.untyped_storage().data_ptr())


def network_of(encoder: ImageEncoder) -> nn.Module | None:
    """The network inside an encoder of ours; controls and foreign encoders have none."""
    module = getattr(encoder, "backbone", None)
    return module if isinstance(module, nn.Module) else None


def structure_key(encoder: ImageEncoder) -> str:
    """Equal for encoders of one architecture, whatever their weights: they cost the same.

    A person's own module may compute anything under the same description, so it is its own architecture.
    """
    network = network_of(encoder)
    if network is None or isinstance(network, ModuleBackbone):
        return encoder.key
    tensors = [f"{name} {tuple(value.shape)} {value.dtype}" for name, value in network.state_dict().items()]
    return stable_hash(type(network).__qualname__, repr(network), str(getattr(encoder, "precision", "")), *tensors)


def device_of(encoder: ImageEncoder) -> torch.device:
    """Where the encoder computes; controls have no weights and compute on the processor."""
    return torch.device(getattr(encoder, "device", "cpu"))


def _weights_bytes(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))


def _black(encoder: ImageEncoder, number: int, plan: FeaturePlan) -> Tensor:
    return torch.zeros(number, 3, *plan.input_size, device=device_of(encoder))
