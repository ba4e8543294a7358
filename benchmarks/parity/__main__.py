"""Features under midvision's public ids against the publishers' own forward code: `python benchmarks/parity`.

    python benchmarks/parity --sources DIR --libraries DIR [--json FILE] [--markdown FILE] [MODEL ...]

For every model the publisher's network is built from a checkout of its repository, filled with random numbers, run at
224 and 480, and saved as its publisher saves it (`publisher.py`, in a process of its own). The file is loaded under
the public id, and every layer's features are compared. Nothing of the publishers' code is part of midvision: each
repository of `REPOSITORIES` is cloned from GitHub by yourself, at the revision given there, to `SOURCES/OWNER/NAME`.
Libraries that midvision does not need go to folders of their own: `pip install --no-deps --target LIBRARIES/FOLDER
PACKAGE ...` with the names in `LIBRARIES`. `docs/parity.md` holds the outcome. Exits with 1 if a difference is above
its limit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import midvision as mv

SIZES = (224, 480)
# Largest absolute difference; features here are at most about a hundred.
LIMITS = {"resnet50": 1e-5, "vitb": 2e-5}
REPOSITORIES = {
    "facebookresearch/vissl": "09270ed25a6c2cf71263d955b64cbe076d34ac45",
    "facebookresearch/swav": "06b1b7cbaf6ba2a792300d79c7299db98b93b7f9",
    "facebookresearch/moco": "a419ef282fc9885015674e77f58c59447206a27f",
    "facebookresearch/moco-v3": "c349e6e24f40d3fedb22d973f92defa4cedf37a7",
    "facebookresearch/simsiam": "a7bc1772896d0dad0806c51f0bb6f3b16d290468",
    "facebookresearch/barlowtwins": "8e8d284ca0bc02f88b92328e53f9b901e86b4a3c",
    "facebookresearch/dino": "7c446df5b9f45747937fb0d72314eb9f7b66930a",
    "facebookresearch/mae": "efb2a8062c206524e35e47d04501ed4f544c0ae8",
    "facebookresearch/deit": "7e160fe43f0252d17191b71cbb5826254114ea5b",
    "bytedance/ibot": "da316d82636a7a7356835ef224b13d5f3ace0489",
    "yaox12/BYOL-PyTorch": "edefc01aa72716c5c59219883af1ff0ae1127053",
    "WXinlong/DenseCL": "b64bbb6e267f729d16ca558233b0ef3028857381",
    "naver/croco": "d7de0705845239092414480bd829228723bf20de",
    "open-mmlab/mmpretrain": "ee7f2e88501f61aa95c742dd5f429f039935ee90",
}
LIBRARIES = {
    "timm-0.3.2": "timm==0.3.2",
    "timm-0.4.9": "timm==0.4.9",
    "vissl": "classy-vision==0.7.0 fvcore iopath hydra-core omegaconf antlr4-python3-runtime portalocker yacs "
    "termcolor tabulate parameterized pandas python-dateutil pytz six setuptools<70",
    "mmcv-1": "mmcv==1.7.2 addict yapf platformdirs opencv-python-headless",
    "openmmlab": "mmengine==0.10.7 mmcv-lite==2.2.0 addict yapf termcolor rich platformdirs opencv-python-headless "
    "einops mat4py model-index ordered-set importlib-metadata==6.8.0 zipp requests matplotlib",
}
_VISSL = ("jigsaw", "rotnet", "npid", "npid_pp", "pirl", "clusterfit", "simclr")
# Model: repository (none: torchvision itself), folder of libraries.
MODELS: dict[str, tuple[str, str]] = {
    **{f"{name}_resnet50": ("facebookresearch/vissl", "vissl") for name in _VISSL},
    **{f"{name}_resnet50": ("facebookresearch/swav", "") for name in ("selav2", "deepclusterv2", "swav")},
    "mocov2_resnet50": ("facebookresearch/moco", ""),
    "simsiam_resnet50": ("open-mmlab/mmpretrain", "openmmlab"),
    "barlowtwins_resnet50": ("open-mmlab/mmpretrain", "openmmlab"),
    "byol_resnet50": ("yaox12/BYOL-PyTorch", ""),
    "densecl_resnet50": ("WXinlong/DenseCL", "mmcv-1"),
    "dino_resnet50": ("facebookresearch/dino", ""),
    "dino_vitb16": ("facebookresearch/dino", ""),
    "mocov3_resnet50": ("facebookresearch/moco-v3", "timm-0.4.9"),
    "mocov3_vitb16": ("facebookresearch/moco-v3", "timm-0.4.9"),
    "ibot_vitb16": ("bytedance/ibot", "timm-0.4.9"),
    "mae_vitb16": ("facebookresearch/mae", "timm-0.3.2"),
    "maskfeat_vitb16": ("open-mmlab/mmpretrain", "openmmlab"),
    "supervised_resnet50": ("", ""),
    "deit_vitb16": ("facebookresearch/deit", "timm-0.3.2"),
    "simsiam_resnet50_100ep": ("facebookresearch/simsiam", ""),
    "barlowtwins_resnet50_1000ep": ("facebookresearch/barlowtwins", ""),
    **dict.fromkeys(("croco_vitb16", "crocov2_vitb_base"), ("naver/croco", "")),
}


@dataclass
class Outcome:
    """`apart`: per size the largest absolute difference; `scale`: per size the largest feature.

    `prepared` and `pixels`: the differences of features and of pixels where the publisher's preprocessor makes these.
    """

    model: str
    repository: str
    called: str = ""
    apart: dict[str, float] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)
    prepared: dict[str, float] = field(default_factory=dict)
    pixels: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    failed: str = ""

    @property
    def good(self) -> bool:
        limit = next(value for word, value in LIMITS.items() if word in self.model)
        return not self.failed and all(value <= limit for value in self.apart.values())


def compare(models: Sequence[str], sources: Path, libraries: Path) -> Iterator[Outcome]:
    """Models of one repository: its process builds and runs them all, then each file is loaded here."""
    repository, library = MODELS[models[0]]
    with tempfile.TemporaryDirectory() as folder:
        source = str(sources / repository) if repository else ""
        words = _publish(models, source, libraries / library if library else None, folder)
        for model in models:
            yield _outcome(model, repository, Path(folder) / model, words)


def _publish(models: Sequence[str], source: str, library: Path | None, folder: str) -> str:
    """Runs the publisher's side; the last that it said."""
    script = Path(__file__).with_name("publisher.py")
    environment = {**os.environ, "PYTHONPATH": str(library or ""), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(script), ",".join(models), source, folder, *map(str, SIZES)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or ["no words"])[-1]


