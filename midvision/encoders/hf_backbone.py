"""Any vision model of transformers, read through its hidden states."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from midvision.core.errors import DataError, EncoderError
from midvision.core.features import EncoderInfo, LayerInfo
from midvision.core.seeds import torch_generator
from midvision.encoders.centres import measured_first_centres, rerandomise
from midvision.encoders.encoder import Reading
from midvision.encoders.plan import PIXEL_STATS
from midvision.encoders.seeded import seeded

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
# Of images; of clips, for networks that take those.
PREPROCESSING_FILES = ("preprocessor_config.json", "video_preprocessor_config.json")
_FINAL_NORMS = ("layernorm", "layer_norm", "norm", "post_layernorm")


def open_transformers(name: str, *, random_init: bool = False) -> HFBackbone:
    """The model called `name` on the hub, or in a folder of that path.

    With random weights only the configuration is read, and only from this machine.
    """
    transformers = _library()
    try:
        if random_init:
            config = transformers.AutoConfig.from_pretrained(name, local_files_only=True)
            return HFBackbone(_random_network(config, name), PIXEL_STATS["imagenet"], name)
        network = transformers.AutoModel.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"The transformers model {name} cannot be opened: {str(error).splitlines()[0]}",
            "It must be in the local cache, in a folder of that path, or on a hub that can be reached.",
            "Fetch it once on a machine with network (HF_HOME), and unset HF_HUB_OFFLINE there.",
        ) from error
    return HFBackbone(network, read_statistics(name), name)


def weights_file(name: str) -> Path | None:
    """The checkpoint's main file on this machine, fetched if need be."""
    hub: Any = _library().utils
    for filename in ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"):
        try:
            found = hub.cached_file(name, filename, _raise_exceptions_for_missing_entries=False)
        except OSError:
            return None
        if found is not None:
            return Path(found)
    return None


def read_statistics(name: str) -> Statistics:
    """Mean and deviation from the checkpoint's own preprocessing file."""
    hub: Any = _library().utils
    found: str | None = None
    for filename in PREPROCESSING_FILES:
        try:
            found = found or hub.cached_file(name, filename, _raise_exceptions_for_missing_entries=False)
        except OSError:
            continue
    if found is None:
        raise DataError(
            f"{name} comes without preprocessor_config.json.",
            "The pixel statistics it was trained with must be known.",
            "Save its image processor beside it (processor.save_pretrained), or wrap the model yourself.",
        )
    settings = json.loads(Path(found).read_text(encoding="utf-8"))
    if not settings.get("do_normalize", True):
        return PIXEL_STATS["none"]
    mean, std = settings.get("image_mean"), settings.get("image_std")
    if mean is None or std is None:
        raise DataError(f"{Path(found).name} of {name} has no image_mean or image_std.", "Both are needed.")
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


