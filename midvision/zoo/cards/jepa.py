"""MSN and I-JEPA: prediction in feature space from masked views; their video relatives cannot be read as images."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, TIMM, Family, arxiv, from_file, unavailable
from midvision.zoo.card import IMAGENET, FromFile, Known, Source, Unknown
from midvision.zoo.sources import IN1K

_MSN_AT = "github.com/facebookresearch/msn README.md"
_MSN = Family(
    method="MSN",
    objective="matching of a masked view's prototypes to an unmasked view's",
    at=_MSN_AT,
    licence=Known("CC-BY-NC 4.0", "github.com/facebookresearch/msn LICENSE"),
    training_data=Known(IN1K, _MSN_AT),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2204.07141", _MSN_AT),
)
_MSN_FILE = Known(
    "torch pickle; target_encoder and encoder, names after module., each with a projection fc; prototypes",
    "github.com/facebookresearch/msn src/msn_train.py",
)
_MSN_ROWS = (
    ("msn_vits16", "ViT-S/16", "vit_small_patch16_224", 16, "vits16_800ep", 800),
    ("msn_vitb16", "ViT-B/16", "vit_base_patch16_224", 16, "vitb16_600ep", 600),
    ("msn_vitl16", "ViT-L/16", "vit_large_patch16_224", 16, "vitl16_600ep", 600),
    ("msn_vitb4", "ViT-B/4", "vit_base_patch16_224", 4, "vitb4_300ep", 300),
    ("msn_vitl7", "ViT-L/7", "vit_large_patch16_224", 7, "vitl7_200ep", 200),
)

_IJEPA_AT = "github.com/facebookresearch/ijepa README.md"
_IJEPA = Family(
    method="I-JEPA",
    objective="prediction of masked blocks' features",
    at=_IJEPA_AT,
    licence=Known("CC-BY-NC 4.0", "github.com/facebookresearch/ijepa LICENSE"),
    training_data=Known(IN1K, _IJEPA_AT),
    pixels=Known(IMAGENET, TIMM),
    linear_top1=Unknown("the publisher shows it in a figure"),
    knn_top1=NO_KNN,
    **arxiv("2301.08243", _IJEPA_AT),
)
_IJEPA_FILE = Known(
    "torch pickle; target_encoder and encoder, names after module.; predictor",
    "github.com/facebookresearch/ijepa src/train.py",
)
_CONTEXT = Known("timm's own loader takes the encoder of this file, not the target encoder that is evaluated.", TIMM)
_IJEPA_ROWS = (
    ("ijepa_vith14", "ViT-H/14", "vit_huge_patch14_gap_224", "IN1K-vit.h.14-300e", 300, IN1K),
    ("ijepa_vith16_448", "ViT-H/16, 448 px", "vit_huge_patch16_gap_448", "IN1K-vit.h.16-448px-300e", 300, IN1K),
    ("ijepa_vith14_in22k", "ViT-H/14, ImageNet-22K", "vit_huge_patch14_gap_224", "IN22K-vit.h.14-900e", 66, ""),
    ("ijepa_vitg16_in22k", "ViT-g/16, ImageNet-22K", "vit_giant_patch16_gap_224", "IN22K-vit.g.16-600e", 44, ""),
)
_VIDEO = (
    "a network over video, which takes several frames at once: timm has none, "
    "and the route of transformers feeds single images"
)

CARDS = (
    *(
        from_file(
            _MSN,
            id,
            words,
            FromFile(network, "target-encoder", {} if patch == 16 else {"patch_size": patch}),
            Source(url=f"https://dl.fbaipublicfiles.com/msn/{file}.pth.tar"),
            _MSN_FILE,
            epochs=Known(epochs, _MSN_AT),
            weights_options=("target", "context"),
            positions=Known("bicubic", "github.com/facebookresearch/msn src/deit.py: by scale, without a tenth"),
            oddities=(Known("A conversion at the Hugging Face hub states Apache-2.0.", "facebook/vit-msn-base"),),
        )
        for id, words, network, patch, file, epochs in _MSN_ROWS
    ),
    *(
        from_file(
            _IJEPA,
            id,
            f"{words}, no class token",
            FromFile(network, "target-encoder"),
            Source(url=f"https://dl.fbaipublicfiles.com/ijepa/{file}.pth.tar"),
            _IJEPA_FILE,
            training_data=Known(data or "ImageNet-22K", _IJEPA_AT),
            epochs=Known(epochs, _IJEPA_AT),
            weights_options=("target", "context"),
            positions=Unknown("the stored table is resampled as timm does"),
            oddities=(_CONTEXT,),
        )
        for id, words, network, file, epochs, data in _IJEPA_ROWS
    ),
    *(
        unavailable(f"vjepa_{size}", f"V-JEPA {words}", _VIDEO, "dl.fbaipublicfiles.com/jepa")
        for size, words in (("vitl16", "ViT-L/16"), ("vith16", "ViT-H/16"), ("vith16_384", "ViT-H/16, 384 px"))
    ),
    *(
        unavailable(
            f"vjepa2_{size}",
            f"V-JEPA 2 {words}",
            _VIDEO,
            "github.com/facebookresearch/vjepa2",
            licence=Known("MIT", "github.com/facebookresearch/vjepa2 LICENSE"),
            **arxiv("2506.09985", "github.com/facebookresearch/vjepa2 README.md"),
        )
        for size, words in (
            ("vitl16", "ViT-L/16"),
            ("vith16", "ViT-H/16"),
            ("vitg16", "ViT-g/16"),
            ("vitg16_384", "ViT-g/16, 384 px"),
        )
    ),
)
