"""What network a set of tensors belongs to, told from names and shapes alone: pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt

Shapes = Mapping[str, tuple[int, ...]]
Value = int | bool | str | None

_RESNETS: dict[tuple[str, tuple[int, ...]], int] = {
    ("basic", (2, 2, 2, 2)): 18,
    ("basic", (3, 4, 6, 3)): 34,
    ("bottleneck", (3, 4, 6, 3)): 50,
    ("bottleneck", (3, 4, 23, 3)): 101,
    ("bottleneck", (3, 8, 36, 3)): 152,
}
# Width and depth of the sizes that have a name.
_VITS = {
    (192, 12): ("tiny", "Ti"),
    (384, 12): ("small", "S"),
    (768, 12): ("base", "B"),
    (1024, 24): ("large", "L"),
    (1280, 32): ("huge", "H"),
    (1408, 40): ("giant", "g"),
    (1536, 40): ("giant", "g"),
}
_CONVNEXTS: dict[tuple[int, tuple[int, ...]], str] = {
    (40, (2, 2, 6, 2)): "atto",
    (48, (2, 2, 6, 2)): "femto",
    (64, (2, 2, 6, 2)): "pico",
    (80, (2, 2, 8, 2)): "nano",
    (96, (3, 3, 9, 3)): "tiny",
    (96, (3, 3, 27, 3)): "small",
    (128, (3, 3, 27, 3)): "base",
    (192, (3, 3, 27, 3)): "large",
    (256, (3, 3, 27, 3)): "xlarge",
    (352, (3, 3, 27, 3)): "huge",
}
_SWINS: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): "tiny",
    (96, (2, 2, 18, 2)): "small",
    (128, (2, 2, 18, 2)): "base",
    (192, (2, 2, 18, 2)): "large",
}
_REGISTERS = ("reg_token", "register_tokens", "storage_tokens")
# The tensor that every network of a family has once, relative to its own beginning.
ANCHORS = (
    "layer1.0.conv1.weight",
    "patch_embed.proj.weight",
    "patch_embed.projection.weight",
    "embeddings.patch_embeddings.projection.weight",
    "stages.0.blocks.0.conv_dw.weight",
    "stages.0.0.dwconv.weight",
    "transformer.resblocks.0.attn.in_proj_weight",
)


@dataclass(frozen=True, slots=True)
class Network:
    """A guess. `candidates` are timm architectures, likeliest first; `facts` hold None where shapes cannot tell."""

    family: str
    title: str
    candidates: tuple[str, ...] = ()
    facts: dict[str, Value] = field(default_factory=dict)


def guess(shapes: Shapes) -> Network | None:
    """The network, or None where the tensors are those of no family known here."""
    for recognise in (_resnet, _swin, _vit, _convnext, _convnext_official, _transformers_vit, _clip):
        if (found := recognise(shapes)) is not None:
            return found
    return None


def _resnet(shapes: Shapes) -> Network | None:
    counts = _blocks(shapes, r"layer(\d)\.(\d+)\.conv1\.weight")
    first = shapes.get("layer1.0.conv1.weight")
    if len(counts) < 4 or first is None:
        return None
    stem = shapes.get("conv1.weight") or shapes.get("conv1.0.weight") or (0, 0, 0, 0)
    bottleneck = "layer1.0.conv3.weight" in shapes
    depth = _RESNETS.get(("bottleneck" if bottleneck else "basic", tuple(counts)))
    middle = shapes.get("layer1.0.conv2.weight", (0, 0, 0, 0))
    groups = middle[0] // middle[1] if bottleneck and middle[1] else 1
    plain_stem = "conv1.weight" in shapes
    facts: dict[str, Value] = {
        "depth": depth,
        "blocks": " ".join(map(str, counts)),
        "width": middle[0],
        "groups": groups,
        "input_channels": stem[1],
        "stem": "one 7 x 7 convolution" if plain_stem else "three convolutions",
    }
    if depth is None:
        return Network("resnet", f"a ResNet with {facts['blocks']} blocks", (), facts)
    name, title = f"resnet{depth}", f"ResNet-{depth}"
    if groups > 1:
        name, title = f"resnext{depth}_{groups}x{middle[1]}d", f"ResNeXt-{depth} {groups}x{middle[1]}d"
    elif bottleneck and middle[0] == 128:
        name, title = f"wide_resnet{depth}_2", f"Wide ResNet-{depth}-2"
    elif bottleneck and middle[0] != 64:
        return Network("resnet", f"{title}, {middle[0] / 64:g} times as wide", (), facts)
    return Network("resnet", title, (name,) if plain_stem else (f"{name}d", f"{name}c", f"{name}s"), facts)


def _vit(shapes: Shapes) -> Network | None:
    patches = shapes.get("patch_embed.proj.weight")
    depth = 1 + max((int(n) for n in _numbers(shapes, r"blocks\.(\d+)\.norm1\.weight")), default=-1)
    if patches is None or not depth or shapes[f"blocks.{depth - 1}.norm1.weight"] != patches[:1]:
        return None
    width, patch = patches[0], patches[-1]
    registers = next((shapes[name][1] for name in _REGISTERS if name in shapes), 0)
    rows = shapes["pos_embed"][1] if len(shapes.get("pos_embed", ())) == 3 else None
    class_token = "cls_token" in shapes
    grid = _grid(rows, registers)
    table = next((shape for name, shape in shapes.items() if name.endswith("relative_position_bias_table")), None)
    hidden = shapes.get("blocks.0.mlp.fc1.weight") or shapes.get("blocks.0.mlp.w12.weight")
    facts: dict[str, Value] = {
        "width": width,
        "depth": depth,
        "patch": patch,
        "grid": grid,
        "image_size": grid * patch if grid else None,
        "class_token": class_token,
        "registers": registers,
        "heads": table[1] if table else None,
        "mlp_width": hidden[0] if hidden else None,
        "layer_scale": any(name in shapes for name in ("blocks.0.ls1.gamma", "blocks.0.gamma_1")),
        "positions": _positions(shapes, rows, table is not None),
        "frames_per_token": patches[2] if len(patches) == 5 else 1,
        "input_channels": patches[1],
    }
    size = _VITS.get((width, depth))
    kind = f"ViT-{size[1]}/{patch}" if size else f"a ViT/{patch} of width {width} and depth {depth}"
    title = kind + (f" with {registers} registers" if registers else "")
    if len(patches) == 5:
        title += f", for video ({patches[2]} frames per token)"
    image = grid * patch if grid else 224
    return Network("vit", title, _vit_names(size[0], patch, image, shapes, facts) if size else (), facts)


def _vit_names(size: str, patch: int, image: int, shapes: Shapes, facts: Mapping[str, Value]) -> tuple[str, ...]:
    """timm's architectures of this size, the most special first; whether one fits is tried later."""
    plain = f"vit_{size}_patch{patch}"
    names: list[str] = []
    if facts["frames_per_token"] != 1:
        return ()
    if facts["positions"] == "rotary, or none":
        names += [f"{plain}_dinov3", f"{plain}_dinov3_qkvb"]
    if facts["positions"] == "relative":
        names += [f"beit_{size}_patch{patch}_224", f"beitv2_{size}_patch{patch}_224"]
    if "norm_pre.weight" in shapes:
        names += [f"{plain}_clip_{image}", f"{plain}_clip_quickgelu_{image}"]
    if facts["layer_scale"]:
        names += [f"{plain}_{'reg4_' if facts['registers'] else ''}dinov2", f"deit3_{size}_patch{patch}_{image}"]
    if "dist_token" in shapes:
        names += [f"deit_{size}_distilled_patch{patch}_{image}"]
    if facts["registers"]:
        names += [f"{plain}_reg{facts['registers']}_gap_256", f"{plain}_reg{facts['registers']}_dinov2"]
    if not facts["class_token"]:
        names += [f"{plain}_siglip_{image}", f"{plain}_gap_{image}", f"{plain}_gap_224"]
    names += [f"{plain}_{image}", f"{plain}_224"]
    return tuple(dict.fromkeys(names))


