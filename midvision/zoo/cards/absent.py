"""What people ask for and no route reaches, and what needs a file of one's own: listed with the reason."""

from __future__ import annotations

from midvision.zoo.beyond import unavailable

_OWN = "run the backbone with file:PATH?arch=NAME"
_INSIDE = f"the backbone lies inside a larger network's file, for which no layout is written; extract it and {_OWN}"
_NONE = "no official weights were found"
_DIFFUSION = "a diffusion network over latents and time steps, which has no reading as an encoder here"

CARDS = (
    unavailable("cim_vitb16", "CIM ViT-B/16", _NONE, ""),
    unavailable("tico_resnet50", "TiCo ResNet-50", f"{_NONE}; only unofficial code exists", ""),
    unavailable("soda", "SODA", _NONE, ""),
    unavailable(
        "obow_resnet50",
        "OBoW ResNet-50",
        "the checkpoint is published inside an archive, which is not opened here; unpack it and run the file inside "
        "with file:PATH?arch=resnet50",
        "github.com/valeoai/obow",
    ),
    unavailable(
        "dora_vits16",
        "DoRA ViT-S/16",
        "four files on a drive, whose addresses were not read; with one of them, "
        "file:PATH?arch=vit_small_patch16_224&prefix=teacher",
        "",
    ),
    *(
        unavailable(
            f"mvp_vit{size}16",
            f"MVP ViT-{size.upper()}/16",
            "the publisher's links lead to pages of a file box, not to files; "
            "with the file, file:PATH?arch=NAME (the small one has twelve heads, which no architecture of timm has)",
            "berkeley.box.com",
        )
        for size in "sbl"
    ),
    unavailable(
        "simmim_swinb", "SimMIM Swin-B", "no layout is written for its Swin files", "github.com/microsoft/SimMIM"
    ),
    unavailable("midas_dpt_large", "MiDaS DPT-Large", _INSIDE, "github.com/intel-isl/MiDaS"),
    unavailable("midas_dpt_beit_l512", "MiDaS DPT-BEiT-L, 512 px", _INSIDE, "github.com/intel-isl/MiDaS"),
    unavailable("vggt_1b", "VGGT 1B", _INSIDE, "huggingface.co/facebook/VGGT-1B"),
    unavailable(
        "dift_sd21", "DIFT, Stable Diffusion 2.1", _DIFFUSION, "huggingface.co/stabilityai/stable-diffusion-2-1"
    ),
    unavailable("zero123", "Zero123", _DIFFUSION, "cv.cs.columbia.edu/zero123"),
)
