"""BEiT, BEiT v2, data2vec and SimMIM: masked modelling in BEiT's network, with relative positions."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, Family, arxiv, from_file, from_transformers
from midvision.zoo.card import HALF, IMAGENET, FromFile, Known, Source, Unknown
from midvision.zoo.sources import IN1K

_BEIT_AT = "github.com/microsoft/unilm beit/README.md"
_BEIT = Family(
    method="BEiT",
    objective="masked modelling of visual words",
    at=_BEIT_AT,
    licence=Known("MIT", "github.com/microsoft/unilm, header of beit2/modeling_pretrain.py"),
    training_data=Known("ImageNet-22K", _BEIT_AT),
    paradigm=Known("masked modelling", _BEIT_AT),
    pixels=Known(HALF, f"{_BEIT_AT}: 0.5 on other data than ImageNet-1K"),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2106.08254", _BEIT_AT),
)
_BEIT2_AT = "github.com/microsoft/unilm beit2/README.md"
_BEIT2 = Family(
    method="BEiT v2",
    objective="masked modelling of visual words learnt from CLIP",
    at=_BEIT2_AT,
    licence=_BEIT.licence,
    training_data=Known(IN1K, _BEIT2_AT),
    paradigm=Known("masked modelling", _BEIT2_AT),
    pixels=Known(IMAGENET, f"{_BEIT_AT}: ImageNet's statistics on ImageNet-1K"),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2208.06366", _BEIT2_AT),
)
_RELEASES = "https://github.com/addf400/files/releases/download"
_BEIT_FILE = Known(
    "torch pickle; model, one table of relative positions for all blocks, lm_head and mask_token beside",
    "github.com/microsoft/unilm beit2/modeling_pretrain.py",
    "inferred",
)
# Pretraining ends in `norm`; timm's network has it with this pooling alone.
_WITH_NORM = {"global_pool": "token"}
_SIZES = {"b": ("base", "ViT-B/16"), "l": ("large", "ViT-L/16")}
_RELATIVE = Unknown("relative positions, resampled as timm does")
_FINE_TUNED = Known("timm's files of this name are fine-tuned with labels; this is the pretrained file.", _BEIT_AT)

_D2V_AT = "transformers 5.23, models/data2vec"
_DATA2VEC = Family(
    method="data2vec",
    objective="masked prediction of a teacher's features",
    at=_D2V_AT,
    licence=Unknown("the repository's statement was not checked"),
    training_data=Unknown("not stated where the source was read"),
)

_SIMMIM_AT = "github.com/microsoft/SimMIM README.md"
_SIMMIM = Family(
    method="SimMIM",
    objective="masked modelling of pixels",
    at=_SIMMIM_AT,
    licence=Known("MIT", "github.com/microsoft/SimMIM LICENSE"),
    training_data=Known(IN1K, _SIMMIM_AT),
    paradigm=Known("masked modelling", _SIMMIM_AT),
    pixels=Known(IMAGENET, "github.com/microsoft/SimMIM data/data_simmim.py"),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2111.09886", _SIMMIM_AT),
)

CARDS = (
    *(
        from_file(
            _BEIT,
            f"beit_vit{size}16",
            words,
            FromFile(f"beit_{name}_patch16_224", "beit", _WITH_NORM),
            Source(
                url=f"{_RELEASES}/v1.0/beit_{name}_patch16_224_pt22k.pth",
                mirrors=(f"https://unilm.blob.core.windows.net/beit/beit_{name}_patch16_224_pt22k.pth",),
            ),
            _BEIT_FILE,
            positions=_RELATIVE,
            oddities=(_FINE_TUNED,),
        )
        for size, (name, words) in _SIZES.items()
    ),
    *(
        from_file(
            _BEIT2,
            f"beitv2_vit{size}16",
            words,
            FromFile(f"beitv2_{name}_patch16_224", "beit", _WITH_NORM),
            Source(
                url=f"{_RELEASES}/BEiT-v2/beitv2_{name}_patch16_224_pt1k.pth",
                mirrors=(
                    "https://conversationhub.blob.core.windows.net/beit-share-public/beitv2/"
                    f"beitv2_{name}_patch16_224_pt1k.pth",
                ),
            ),
            _BEIT_FILE,
            positions=_RELATIVE,
            oddities=(
                _FINE_TUNED,
                Known("Layers for the class token (cls_pt_*) lie beside the network and are dropped.", _BEIT2_AT),
            ),
        )
        for size, (name, words) in _SIZES.items()
    ),
    from_transformers(_DATA2VEC, "data2vec_vitb16", "ViT-B/16", "facebook/data2vec-vision-base"),
    from_file(
        _SIMMIM,
        "simmim_vitb16",
        "ViT-B/16",
        FromFile("beit_base_patch16_224", "simmim", _WITH_NORM),
        Source(url="https://drive.google.com/uc?id=1dJn6GYkwMIcoP3zqOEyW1_iQfpBi8UOw"),
        Known(
            "torch pickle; model, names after encoder., beside a decoder",
            "github.com/microsoft/SimMIM models/simmim.py",
            "inferred",
        ),
        epochs=Known(800, _SIMMIM_AT),
        positions=_RELATIVE,
    ),
)
