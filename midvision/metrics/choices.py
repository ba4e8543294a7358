"""Two-alternative forced choice: agreement of one choice with the judges."""

from __future__ import annotations

from typing import Literal

Tie = Literal["half", "right"]


def right_choice(similarity_left: float, similarity_right: float, tie: Tie) -> float:
    """1 if right is chosen, 0 if left; equal similarities give 0.5, or 1 where a tie counts as right."""
    if similarity_left == similarity_right:
        return 0.5 if tie == "half" else 1.0
    return 1.0 if similarity_right > similarity_left else 0.0


def agreement(choice: float, right_share: float) -> float:
    """Share of the judges that agree; `choice` 0.5 scores the mean of both answers."""
    return choice * right_share + (1.0 - choice) * (1.0 - right_share)


def choice_counts(choice: float, right_share: float) -> dict[str, float]:
    """Counts with "right" as the positive class; sums of them give F1, precision and recall.

    The truth is the majority; an even split has none and counts nowhere.
    """
    if right_share == 0.5:
        return dict.fromkeys(("right_hits", "right_chosen", "right_true", "f1_hits", "f1_all"), 0.0)
    true = 1.0 if right_share > 0.5 else 0.0
    hits = choice * true
    return {
        "right_hits": hits,
        "right_chosen": choice,
        "right_true": true,
        "f1_hits": 2 * hits,
        "f1_all": choice + true,
    }
