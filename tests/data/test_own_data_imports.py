"""Listing the readers costs no torch; every card says what it is."""

from __future__ import annotations

import subprocess
import sys

from midvision.data.card import all_sets

READERS = {"folder", "rgbd", "homography", "stereo", "triplets", "labels", "keypoints"}


def test_listing_loads_no_torch() -> None:
    code = "import sys; from midvision.data.card import all_sets; all_sets(); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_every_reader_is_declared_with_helpful_options() -> None:
    cards = all_sets()
    assert set(cards) >= READERS
    for name in READERS:
        card = cards[name]
        assert card.contents
        assert all(len(text) > 10 for text in card.options.values())
        if "pixel_centre" in card.options:
            assert card.pixel_centre in (0.0, 0.5)
        if "pose_direction" in card.options:
            assert card.pose_direction is not None