def _positions(shapes: Shapes, rows: int | None, relative: bool) -> str:
    if rows:
        return "a table" if not relative else "a table, and relative"
    return "relative" if relative else "rotary, or none"


def _grid(rows: int | None, registers: int) -> int | None:
    """Side of the square of positions; the table may have rows for class token and registers too."""
    for extra in (0, 1, 2, 1 + registers, registers):
        if rows and isqrt(rows - extra) ** 2 == rows - extra:
            return isqrt(rows - extra)
    return None


def _convnext(shapes: Shapes) -> Network | None:
    counts = _blocks(shapes, r"stages\.(\d)\.blocks\.(\d+)\.conv_dw\.weight")
    if not counts:
        return None
    second = "stages.0.blocks.0.mlp.grn.weight" in shapes
    return _convnext_named(shapes["stages.0.blocks.0.conv_dw.weight"][0], counts, second, "timm's")


def _convnext_official(shapes: Shapes) -> Network | None:
    counts = _blocks(shapes, r"stages\.(\d)\.(\d+)\.dwconv\.weight")
    if not counts or "stages.0.0.dwconv.weight" not in shapes:
        return None
    second = any(name.startswith("stages.0.0.grn.") for name in shapes)
    return _convnext_named(shapes["stages.0.0.dwconv.weight"][0], counts, second, "the publisher's")


