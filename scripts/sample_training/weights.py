"""Writes what `open_clip.create_model_and_transforms("local-dir:…")` reads."""

import json
from pathlib import Path

import torch
from open_clip import CLIP
from safetensors.torch import save_file
from torch import Tensor

from sample_training.architecture import MODEL_CFG, PREPROCESS_CFG


def save(model: CLIP, folder: Path) -> None:
    """Writes config and weights; each file appears whole or not at all.

    Weights are float16, to be half as large: open_clip copies them into its float32 parameters.
    Batch norm's statistics stay float32, since a variance may lie outside float16's range.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "open_clip_model.safetensors"
    part = weights.with_suffix(".part")
    save_file({name: _compact(name, value) for name, value in model.state_dict().items()}, part)
    part.chmod(0o644)  # safetensors lets only its writer read
    part.replace(weights)
    config = folder / "open_clip_config.json"
    part = config.with_suffix(".part")
    text = json.dumps({"model_cfg": MODEL_CFG, "preprocess_cfg": PREPROCESS_CFG}, indent=2)
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(config)


def _compact(name: str, value: Tensor) -> Tensor:
    keep = "running_" in name or not value.is_floating_point()
    return value.detach().to(value.dtype if keep else torch.float16).contiguous()
