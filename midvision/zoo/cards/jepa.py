"""MSN, I-JEPA and V-JEPA 2: prediction in feature space from masked views; the first V-JEPA has no class to load it."""

from __future__ import annotations

from midvision.zoo.beyond import (
    NO_KNN,
    NO_LINEAR,
    OWN_COPY,
    TIMM,
    Family,
    arxiv,
    from_file,
    from_transformers,
    unavailable,
)
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
_VIDEO = "a network over video, for which neither timm nor transformers has a class"

_VJEPA2_AT = "github.com/facebookresearch/vjepa2 README.md"
_VJEPA2 = Family(
    method="V-JEPA 2",
    objective="prediction of masked features in video",
    at=_VJEPA2_AT,
    licence=Known("MIT, parts Apache-2.0", _VJEPA2_AT),
    training_data=Known("internet-scale video", _VJEPA2_AT),
    pixels=Known(IMAGENET, "github.com/facebookresearch/vjepa2 src/datasets/utils/video/transforms_builder.py:23"),
    gated=OWN_COPY,
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2506.09985", _VJEPA2_AT),
)
_AS_A_CLIP = Known(
    "An image is fed as the shortest clip, the same in both frames of one step in time; the publisher's evaluation on "
    "images repeats it sixteen times, which gives eight steps.",
    "github.com/facebookresearch/vjepa2 configs/eval/vitl/in1k.yaml:163",
)
_COUNTS_ROWS = Known(
    "transformers counts rows by the width of the grid of training; here they are counted by the image's, as the "
    "publisher's code does.",
    "github.com/facebookresearch/vjepa2 src/models/utils/modules.py: RoPEAttention",
    "verified",
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
        from_transformers(
            _VJEPA2,
            f"vjepa2_{size}",
            f"{words}, no class token, rotary positions",
            f"facebook/{name}",
            positions=Unknown("rotary positions by whole cells, which have no table to resample"),
            oddities=(_AS_A_CLIP, _COUNTS_ROWS),
        )
        for size, words, name in (
            ("vitl16", "ViT-L/16, 256 px", "vjepa2-vitl-fpc64-256"),
            ("vith16", "ViT-H/16, 256 px", "vjepa2-vith-fpc64-256"),
            ("vitg16", "ViT-g/16, 256 px", "vjepa2-vitg-fpc64-256"),
            ("vitg16_384", "ViT-g/16, 384 px", "vjepa2-vitg-fpc64-384"),
        )
    ),
)
