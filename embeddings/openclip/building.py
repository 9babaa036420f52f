"""Build an open_clip model with its weights, or not at all: never with random ones."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from torch.overrides import TorchFunctionMode

from embeddings.errors import UnknownModel, WeightsUnusable
from embeddings.models import SAMPLE, canonical
from embeddings.openclip.torchscript import StateDict
from embeddings.openclip.weights import find_checkpoint, read_state_dict, sha256

SAMPLE_DIR = Path(__file__).parent.parent / "sample"


@dataclass(frozen=True)
class Built:
    """A model in float32 on the CPU, in evaluation mode, and what belongs to it."""

    model: Any
    """One of open_clip's CLIP classes."""
    tokenizer: Any
    """Texts in, int64 tokens of shape ``(n, context_length)`` out."""
    preprocess: dict[str, Any]
    """open_clip's ``PreprocessCfg`` as a dict: size, mean, std, interpolation, …"""
    model_id: str


def build(name: str, pretrained: str | None, models_dir: Path) -> Built:
    """Build the model of a name (see ``embeddings.models``) with the weights of ``pretrained``.

    Raises UnknownModel, WeightsNotFound or WeightsUnusable.
    """
    if name == SAMPLE:
        return _build_sample()
    architecture, pretrained = canonical(name, pretrained)
    if open_clip.get_model_config(architecture) is None:
        raise UnknownModel(
            f"neither OpenAI nor open_clip has a model {name!r}; "
            "image-search models lists OpenAI's, open_clip.list_models() the others"
        )
    checkpoint = find_checkpoint(architecture, pretrained, models_dir)
    tensors, from_openai = read_state_dict(checkpoint.path)
    # OpenAI trained with QuickGELU. open_clip only warns where a model is built without it, and
    # its embeddings are then wrong.
    quick_gelu = from_openai or bool(checkpoint.config.get("quick_gelu"))
    with _SkipInitialisation(), _quiet_root_logger():
        model = open_clip.create_model(
            architecture,
            load_weights=False,
            pretrained_image=False,
            pretrained_text=False,
            force_quick_gelu=quick_gelu,
        )
    _load(model, tensors, checkpoint.path, name)
    statistics = ("mean", "std", "interpolation", "resize_mode")
    preprocess = {**open_clip.get_model_preprocess_cfg(model)}
    preprocess.update({k: v for k, v in checkpoint.config.items() if k in statistics})
    return Built(
        model.eval(),
        open_clip.get_tokenizer(architecture),
        preprocess,
        f"{architecture}/{checkpoint.label}",
    )


def _build_sample() -> Built:
    weights = SAMPLE_DIR / "open_clip_model.safetensors"
    source = f"local-dir:{SAMPLE_DIR}"
    with _quiet_root_logger():
        model = open_clip.create_model(source, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(source)
    preprocess = open_clip.get_model_preprocess_cfg(model)
    return Built(model.eval(), tokenizer, preprocess, f"{SAMPLE}/sha256:{sha256(weights)[:16]}")


def _load(model: torch.nn.Module, tensors: StateDict, path: Path, name: str) -> None:
    """Fill every parameter, or raise WeightsUnusable with the first tensor that does not fit."""
    tensors = convert_state_dict(model, dict(tensors))
    if "positional_embedding" in tensors and not hasattr(model, "positional_embedding"):
        tensors = convert_to_custom_text_state_dict(tensors)
    expected = model.state_dict()
    # Kept as a scalar or as one element, by different versions of open_clip.
    for scalar in ("logit_scale", "logit_bias"):
        if scalar in tensors and scalar in expected:
            tensors[scalar] = tensors[scalar].reshape(expected[scalar].shape)
    reason = _first_difference(expected, tensors)
    if reason:
        raise WeightsUnusable(
            f"{path} does not hold weights for {name}: {reason}; "
            "give --model the name of the model that the file belongs to"
        )
    model.load_state_dict(tensors, strict=True)


def _first_difference(expected: StateDict, found: StateDict) -> str:
    for key, tensor in expected.items():
        if key not in found:
            return f"{key} is missing"
        if found[key].shape != tensor.shape:
            return f"{key} has shape {tuple(found[key].shape)} instead of {tuple(tensor.shape)}"
    extra = next((key for key in found if key not in expected), None)
    return f"{extra} is not part of the model" if extra else ""


class _SkipInitialisation(TorchFunctionMode):
    """Leaves new parameters as they are: all are filled from a checkpoint right afterwards.

    Random initialisation is nearly all of the time that building takes (ViT-L/14: 6 s of 6).
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if getattr(func, "__name__", "") in ("normal_", "uniform_"):
            return args[0]
        return func(*args, **kwargs)


@contextlib.contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """open_clip warns on the root logger of weights that are loaded a moment later."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
