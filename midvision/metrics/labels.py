"""Classification of one image: is the true class among the k highest?"""

from __future__ import annotations

from torch import Tensor


def top_k_hit(logits: Tensor, label: int, k: int = 1) -> float:
    """Expected hit of the true class of `logits [n_classes]` under random order among equals.

    Classes with the very same logit share what places are left, so constant logits score k / n_classes.
    """
    own = logits[label]
    above = int((logits > own).sum())
    equal = int((logits == own).sum())
    return min(1.0, max(0.0, (k - above) / equal))
