"""The zoo's checkpoints in their publishers' containers, fabricated by an independent writer: no real file is here.

Every file loads strictly through its public id, in both formats, and its dense features at 224 and 480 equal those of
a library network filled directly. The scaled-down twin is in `tests/zoo/test_published_files.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import midvision as mv
from midvision.core.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "zoo"))

from published_cases import ALTERNATIVES, MODELS
from published_files import Case, with_one_renamed, without_network, write
from witness import assert_same_tensors, difference, found_maps, limit, sample_images, witness_maps

pytestmark = [pytest.mark.accept, pytest.mark.filterwarnings("ignore:.*is not the published file")]


@pytest.mark.parametrize("case", [*MODELS, *ALTERNATIVES], ids=lambda case: case.name)
def test_features_of_a_published_file(case: Case, tmp_path: Path) -> None:
    published = case.build(True)
    path = write(tmp_path / "a.pth.tar", published.content, zipped=True)
    encoder = mv.load_model(case.model, weights=path)
    assert_same_tensors(encoder, published)
    words = []
    for size in (224, 480):
        images = sample_images(size)
        apart = difference(found_maps(encoder, images), witness_maps(case, published.tensors, images))
        words.append(f"{size}: {apart:.1e}")
        assert apart <= limit(case)
    print(f"{case.name}: largest difference in deviations of the layer, {', '.join(words)}")

    without_counters = case.build(False)
    old = write(tmp_path / "old.torch", without_counters.content, zipped=False, old_numpy=True)
    assert_same_tensors(mv.load_model(case.model, weights=old), without_counters)


@pytest.mark.parametrize("case", [*MODELS, *ALTERNATIVES], ids=lambda case: case.name)
def test_edited_files_are_refused(case: Case, tmp_path: Path) -> None:
    """One tensor under another name; and nothing but the momentum twin, or the heads."""
    published = case.build(False)
    name = "layer3.2.conv2.weight" if case.is_resnet else "blocks.7.attn.qkv.weight"
    if case.name != "byol other names":
        path = write(tmp_path / "renamed.pth", with_one_renamed(published, name), zipped=True)
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            mv.load_model(case.model, weights=path)
    path = write(tmp_path / "emptied.pth", without_network(published), zipped=True)
    with pytest.raises(DataError, match=r"emptied\.pth"):
        mv.load_model(case.model, weights=path)


@pytest.mark.parametrize("name", ["mocov3_resnet50", "mocov3_vitb16"])
def test_momentum_weights_when_asked_for(name: str, tmp_path: Path) -> None:
    case = next(case for case in MODELS if case.name == name)
    published = case.build(True)
    assert published.momentum is not None
    path = write(tmp_path / "a.pth.tar", published.content, zipped=True)
    images = sample_images(224)
    base, momentum = (mv.load_model(name + choice, weights=path) for choice in ("", "?weights=momentum"))
    assert base.key != momentum.key
    assert_same_tensors(momentum, published, published.momentum)
    assert difference(found_maps(momentum, images), witness_maps(case, published.momentum, images)) <= limit(case)
    assert difference(found_maps(momentum, images), found_maps(base, images)) > 0.1
    alone = write(tmp_path / "b.pth.tar", without_network(published), zipped=True)
    taken = mv.load_model(f"{name}?weights=momentum", weights=alone)
    assert_same_tensors(taken, published, published.momentum)
    assert torch.equal(found_maps(taken, images)[0], found_maps(momentum, images)[0])
