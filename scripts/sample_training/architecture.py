"""The shape of the shipped encoder, as open_clip's model config has it.

The image tower is a RegNet (Radosavovic et al. 2020) of timm: convolutions, because a few thousand
pictures are too few for a transformer, and this one because it trains fast on a CPU in bfloat16
and ranked better in a short run than regnetx_004, which is larger. The text tower is CLIP's, tiny.
The vocabulary is CLIP's whole, so that open_clip's own tokenizer serves; it is most of the text
tower's size.
"""

from typing import Any, Final

from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

IMAGE_PX: Final = 128
DIM: Final = 768
CONTEXT: Final = 32

MODEL_CFG: Final[dict[str, Any]] = {
    "embed_dim": DIM,
    "vision_cfg": {
        "timm_model_name": "regnety_004",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "image_size": IMAGE_PX,
    },
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": 49408,
        "width": 40,
        "heads": 2,
        "layers": 2,
    },
}
PREPROCESS_CFG: Final[dict[str, Any]] = {
    "size": IMAGE_PX,
    "mode": "RGB",
    "mean": list(OPENAI_DATASET_MEAN),
    "std": list(OPENAI_DATASET_STD),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
