"""Reasons and places that many cards share. Loads no torch."""

from __future__ import annotations

from midvision.zoo.card import Known, Unknown

# The list of 22 models and their paradigms, as the paper and its code give them.
PAPER_LIST = "arXiv 2411.17474"
PROBE_CODE = "github.com/UVA-Computer-Vision-Lab/midvision-probe at 984b325"

NOT_FETCHED = Unknown("the file could not be fetched where the card was written; recorded on first download")
NO_REVISION = Unknown("a plain file behind a URL has no revision")
NOT_CHECKED_YEAR = Unknown("not checked")
NOT_CHECKED_PAPER = Unknown("not checked")
NOT_CHECKED_ACCURACY = Unknown("the publisher's table was not checked")
OPEN_FILE = Known(False, "a plain download link of the publisher")

IN1K = "ImageNet-1K"
RESNET50 = "ResNet-50, torchvision v1.5 topology (stride in the 3x3 convolution)"
VITB16 = "ViT-B/16, 224 px grid of 14 x 14 and a class token"
