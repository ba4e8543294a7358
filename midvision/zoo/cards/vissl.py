"""Models of the VISSL zoo: Jigsaw, RotNet, NPID, NPID++, PIRL, ClusterFit, SimCLR."""

from __future__ import annotations

from midvision.zoo.card import Known, Paradigm
from midvision.zoo.sources import Publisher, Told, card_of, file_at

_AT = "github.com/facebookresearch/vissl"
_VISSL = Publisher(repository=_AT, licence=Known("MIT", _AT))
_ZOO = "https://dl.fbaipublicfiles.com/vissl/model_zoo"
_TRUNK = Known(
    "torch pickle; classy_state_dict, base_model, model, trunk, names after _feature_blocks.; heads in a sibling dict",
    f"{_AT}, midvision-probe and ssl_eval_protocols, which load strictly",
    "inferred",
)


def _told(
    id: str,
    method: str,
    paradigm: Paradigm,
    objective: str,
    file: str,
    *oddities: str,
    mirror: str = "",
    epochs: int | None = None,
    border: str | None = None,
    container: Known[str] = _TRUNK,
) -> Told:
    return Told(
        id=id,
        method=method,
        paradigm=paradigm,
        objective=objective,
        layout="vissl",
        container=container,
        file=file_at(_VISSL, f"{_ZOO}/{file}", *([f"{_ZOO}/{mirror}"] if mirror else [])),
        epochs=epochs,
        border_paradigm=border,
        oddities=tuple(Known(text, _AT) for text in oddities),
    )


CARDS = tuple(
    card_of(_VISSL, told)
    for told in (
        _told(
            "jigsaw_resnet50",
            "Jigsaw",
            "pretext",
            "permutation of nine patches",
            "jigsaw_rn50_in1k_ep105_perm2k_jigsaw_8gpu_resnet_17_07_20.db174a43/model_final_checkpoint_phase104.torch",
            "The folder says 2k permutations; the zoo's table and benchmark file label this hash 100 permutations.",
            "Trained on grey images with probability 0.66 and on patches: no batch-norm statistics of whole images.",
            epochs=105,
        ),
        _told(
            "rotnet_resnet50",
            "RotNet",
            "pretext",
            "rotation",
            "rotnet_rn50_in1k_ep105_rotnet_8gpu_resnet_17_07_20.46bada9f/model_final_checkpoint_phase125.torch",
            "Batch-norm statistics come from rotated crops.",
            epochs=105,
        ),
        _told(
            "npid_resnet50",
            "NPID",
            "instance discrimination",
            "instance discrimination, 4k negatives",
            "converted_vissl_rn50_npid_lemniscate_neg4k_stepLR_8gpu.torch",
            "Values are numpy arrays; whether batch counters are in the file is not known, both are taken.",
            "The licence of the original lemniscate weights was not checked.",
            container=Known(
                "torch pickle; model_state_dict, numpy arrays after _feature_blocks., beside a 128-d embedding fc",
                f"{_AT}, midvision-probe and ssl_eval_protocols, which load strictly",
                "inferred",
            ),
        ),
        _told(
            "npid_pp_resnet50",
            "NPID++",
            "instance discrimination",
            "instance discrimination, 32k negatives",
            "npid_pp/4node_800ep_32kneg_cosine_resnet_23_07_20.75432662/model_final_checkpoint_phase799.torch",
            "The benchmark file spells the folder of the same hash otherwise; whether that link lives is not known.",
            epochs=800,
        ),
        _told(
            "pirl_resnet50",
            "PIRL",
            "instance discrimination",
            "instance discrimination, invariant to the pretext task",
            "pirl_jigsaw_4node_pirl_jigsaw_4node_resnet_22_07_20.34377f59/model_final_checkpoint_phase799.torch",
            "Not the PyContrast model of the same method.",
            border="pretext",
        ),
        _told(
            "clusterfit_resnet50",
            "ClusterFit",
            "clustering",
            "classification into 16k clusters of RotNet features",
            "converted_vissl_rn50_rotnet_16kclusters_in1k_ep105.torch",
            "Laid out as VISSL's own training files although its name says converted.",
        ),
        _told(
            "simclr_resnet50",
            "SimCLR",
            "contrastive and joint embedding",
            "contrastive",
            "simclr_rn50_1000ep_simclr_8node_resnet_16_07_20.afe428c7/model_final_checkpoint_phase999.torch",
            "VISSL normalises SimCLR's input; Google's own weights, which take [0, 1], are another model.",
            epochs=1000,
        ),
    )
)
