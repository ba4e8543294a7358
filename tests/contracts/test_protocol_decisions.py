"""`paper` against `corrected`: every decision that differs gives different numbers on a constructed item.

A test is registered under the field it proves. `test_every_differing_field_has_a_test` walks the
protocols of all tasks, so a new difference without a test fails.
"""

from __future__ import annotations

import pytest
import test_decisions_scoring  # noqa: F401  (registers its tests)
import test_decisions_training  # noqa: F401
from decision_cases import DEPTH, NORMALS, PROVED, SEG, TASKS, flat

from midvision.tasks import depth, normals


def test_every_differing_field_has_a_test() -> None:
    differing = set()
    for task in TASKS.values():
        paper, corrected = (dict(flat(task.protocols[name].model_dump())) for name in ("paper", "corrected"))
        assert set(paper) == set(corrected)
        differing |= {field for field in paper if paper[field] != corrected[field]} - {"name"}
    assert differing == set(PROVED)


def test_scoring_dictionaries_are_what_their_settings_classes_say() -> None:
    classes = {"segmentation": SEG, "depth": DEPTH, "normals": NORMALS}
    from midvision.tasks import segmentation

    for name, kind in (
        ("segmentation", segmentation.MaskScoring),
        ("depth", depth.DepthScoring),
        ("normals", normals.NormalScoring),
    ):
        for protocol in classes[name].protocols.values():
            assert kind.model_validate(protocol.scoring).model_dump(mode="json") == protocol.scoring
            with pytest.raises(ValueError):
                kind.model_validate({**protocol.scoring, "unknown": 1})
