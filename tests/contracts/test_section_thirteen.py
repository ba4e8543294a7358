"""The thirteen checks by which an implementation of the protocols is recognised: where each is proved.

`CHECKS` names the tests; this file proves that they exist and run, and holds what belongs nowhere else.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from midvision.cli.terminal import PlainProgress
from midvision.core.features import EncoderInfo, FeaturePlan, Features, LayerInfo
from midvision.core.items import Dataset, DenseItem, Image, Target
from midvision.core.settings import stable_hash
from midvision.core.specs import DataSpec, ProbeSpec
from midvision.data import card as cards
from midvision.results.query import Results
from midvision.run.front import evaluate
from midvision.run.options import RunOptions

TESTS = Path(__file__).parents[1]
CHECKS: Mapping[str, Sequence[str]] = {
    "1. layer indices of 12 and 24 blocks": ["encoders/test_plan.py::test_default_layers"],
    "2. parameter counts and output sizes of the heads": [
        "probes/test_decoders.py::test_parameter_counts_of_dpt",
        "probes/test_decoders.py::test_one_residual_unit_of_512",
        "probes/test_decoders.py::test_output_sizes_of_dpt",
    ],
    "3. learning-rate factor at its ends, its peak and half way down": [
        "probes/test_schedule.py::test_factor_at_the_ends_and_in_the_middle"
    ],
    "4. depth of bins: zero logits, one dominant logit": [
        "probes/test_probe_losses.py::test_bin_depth_at_zero_and_with_one_dominant_logit"
    ],
    "5. depth loss of a doubled depth": ["probes/test_probe_losses.py::test_depth_loss_of_twice_the_truth"],
    "6. gradient term of constant errors that differ between images": [
        "probes/test_probe_losses.py::test_gradient_term_sees_each_image_alone_unless_axes_are_mistaken",
        "probes/test_probe_losses.py::test_gradient_term_is_the_plain_loop",
    ],
    "7. angular loss at zero angle and raw concentration": [
        "probes/test_probe_losses.py::test_angular_loss_at_zero_angle_and_zero_raw_concentration"
    ],
    "8. per image, then the mean; alignment undoes an affine change": [
        "metrics/test_metrics_depth.py::test_images_weigh_the_same_whatever_their_valid_pixels",
        "metrics/test_metrics_depth.py::test_alignment_recovers_an_affine_change_exactly",
        "contracts/test_decisions_scoring.py::test_batches_weigh_the_same_in_paper_masks",
    ],
    "9. NAVI's depth codes": ["data/test_official_navi.py::test_disparity_codes"],
    "10. matching: equal views, a known shift, few points, full against quarter pixels": [
        "tasks/test_tasks_pairs.py::test_identical_views_match_completely",
        "tasks/test_tasks_pairs.py::test_a_shift_of_features_is_an_error_of_as_many_pixels",
        "tasks/test_tasks_pairs.py::test_a_pair_without_points_is_missing_and_the_rest_counts",
        "tasks/test_tasks_pairs.py::test_errors_in_full_and_quarter_pixels_differ_by_four",
    ],
    "11. VOC's palette: background, object, void": [
        "data/test_truth_files.py::test_voc_masks_are_read_by_index_with_void_apart",
        "data/test_official_voc.py::test_palette_indices_become_background_objects_and_void",
        "contracts/test_decisions_scoring.py::test_void_pixels",
    ],
    "12. 2AFC: which vote means right, ties, enough votes": [
        "metrics/test_metrics_choices.py::test_right_vote_one_means_right",
        "metrics/test_metrics_choices.py::test_ties",
        "tasks/test_tasks_triplets.py::test_ties_in_both_protocols",
        "data/test_official_nights.py::test_votes_sides_splits_and_categories",
    ],
    "13. batch size, logging, workers and the number of processes change no number": [
        "run/test_invariance.py::test_batch_size_workers_and_cache_change_nothing",
        "extraction/test_features_source.py::test_batch_size_workers_and_cache_do_not_change_values",
        "extraction/test_cache_sharing.py::test_two_processes_share_one_cache",
        "probes/test_trained.py::test_stream_batches_company_and_global_state_leave_the_same_bits",
        "contracts/test_section_thirteen.py::test_logging_changes_nothing",
    ],
}


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_its_tests(check: str) -> None:
    """Each named test is there, asserts something, and is neither skipped nor kept out of the usual run."""
    for name in CHECKS[check]:
        file, _, function = name.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
        assert len(found) == 1, name
        marks = [ast.unparse(mark) for mark in found[0].decorator_list]
        assert not any(word in mark for mark in marks for word in ("skip", "xfail", "accept", "realdata")), name
        checks = [ast.unparse(node) for node in ast.walk(found[0]) if isinstance(node, ast.Assert | ast.Call)]
        assert any(text.startswith(("assert", "np.testing", "torch.testing", "same(", "matches(")) for text in checks)


def test_all_thirteen_are_listed() -> None:
    assert [int(check.split(".")[0]) for check in CHECKS] == list(range(1, 14))


# Logging: the reference's results change with it, since only its picture logging switches a network's mode.


class Cells:
    """Colour means per cell; `mode` would tell a change of mode by what is said meanwhile."""

    key = name = "cells"
    info = EncoderInfo((LayerInfo(3, 8, 4.0),) * 4, "stages", 0, 3, False, 0, (0.0,) * 3, (1.0,) * 3, 8, 0)  # type: ignore[arg-type]

    def for_dataset(self, dataset: Dataset) -> Cells:
        return self

    def encode(self, ids: Sequence[str], images: torch.Tensor, plan: FeaturePlan) -> Features:
        cells = torch.nn.functional.avg_pool2d(images, 8)
        return Features(tuple(cells.clone() for _ in plan.layers), None)


def small_world(request: cards.Request) -> Dataset:
    names = [f"{request.split}{number}" for number in range(8)]

    def picture(name: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(int(stable_hash(name)[:8], 16))
        return torch.rand((3, 32, 32), generator=generator)

    images = {n: Image(n, lambda n=n: picture(n), lambda n=n: stable_hash(n)) for n in names}
    valid = torch.ones((1, 32, 32), dtype=torch.bool)
    items = [DenseItem(n, n, n, lambda n=n: Target(1 + picture(n)[:1], valid)) for n in names]
    return Dataset("small", "1", request.content, request.split, images, items, request.split, (32, 32))


def test_logging_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = {**cards.all_sets(), "small": cards.DataCard("small", "1", "small", ("depth",), "", "", {}, small_world)}
    monkeypatch.setattr(cards, "all_sets", lambda: known)

    def run(label: str, **changes: object) -> Results:
        options = RunOptions(output=tmp_path / label, cache_folder=tmp_path / f"{label}-features")
        probes = ["ridge", ProbeSpec(name="linear", steps=6)]
        return evaluate(
            Cells(),
            "depth",
            data=DataSpec(set="small", path="small"),
            probe=probes,
            options=replace(options, **changes),  # type: ignore[arg-type]
        )

    said = io.StringIO()
    quiet = run("quiet")
    with redirect_stderr(said):
        loud = run("loud", progress=PlainProgress(every_s=0.0), command="midvision run -v")
    assert "encode images" in said.getvalue()
    for one, two in zip(quiet, loud, strict=True):
        left, right = one.scores().columns, two.scores().columns
        assert left.keys() == right.keys()
        for column, values in left.items():
            np.testing.assert_array_equal(values, right[column], err_msg=column)