def _convnext_named(width: int, counts: list[int], second: bool, names: str) -> Network:
    size = _CONVNEXTS.get((width, tuple(counts)))
    version = "v2" if second else ""
    facts: dict[str, Value] = {"width": width, "blocks": " ".join(map(str, counts)), "names": names}
    title = f"ConvNeXt{'-V2' if second else ''} {size or f'of width {width}'}"
    return Network("convnext", title, (f"convnext{version}_{size}",) if size and names == "timm's" else (), facts)


def _swin(shapes: Shapes) -> Network | None:
    counts = _blocks(shapes, r"layers\.(\d)\.blocks\.(\d+)\.attn\.qkv\.weight")
    patches = shapes.get("patch_embed.proj.weight")
    if len(counts) < 2 or patches is None:
        return None
    second = "layers.0.blocks.0.attn.logit_scale" in shapes
    table = shapes.get("layers.0.blocks.0.attn.relative_position_bias_table")
    window = (isqrt(table[0]) + 1) // 2 if table else None
    size = _SWINS.get((patches[0], tuple(counts)))
    facts: dict[str, Value] = {
        "width": patches[0],
        "blocks": " ".join(map(str, counts)),
        "patch": patches[-1],
        "window": window,
        "heads": table[1] if table else None,
    }
    title = f"Swin{'-V2' if second else ''} {size or f'of width {patches[0]}'}"
    image = {7: 224, 12: 384}.get(window or 0, 224)
    known = size is not None and not second and window is not None
    return Network("swin", title, (f"swin_{size}_patch{patches[-1]}_window{window}_{image}",) if known else (), facts)


def _transformers_vit(shapes: Shapes) -> Network | None:
    patches = shapes.get("embeddings.patch_embeddings.projection.weight")
    depth = 1 + max((int(n) for n in _numbers(shapes, r"encoder\.layer\.(\d+)\..*")), default=-1)
    if patches is None or not depth:
        return None
    size = _VITS.get((patches[0], depth), ("", f"{patches[0]}x{depth}"))[1]
    facts: dict[str, Value] = {"width": patches[0], "depth": depth, "patch": patches[-1], "heads": None}
    return Network("transformers", f"ViT-{size}/{patches[-1]} under the names of transformers", (), facts)


def _clip(shapes: Shapes) -> Network | None:
    blocks = set(_numbers(shapes, r"transformer\.resblocks\.(\d+)\.attn\.in_proj_weight"))
    patches = shapes.get("conv1.weight")
    if not blocks or patches is None:
        return None
    size = _VITS.get((patches[0], len(blocks)), ("", f"{patches[0]}x{len(blocks)}"))[1]
    facts: dict[str, Value] = {"width": patches[0], "depth": len(blocks), "patch": patches[-1], "heads": None}
    return Network("clip", f"CLIP image tower ViT-{size}/{patches[-1]} under OpenAI's names", (), facts)


def _blocks(shapes: Shapes, pattern: str) -> list[int]:
    """Blocks of each stage, for names that hold the number of a stage and of a block."""
    last: dict[int, int] = {}
    for name in shapes:
        if found := re.fullmatch(pattern, name):
            stage, block = int(found[1]), int(found[2])
            last[stage] = max(last.get(stage, -1), block)
    return [last[stage] + 1 for stage in sorted(last)]


def _numbers(shapes: Shapes, pattern: str) -> list[str]:
    return [found[1] for name in shapes if (found := re.fullmatch(pattern, name))]