class HFBackbone(nn.Module):
    """A transformers vision model as a backbone.

    Transformers: layer i is the output of block i (hidden state i + 1; hidden state 0 is the
    embedding). Stage networks: the hidden states of their stages; those of a ResNet start with the
    stem after pooling. Swin hands out each stage after its downsampling, unlike timm.
    """

    info: EncoderInfo

    def __init__(self, network: nn.Module, statistics: Statistics, name: str) -> None:
        super().__init__()
        inner: nn.Module = getattr(network, "vision_model", network)
        if hasattr(inner, "predictor"):
            inner.predictor = nn.Identity()  # reads what the encoder gives, and is never asked
        self.network: Any = inner.eval()
        self.name = name
        self._config: Any = inner.config
        self._takes = set(inspect.signature(inner.forward).parameters)
        if hasattr(self._config, "mask_ratio"):
            self._config.mask_ratio = 0.0
        # Swin shrinks its windows in place for small images and never grows them again.
        windowed = [part for part in self.network.modules() if hasattr(part, "set_shift_and_window_size")]
        self._windows: list[tuple[Any, Any, Any]] = [(part, part.shift_size, part.window_size) for part in windowed]
        self._tokens = _count_tokens(self.network, self._config)
        self.info = self._look(statistics)

    def read(self, pixels: Tensor, layers: Sequence[int], final_norm: bool) -> Reading:
        size = (int(pixels.shape[2]), int(pixels.shape[3]))
        states = self._states(pixels)
        last = len(states) - 1
        normed = set(layers if self.info.kind == "transformer" else [last]) if final_norm else set()
        chosen = [self._norm(states[index]) if index in normed else states[index] for index in layers]
        maps = tuple(self._as_map(state, size) for state in chosen)
        if not (self._tokens.classes and layers):
            return Reading(maps, None)
        return Reading(maps, chosen[list(layers).index(max(layers))][:, : self._tokens.classes].mean(dim=1))

    def _states(self, pixels: Tensor) -> list[Tensor]:
        """Outputs of all blocks `[B, N, C]` or stages `[B, C, h, w]`, without the embedding."""
        wishes: dict[str, Any] = {"output_hidden_states": True, "interpolate_pos_encoding": True}
        if "skip_predictor" in self._takes:
            wishes["skip_predictor"] = True
            place_cells(self.network.encoder, pixels.shape[2] // self._patch(), pixels.shape[3] // self._patch())
        if hasattr(self._config, "mask_ratio"):
            # Masked autoencoders shuffle their tokens by this noise even when they mask nothing.
            count = (pixels.shape[2] // self._config.patch_size) * (pixels.shape[3] // self._config.patch_size)
            wishes["noise"] = torch.arange(count, device=pixels.device).expand(len(pixels), -1).float()
        for part, shift, window in self._windows:
            part.shift_size, part.window_size = shift, window
        try:
            output = self.network(**self._as_input(pixels), **wishes)
        except (ValueError, TypeError, RuntimeError) as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            raise EncoderError(
                f"transformers' {self.name} cannot take images of {tuple(pixels.shape[2:])} ({error}).",
                "A vision model that takes pixel_values of any size is expected.",
                "Choose its native size with --image-size, or another model.",
            ) from error
        states = list(getattr(output, "reshaped_hidden_states", None) or output.hidden_states or ())
        if len(states) < 2:
            raise EncoderError(f"transformers' {self.name} hands out no hidden states.", "One per layer is needed.")
        stages = len(getattr(self._config, "depths", None) or getattr(self._config, "hidden_sizes", None) or ())
        if states[0].ndim == 3 or not stages:
            blocks = getattr(self._config, "num_hidden_layers", None)
            return states[1:] if states[0].ndim == 3 or len(states) - 1 == blocks else states
        return states if self._config.model_type == "resnet" else states[len(states) - stages :]

    def _as_input(self, pixels: Tensor) -> dict[str, Tensor]:
        """Pixels by the names under which the network takes them."""
        if "pixel_values_videos" in self._takes:
            # One step in time: the same image in every frame of the shortest clip.
            frames = pixels[:, None].expand(-1, self._config.tubelet_size, -1, -1, -1)
            return {"pixel_values_videos": frames}
        if "spatial_shapes" in self._takes:
            return _patchified(pixels, self._patch())
        return {"pixel_values": pixels}

    def _norm(self, state: Tensor) -> Tensor:
        for owner in (self.network, getattr(self.network, "model", None), getattr(self.network, "encoder", None)):
            for name in _FINAL_NORMS:
                norm = getattr(owner, name, None)
                if isinstance(norm, nn.Module) and state.ndim == 3:
                    normed: Tensor = norm(state)
                    return normed
        return state

    def _as_map(self, state: Tensor, size: tuple[int, int]) -> Tensor:
        if state.ndim == 4:
            return state
        patch = self._patch()
        grid = (size[0] // patch, size[1] // patch)
        before, cells = self._tokens.before, grid[0] * grid[1]
        extra = before + self._tokens.after
        if state.shape[1] != cells + extra:
            raise EncoderError(
                f"transformers' {self.name} gave {state.shape[1]} tokens for {size[0]} x {size[1]} pixels.",
                f"{grid[0]} x {grid[1]} patches and {extra} other tokens were expected.",
                "Wrap the model yourself with midvision.wrap and declare its tokens.",
            )
        return state[:, before : before + cells].transpose(1, 2).reshape(len(state), state.shape[2], *grid)

    def _patch(self) -> int:
        patch = getattr(self._config, "patch_size", None)
        if isinstance(patch, list | tuple):
            patch = patch[0] if len(set(patch)) == 1 else None
        if not isinstance(patch, int):
            raise EncoderError(f"transformers' {self.name} declares no square patch_size.", "One is needed.")
        return patch

    def _look(self, statistics: Statistics) -> EncoderInfo:
        stages = bool(getattr(self._config, "depths", None) or getattr(self._config, "hidden_sizes", None))
        multiple = 32 if stages else self._patch()
        size = (7 * 32, 7 * 32) if stages else (4 * multiple, 4 * multiple)
        with torch.no_grad():
            states = self._states(torch.zeros(1, 3, *size))
        maps = [self._as_map(state, size) for state in states]
        strides = [size[0] // int(values.shape[2]) for values in maps]
        return EncoderInfo(
            layers=tuple(
                LayerInfo(int(values.shape[1]), stride, centre)
                for values, stride, centre in zip(maps, strides, self._centres(strides, size, stages))
            ),
            kind="stages" if stages else "transformer",
            stem_layers=int(self._config.model_type == "resnet"),
            pooled_channels=int(maps[-1].shape[1]),
            has_class_token=self._tokens.classes > 0,
            register_tokens=self._tokens.others,
            pixel_mean=statistics[0],
            pixel_std=statistics[1],
            size_multiple=max(strides),
            parameters=sum(p.numel() for p in self.network.parameters()),
        )

    def _centres(self, strides: list[int], size: tuple[int, int], stages: bool) -> list[float]:
        """Half a patch for plain transformers; the others are measured on a random twin."""
        if not stages or self._config.model_type in ("convnext", "convnextv2", "dinov3_convnext", "swin", "swinv2"):
            return [stride / 2 for stride in strides]
        if self._config.model_type == "resnet":
            return [0.5] * len(strides)
        own, twin = self.network, _random_network(self._config, "centre twin")
        generator = torch_generator("centre twin", self.name)

        def read(pixels: Tensor) -> list[Tensor]:
            rerandomise(twin, generator)
            return self._states(pixels)

        self.network = getattr(twin, "vision_model", twin)
        try:
            return measured_first_centres(read, size, strides)
        finally:
            self.network = own


def place_cells(encoder: nn.Module, rows: int, columns: int) -> None:
    """Let V-JEPA 2's blocks rotate by the row and column of a grid of this size, in the first step of time.

    Left alone, transformers counts rows by the width of the grid of training, whatever the image's; the
    publisher's code counts by the image's.
    """
    for part in encoder.modules():
        if hasattr(part, "get_position_ids"):
            turning: Any = part
            turning.get_position_ids = partial(_rows_and_columns, rows, columns)


def _rows_and_columns(rows: int, columns: int, tokens: Tensor, masks: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """Step in time, row and column of every token."""
    order = torch.arange(rows * columns, device=tokens.device)
    return torch.zeros_like(order), order // columns, order % columns


def _patchified(pixels: Tensor, patch: int) -> dict[str, Tensor]:
    """`[B, 3, H, W]` as the rows of patches (each by row, column, colour) that networks for any aspect ratio take."""
    height, width = pixels.shape[2] // patch, pixels.shape[3] // patch
    cut = pixels[:, :, : height * patch, : width * patch].reshape(len(pixels), -1, height, patch, width, patch)
    rows = cut.permute(0, 2, 4, 3, 5, 1).reshape(len(pixels), height * width, -1)
    shapes = torch.tensor([[height, width]], device=pixels.device).expand(len(pixels), -1)
    mask = torch.ones(rows.shape[:2], dtype=torch.long, device=pixels.device)
    return {"pixel_values": rows, "spatial_shapes": shapes, "pixel_attention_mask": mask}


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Tokens that are no patch: class tokens, then registers, stand `before` the patches; others stand `after`."""

    classes: int
    registers: int
    after: int

    @property
    def before(self) -> int:
        return self.classes + self.registers

    @property
    def others(self) -> int:
        """All but the class token. Of several class tokens, whose mean is taken, each but the first counts here."""
        return self.before + self.after - min(self.classes, 1)


def _count_tokens(network: nn.Module, config: Any) -> _Tokens:
    """Class token and other extra tokens, from the parameters that hold them."""
    # A class token in a pooling head is no token of the blocks.
    paths = [name.split(".") for name, _ in network.named_parameters()]
    names = {path[-1] for path in paths if "head" not in path}
    registers = int(getattr(config, "num_register_tokens", 0) or 0) if "register_tokens" in names else 0
    classes = int(getattr(config, "n_cls_tokens", 1)) if names & {"cls_token", "class_embedding"} else 0
    after = int(config.num_detection_tokens) if "detection_tokens" in names else 0
    return _Tokens(classes, registers + int("distillation_token" in names), after)


def _random_network(config: Any, purpose: str) -> nn.Module:
    with seeded("random weights", "transformers", purpose):
        network: nn.Module = _library().AutoModel.from_config(config)
    return network.eval()


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise DataError(
            "The transformers library is not installed.",
            "Models with ids transformers:ORG/NAME need it.",
            "pip install 'midvision[transformers]'",
        ) from error
    return transformers
