"""One file of each published container through its public id; all of them at 224 and 480 in `tests/accept`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from published_cases import ALTERNATIVES, MODELS, STRANGERS
from published_files import Case, with_one_renamed, without_network, write
from witness import assert_same_tensors, difference, found_maps, limit, sample_images, witness_maps

import midvision as mv
from midvision.core.errors import DataError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*is not the published file")]

CASES = {case.name: case for case in (*MODELS, *ALTERNATIVES)}
# One per container; those with features have their own pixel statistics or rule of positions. 240 is no size of
# the stored position tables.
FEATURES = {"rotnet_resnet50": 64, "swav_resnet50": 64, "ibot_vitb16": 240, "maskfeat_vitb16": 240}
TENSORS = ("npid_resnet50", "simsiam_resnet50", "densecl_resnet50", "supervised_resnet50", "byol numbered parts")
TWINS = ("mocov2_resnet50", "byol_resnet50", "mocov3_resnet50", "dino resnet training")


@pytest.mark.parametrize("name", FEATURES)
def test_features_equal_a_library_network_s(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    published = case.build(True)
    path = write(tmp_path / "a.pth", published.content, zipped=True)
    encoder = mv.load_model(case.model, weights=path)
    assert_same_tensors(encoder, published)
    images = sample_images(FEATURES[name])
    expected = witness_maps(case, published.tensors, images)
    assert difference(found_maps(encoder, images), expected) <= limit(case)
    assert difference(found_maps(encoder, images * 0.99), expected) > 100 * limit(case)


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_are_the_file_s(name: str, tmp_path: Path) -> None:
    published = CASES[name].build(False)
    path = write(tmp_path / "a.pth", published.content, zipped=False, old_numpy=True)
    assert_same_tensors(mv.load_model(CASES[name].model, weights=path), published)


@pytest.mark.parametrize("name", TWINS)
def test_momentum_twins_are_neither_taken_nor_enough(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    published = case.build(False)
    path = write(tmp_path / "a.pth", published.content, zipped=True)
    encoder = mv.load_model(case.model, weights=path)
    assert_same_tensors(encoder, published)
    write(path, without_network(published), zipped=True)
    with pytest.raises(DataError, match=r"a\.pth"):
        mv.load_model(case.model, weights=path)
    write(path, with_one_renamed(published, "layer4.0.bn2.running_var"), zipped=True)
    with pytest.raises(DataError, match=r"layer4\.0\.bn2\.running_var"):
        mv.load_model(case.model, weights=path)


@pytest.mark.parametrize("case", STRANGERS, ids=lambda case: f"{case.name} as {case.model}")
def test_another_training_is_refused_under_the_id(case: Case, tmp_path: Path) -> None:
    path = write(tmp_path / "a.pth", case.build(False).content, zipped=True)
    with pytest.raises(DataError, match=re.escape(str(path))):
        mv.load_model(case.model, weights=path)
