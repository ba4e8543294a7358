"""What publishers' own pages say of the comparison's models: paper, year, ImageNet accuracy. Loads no torch.

Accuracies are top-1 in per cent, of this very file, as its publisher measured them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from midvision.zoo.card import Known, Unknown

_NOT_GIVEN = Unknown("the publisher's table does not give it")
_VISSL = "github.com/facebookresearch/vissl MODEL_ZOO.md at 09270ed"
_SWAV = "github.com/facebookresearch/swav README.md"
_DINO = "github.com/facebookresearch/dino README.md"
_MOCO3 = "github.com/facebookresearch/moco-v3 README.md"
_MAE = "github.com/facebookresearch/mae"
_IBOT = "github.com/bytedance/ibot README.md"
_MM = "github.com/open-mmlab/mmselfsup configs/selfsup"
_SIMSIAM = "github.com/facebookresearch/simsiam README.md"
_BARLOW = "github.com/facebookresearch/barlowtwins README.md"
_DENSECL = "github.com/WXinlong/DenseCL README.md"


@dataclass(frozen=True, slots=True)
class Row:
    """A model's paper as arXiv's number, and the pages where it and the accuracies are named."""

    number: str
    page: str
    linear: float | None = None
    knn: float | None = None
    table: str = ""


ROWS = {
    "jigsaw_resnet50": Row("1603.09246", _VISSL, 48.57),
    "rotnet_resnet50": Row("1803.07728", _VISSL, 48.2),
    "npid_resnet50": Row("1805.01978", _VISSL, 54.99),
    "npid_pp_resnet50": Row("1912.01991", _VISSL, 56.68),
    "pirl_resnet50": Row("1912.01991", _VISSL, 64.29),
    "clusterfit_resnet50": Row("1912.03330", _VISSL, 53.63),
    "simclr_resnet50": Row("2002.05709", _VISSL, 68.8),
    "swav_resnet50": Row("2006.09882", _SWAV, 75.3),
    "deepclusterv2_resnet50": Row("2006.09882", _SWAV, 75.2),
    "selav2_resnet50": Row("2006.09882", _SWAV, 71.8),
    "dino_resnet50": Row("2104.14294", _DINO, 75.3, 67.5),
    "dino_vitb16": Row("2104.14294", _DINO, 78.2, 76.1),
    "mocov3_resnet50": Row("2104.02057", _MOCO3, 74.6),
    "mocov3_vitb16": Row("2104.02057", _MOCO3, 76.7),
    "mae_vitb16": Row(
        "2111.06377", f"{_MAE} README.md", 67.8, table=f"{_MAE} FINETUNE.md: linear probing, this repository"
    ),
    "ibot_vitb16": Row("2111.07832", _IBOT, 79.5, 77.1),
    "simsiam_resnet50": Row("2011.10566", f"{_MM}/simsiam/README.md", 69.8),
    "simsiam_resnet50_100ep": Row("2011.10566", _SIMSIAM, 68.1),
    "barlowtwins_resnet50": Row("2103.03230", f"{_MM}/barlowtwins/README.md", 71.8),
    "barlowtwins_resnet50_1000ep": Row("2103.03230", _BARLOW, 73.5),
    "maskfeat_vitb16": Row("2112.09133", f"{_MM}/maskfeat/README.md"),
    "densecl_resnet50": Row("2011.09157", _DENSECL),
    "mocov2_resnet50": Row("2003.04297", "github.com/facebookresearch/moco README.md", 71.1),
    "byol_resnet50": Row("2006.07733", "github.com/yaox12/BYOL-PyTorch readme.md", 72.29),
}


def published(id: str) -> dict[str, Any]:
    """The facts of a card that its publisher's pages give; nothing where they were not opened."""
    row = ROWS.get(id)
    if row is None:
        return {}
    table = row.table or row.page
    return {
        "paper": Known(f"arXiv {row.number}", row.page),
        "year": Known(2000 + int(row.number[:2]), f"arXiv {row.number}, by its number"),
        "linear_top1": _NOT_GIVEN if row.linear is None else Known(row.linear, table),
        "knn_top1": _NOT_GIVEN if row.knn is None else Known(row.knn, table),
    }