def _outcome(model: str, repository: str, folder: Path, words: str) -> Outcome:
    outcome = Outcome(model, repository)
    if not (folder / "report.json").exists():
        outcome.failed = words
        return outcome
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    outcome.called, outcome.refused = report["called"], report["refused"]
    encoder = mv.load_model(model, weights=folder / "checkpoint.pth")
    for size in map(str, SIZES):
        if size not in outcome.refused:
            saved = torch.load(folder / f"features_{size}.pt", weights_only=True)
            outcome.apart[size], outcome.scale[size] = _apart(encoder, saved["images"], saved["found"])
            if "prepared" in saved:
                outcome.prepared[size], _ = _apart(encoder, saved["images"], saved["prepared"])
                outcome.pixels[size] = saved["pixels"]
    return outcome


def grouped(models: Sequence[str]) -> list[list[str]]:
    """Models of one repository and its libraries together, in the order of their first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for model in models:
        groups.setdefault(MODELS[model], []).append(model)
    return list(groups.values())


def _apart(encoder: Any, images: Tensor, found: list[tuple[int, bool, Tensor]]) -> tuple[float, float]:
    """Largest difference and largest feature over every layer that the publisher gave."""
    worst, scale = 0.0, 0.0
    for normed in sorted({normed for _, normed, _ in found}):
        entries = [(layer, values) for layer, was_normed, values in found if was_normed is normed]
        layers = sorted({layer for layer, _ in entries})
        ours = mv.features(encoder, images, layers=layers, final_norm=normed)
        last = len(encoder.info.layers) - 1
        for layer, theirs in entries:
            pairs = _pairs(ours.maps[layers.index(layer)], ours.pooled if layer == last else None, theirs)
            for own, other in pairs:
                assert own.shape == other.shape, (layer, own.shape, other.shape)
                worst = max(worst, float((own - other).abs().max()))
                scale = max(scale, float(other.abs().max()))
    return worst, scale


def _pairs(own: Tensor, pooled: Tensor | None, theirs: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Maps with maps; tokens with maps and, after the last block, the class token; one vector with the class token."""
    if theirs.ndim == 4:
        return [(own, theirs)]
    if theirs.ndim == 2:
        assert pooled is not None
        return [(pooled, theirs)]
    cells = own.flatten(2).transpose(1, 2)
    if theirs.shape[1] == cells.shape[1]:
        return [(cells, theirs)]
    class_token = [] if pooled is None else [(pooled, theirs[:, 0])]
    return [(cells, theirs[:, 1:]), *class_token]


def table(outcomes: list[Outcome]) -> str:
    """Markdown."""
    lines = ["| model | repository | called | 224 | 480 |", "|---|---|---|---|---|"]
    for one in outcomes:
        cells = [_cell(one, str(size)) for size in SIZES]
        place = f"{one.repository} {REPOSITORIES[one.repository][:7]}" if one.repository else "torchvision"
        lines.append(f"| {one.model} | {place} | {one.called} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(one: Outcome, size: str) -> str:
    if one.failed:
        return f"not run: {one.failed}"
    if size in one.refused:
        return f"refused: {one.refused[size]}"
    own = f"; {one.prepared[size]:.1e} from its own pixels" if size in one.prepared else ""
    return f"{one.apart[size]:.1e} (of {one.scale[size]:.3g}){own}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="parity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", help=f"default: all of {', '.join(MODELS)}")
    parser.add_argument("--sources", type=Path, required=True, help="checkouts, as OWNER/NAME")
    parser.add_argument("--libraries", type=Path, required=True, help="folders of old libraries")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    wishes = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*is not the published file")
    outcomes = []
    for models in grouped(wishes.models or list(MODELS)):
        for outcome in compare(models, wishes.sources.resolve(), wishes.libraries.resolve()):
            outcomes.append(outcome)
            cells = ", ".join(_cell(outcome, str(size)) for size in SIZES)
            print(f"{'ok ' if outcome.good else 'BAD'} {outcome.model}: {cells}", flush=True)
    if wishes.json:
        wishes.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1), encoding="utf-8")
    if wishes.markdown:
        wishes.markdown.write_text(table(outcomes), encoding="utf-8")
    return 0 if all(one.good for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
