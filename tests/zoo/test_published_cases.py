"""The fabricated files themselves: names and shapes as described, nothing of midvision behind them."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

import pytest
import torch
from published_cases import ALTERNATIVES, MODELS, STRANGERS
from published_files import Case, with_one_renamed, without_network, write
from published_tensors import (
    resnet50_shapes,
    resnet50_tensors,
    sine_positions,
    twin,
    vitb16_shapes,
)

from midvision.zoo.card import all_cards
from midvision.zoo.read import read_checkpoint

# One ResNet per container.
LIGHT = list({case.build.func: case for case in (*ALTERNATIVES, *MODELS) if case.is_resnet}.values())  # type: ignore[attr-defined]


def test_counts_and_shapes() -> None:
    resnet, vit = resnet50_shapes(), vitb16_shapes()
    assert (len(resnet), len(resnet50_shapes(1000)), len(vit)) == (318, 320, 150)
    assert sum(not name.endswith("num_batches_tracked") for name in resnet) == 265
    assert sum(len(shape) == 4 for shape in resnet.values()) == 53
    assert resnet["layer1.0.conv3.weight"] == (256, 64, 1, 1)
    assert resnet["layer1.0.downsample.1.running_var"] == (256,)
    assert resnet["layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert resnet["layer4.2.bn3.bias"] == (2048,)
    assert resnet["bn1.num_batches_tracked"] == ()
    assert vit["pos_embed"] == (1, 197, 768) and vit["blocks.11.attn.qkv.weight"] == (2304, 768)
    assert vit["blocks.0.mlp.fc2.weight"] == (768, 3072) and vit["norm.bias"] == (768,)


def test_there_are_24_models_under_different_names() -> None:
    assert len({case.model for case in MODELS}) == len(MODELS) == 24
    assert {case.model for case in (*MODELS, *ALTERNATIVES, *STRANGERS)} <= set(all_cards())


def test_the_writer_uses_nothing_of_midvision() -> None:
    for name in ("published_tensors", "published_files", "published_cases"):
        tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text())
        imported = {
            alias.name if isinstance(node, ast.Import) else node.module or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not any(module.split(".")[0] in ("midvision", "timm", "torchvision") for module in imported)


def test_values_are_repeatable_and_twins_differ() -> None:
    state = resnet50_tensors("a")
    again, other = resnet50_tensors("a"), resnet50_tensors("b")
    assert all(torch.equal(value, again[name]) for name, value in state.items())
    floats = [name for name, value in state.items() if value.is_floating_point()]
    assert not any(torch.equal(state[name], values[name]) for name in floats for values in (other, twin(state)))


def test_stored_sines_are_transposes_of_each_other() -> None:
    rows, columns = sine_positions(rows_first=True), sine_positions(rows_first=False)
    assert float(rows[0, 0].abs().max()) == 0.0
    swapped = torch.cat([columns[..., 384:], columns[..., :384]], dim=-1)
    assert torch.equal(rows, swapped) and float((rows - columns).abs().max()) > 1.9
    # The second cell of the first row: its column is 1, its row is 0.
    assert float(columns[0, 2, 0]) == pytest.approx(0.8414710, abs=1e-6) and float(rows[0, 2, 0]) == 0.0


@pytest.mark.accept
@pytest.mark.parametrize("case", LIGHT, ids=lambda case: case.name)
def test_light_files_hold_the_network_where_they_say(case: Case, tmp_path: Path) -> None:
    """In both formats; edited copies differ in what was edited alone."""
    published = case.build(False)
    zipped = LIGHT.index(case) % 2 == 0
    found = read_checkpoint(write(tmp_path / "x", published.content, zipped, old_numpy=not zipped))
    renamed, emptied = with_one_renamed(published, "layer4.2.bn3.bias"), without_network(published)
    for step in published.where:
        found, renamed, emptied = found[step], renamed[step], emptied[step]
    for name, value in published.tensors.items():
        assert torch.equal(torch.as_tensor(found[published.spelt[name]]), value)
    assert len(set(renamed) - set(found)) == len(set(found) - set(renamed)) == 1
    assert set(found) - set(emptied) == set(published.spelt.values())


def test_log_objects_and_arguments_are_read_inertly(tmp_path: Path) -> None:
    """They carry arrays and references to their own methods, as OpenMMLab's do; nothing of them is imported."""
    published = next(case for case in MODELS if case.name == "simsiam_resnet50").build(False)
    content = {**published.content, "state_dict": {}, "args": argparse.Namespace(lr=0.1)}
    found = read_checkpoint(write(tmp_path / "x.pth", content, zipped=False, old_numpy=True))
    record = found["message_hub"]["log_scalars"]["train/loss"]
    assert record.state["_log_history"].tolist() == [0.5, 0.25]
    assert record.state["statistics_methods"] == {"min": "min", "mean": "mean"}
    assert found["args"].lr == 0.1
