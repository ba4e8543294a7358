"""Finding a network's tensors inside a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from midvision.core.errors import DataError
from midvision.zoo.fit import fit_state

WANTED = {
    "conv.weight": torch.zeros(2, 3),
    "block.0.norm.weight": torch.zeros(4),
    "block.0.norm.num_batches_tracked": torch.tensor(0),
}
GOOD = {"conv.weight": torch.ones(2, 3), "block.0.norm.weight": torch.full((4,), 2.0)}


def under(prefix: str, state: dict[str, torch.Tensor] = GOOD, scale: float = 1.0) -> dict[str, torch.Tensor]:
    return {prefix + name: value * scale for name, value in state.items()}


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        {"state_dict": GOOD, "epoch": 3},
        {"model": under("module.backbone."), "optimizer": {"state": {0: {"exp": torch.ones(9)}}}},
        {"a": {"b": {"trunk": under("_feature_blocks.")}, "heads": {"0.weight": torch.ones(3)}}},
        {"state_dict": {**GOOD, "fc.weight": torch.ones(10, 4), "fc.bias": torch.ones(10)}},
        {"model_state_dict": {name: value.numpy() for name, value in GOOD.items()}},
    ],
)
def test_found_wherever_it_lies(content: dict[str, object]) -> None:
    state = fit_state(content, WANTED, "file")
    assert set(state) == set(WANTED)
    assert torch.equal(state["conv.weight"], torch.ones(2, 3)) and float(state["block.0.norm.weight"][0]) == 2.0
    assert int(state["block.0.norm.num_batches_tracked"]) == 0


def test_two_fits_need_a_choice() -> None:
    content = {"student": under("backbone."), "teacher": under("backbone.", scale=5.0)}
    with pytest.raises(DataError, match=r"2 sets.*'student:backbone\.'.*'teacher:backbone\.'"):
        fit_state(content, WANTED, "file")
    assert float(fit_state(content, WANTED, "file", choose="teacher")["conv.weight"][0, 0]) == 5.0
    content = {"state_dict": {**under("module.q."), **under("module.k.", scale=7.0)}}
    assert float(fit_state(content, WANTED, "file", choose="module.k.")["conv.weight"][0, 0]) == 7.0


def test_missing_left_over_and_wrong_shapes() -> None:
    with pytest.raises(DataError, match=r"1 missing \(conv\.weight\)"):
        fit_state({"block.0.norm.weight": torch.ones(4)}, WANTED, "file")
    with pytest.raises(DataError, match=r"1 left over \(decoder\.weight\)"):
        fit_state({**GOOD, "decoder.weight": torch.ones(2)}, WANTED, "file")
    with pytest.raises(DataError, match=r"conv\.weight in file has shape \[3, 3\].*expects \[2, 3\]"):
        fit_state({**GOOD, "conv.weight": torch.ones(3, 3)}, WANTED, "file")
    with pytest.raises(DataError, match="holds no weights of this network"):
        fit_state({"other": torch.ones(3)}, WANTED, "file")
    with pytest.raises(DataError, match="holds no weights of this network"):
        fit_state([1, 2], WANTED, "file")


def test_nan_weights_are_refused() -> None:
    with pytest.raises(DataError, match=r"conv\.weight.*NaN"):
        fit_state({**GOOD, "conv.weight": torch.full((2, 3), float("nan"))}, WANTED, "file")


def test_arguments_stay_as_they_are() -> None:
    content = {"model": under("module."), "array": np.ones(3)}
    before = {name: value.clone() for name, value in content["model"].items()}  # type: ignore[union-attr]
    fit_state(content, WANTED, "file")
    assert all(torch.equal(before[name], value) for name, value in content["model"].items())  # type: ignore[union-attr]
