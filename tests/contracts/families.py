"""The families that the walk takes, cheapest first: one small member of each, at a small size."""

from __future__ import annotations

from typing import Any

from family_walk import Family

# Networks of many sizes, and networks that timm rebuilds for a size.
_TIMM = (
    "test_convnext test_nfnet test_mambaout test_efficientnet test_vit test_vit2 test_vit3 "
    "starnet_s050 mobilenetv3_small_050 mnasnet_small lcnet_035 mobilevit_xxs mobilevitv2_050 edgenext_xx_small "
    "ghostnet_050 ghostnetv3_050 repghostnet_050 dla46_c regnetx_002 regnety_002 fasternet_t0 efficientvit_b0 "
    "efficientvit_m0 iformer_t lcnetv2_small swiftformer_xs inception_next_atto fastvit_t8 pvt_v2_b0 "
    "efficientformerv2_s0 mobileone_s1 rexnet_100 hardcorenas_a hgnetv2_b0 repvit_m1 pit_ti_224 "
    "vit_tiny_patch16_224 deit_tiny_patch16_224 deit_tiny_distilled_patch16_224 eva02_tiny_patch14_224 "
    "vit_tiny_patch16_dinov3_qkvb convit_tiny gmlp_ti16_224 xcit_nano_12_p16_224 tiny_vit_5m_224 coat_lite_tiny "
    "coat_tiny crossvit_tiny_240 shvit_s1 efficientvim_m1 densenet121 levit_128s halonet_h1 dpn48b resnest14d "
    "resnetv2_18 skresnet18 legacy_seresnet18 resnet18 tf_efficientnet_b0 test_coatnet test_maxvit "
    "tnt_s_legacy_patch16_224 visformer_tiny vit_tiny_r_s16_p8_224 ese_vovnet19b_slim cs3darknet_s "
    "poolformer_s12 efficientformer_l1 gcvit_xxtiny cait_xxs24_224 mixer_s32_224 resmlp_12_224 hrnet_w18_small "
    "lowformer_b0 nest_tiny res2net50_14w_8s selecsls42 swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 "
    "swinv2_cr_tiny_224 davit_tiny focalnet_tiny_srf hiera_tiny_224 hieradet_small mvitv2_tiny nextvit_small "
    "rdnet_tiny sequencer2d_s twins_pcpvt_small twins_svt_small vitamin_small_224 vit_relpos_small_patch16_224 "
    "flexivit_small deit3_small_patch16_224 vit_small_patch14_reg4_dinov2 volo_d1_224 convmixer_1024_20_ks9_p14 "
    "inception_v3 xception41 vgg11"
).split()
# What these cannot do is known beforehand: they take one size, or a size that suits their patches.
_NATIVE = {
    "gmlp_ti16_224": (224, 224),
    "mixer_s32_224": (224, 224),
    "resmlp_12_224": (224, 224),
    "tnt_s_legacy_patch16_224": (224, 224),
    "efficientvit_m0": (224, 224),
    "levit_128s": (224, 224),
    "crossvit_tiny_240": (240, 240),
    "eva02_tiny_patch14_224": (112, 112),
    "vit_small_patch14_reg4_dinov2": (112, 112),
    "convmixer_1024_20_ks9_p14": (112, 112),
    "swin_tiny_patch4_window7_224": (224, 224),
}

_S: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 128, "image_size": 64,
}  # fmt: skip
_P16 = {**_S, "patch_size": 16}
_P14 = {**_S, "patch_size": 14}
_STAGES = {"depths": [1, 1, 1, 1], "hidden_sizes": [16, 32, 64, 128]}
_SHIFTED = {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2]}
_HF: dict[str, dict[str, Any]] = {
    "ViT": _P16, "DeiT": _P16, "Beit": _P16, "Data2VecVision": _P16, "Dinov2": _P14, "Dinov2WithRegisters": _P14,
    "DINOv3ViT": {**_P16, "num_register_tokens": 4}, "DINOv3ConvNext": _STAGES, "IJepa": _P16, "ViTMAE": _P16,
    "ViTMSN": _P16, "SiglipVision": _P16, "CLIPVision": _P16, "ChineseCLIPVision": _P16, "MLCDVision": _P16,
    "Aimv2Vision": _P16, "Pixio": _P16, "MetaClip2Vision": _P16, "AltCLIPVision": _P16, "BlipVision": _P16,
    "CLIPSegVision": _P16, "FlavaImage": _P16, "Yolos": {**_P16, "image_size": [64, 64]},
    "DPT": _P16, "VitDet": {**_P16, "window_size": 0},
    "Siglip2Vision": {**_P16, "num_patches": 16}, "Timesformer": _P16, "VideoMAE": _P16, "Vivit": _S,
    "ResNet": {**_STAGES, "embedding_size": 16}, "ConvNext": _STAGES, "ConvNextV2": _STAGES,
    "Swin": {**_SHIFTED, "window_size": 4}, "Swinv2": {**_SHIFTED, "window_size": 4},
    "DonutSwin": {**_SHIFTED, "window_size": 4}, "FocalNet": {"embed_dim": 16, "depths": [1, 1, 1, 1]},
    "RegNet": {**_STAGES, "embedding_size": 16, "groups_width": 16},
    "Bit": {"num_groups": 8, "depths": [1, 1, 1, 1], "hidden_sizes": [32, 64, 64, 128], "embedding_size": 32},
    "MobileNetV1": {"depth_multiplier": 0.25}, "MobileNetV2": {"depth_multiplier": 0.35}, "MobileViT": {},
    "MobileViTV2": {"width_multiplier": 0.5}, "Segformer": {}, "GLPN": {}, "PvtV2": {}, "Pvt": {},
    "EfficientNet": {"width_coefficient": 0.5, "depth_coefficient": 0.5}, "SwiftFormer": {}, "Levit": {},
    "PoolFormer": {}, "TextNet": {}, "HGNetV2": {}, "Cvt": {}, "PPLCNet": {}, "ImageGPT": {"n_layer": 2},
}  # fmt: skip


def _timm(arch: str) -> Family:
    if arch in _NATIVE:
        height, width = _NATIVE[arch]
        return Family(f"timm/{arch}", arch, ((height, width), (height // 2, width)))
    return Family(f"timm/{arch}", arch)


def _transformers(model: str, settings: dict[str, Any]) -> Family:
    if model == "Aimv2Vision":  # has positions for its own size only
        return Family(f"transformers/{model}", model, ((64, 64), (96, 160)), "transformers", settings)
    sizes = ((112, 112), (84, 140)) if settings.get("patch_size") == 14 else ((128, 128), (96, 160))
    return Family(f"transformers/{model}", model, sizes, "transformers", settings)


FAMILIES = {family.name: family for family in (*map(_timm, _TIMM), *(_transformers(*entry) for entry in _HF.items()))}
