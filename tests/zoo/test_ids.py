"""Model ids: taken apart, listed without loading anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

from midvision.core.errors import UsageError
from midvision.zoo.ids import parse_id
from midvision.zoo.load import list_models


@pytest.mark.parametrize(
    ("text", "kind", "name", "options"),
    [
        ("control/pixels", "control", "pixels", {}),
        ("timm/vit_base_patch14_dinov2.lvd142m", "timm", "vit_base_patch14_dinov2.lvd142m", {}),
        ("hf-hub:timm/resnet18.a1_in1k", "hf-hub", "timm/resnet18.a1_in1k", {}),
        ("transformers:facebook/dinov2-base", "transformers", "facebook/dinov2-base", {}),
        ("file:/a/b.pth?arch=resnet50&prefix=teacher", "file", "/a/b.pth", {"arch": "resnet50", "prefix": "teacher"}),
        ("python:my.module:make", "python", "my.module:make", {}),
    ],
)
def test_forms(text: str, kind: str, name: str, options: dict[str, str]) -> None:
    found = parse_id(text)
    assert (found.kind, found.name, found.options) == (kind, name, options)


@pytest.mark.parametrize("text", ["resnet50", "control/", "random", "", "control:pixels", "file:?arch=x"])
def test_unknown_forms(text: str) -> None:
    with pytest.raises(UsageError):
        parse_id(text)


def test_near_ids_and_options_are_offered() -> None:
    with pytest.raises(UsageError, match="Nearest: control/pixels"):
        parse_id("contrl/pixels")
    with pytest.raises(UsageError, match=r"unknown option 'arc'.*Nearest: arch"):
        parse_id("file:x.pth?arc=resnet50")
    with pytest.raises(UsageError, match="Ids of kind timm have none"):
        parse_id("timm/resnet50?arch=x")


def test_listing_loads_no_network_library() -> None:
    code = (
        "import sys; from midvision.zoo.load import list_models; "
        "ids = [record['id'] for record in list_models()]; "
        "assert 'control/oracle' in ids and 'random/resnet50' in ids; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_timm_is_listed_when_asked_for() -> None:
    names = {str(record["id"]) for record in list_models("timm/*")}
    assert "timm/vit_base_patch14_dinov2.lvd142m" in names and len(names) > 1000
    assert all({"id", "kind", "source", "needs", "available"} <= set(record) for record in list_models())
