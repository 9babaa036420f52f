"""The text tower, cut at the end of the text, against open_clip's own encode_text."""

import copy
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from embeddings.openclip.building import Built
from embeddings.openclip.encoder import OpenClipEncoder
from embeddings.openclip.text import CutTextTower, WholeTextTower, text_tower

TEXTS = ["", "lemon", "two red apples on the grass", "ü 🍋 " * 60, "word " * 75, "word " * 76]


def model(**text: Any) -> Any:
    """A small CLIP of the usual kind, with random weights."""
    torch.manual_seed(0)
    tower = {"context_length": 77, "width": 64, "heads": 2, "layers": 3, **text}
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    return open_clip.CLIP(32, vision, tower, quick_gelu=True).eval()


def encoder(built: Any, precision: str = "fp32") -> OpenClipEncoder:
    preprocess = {"size": 32, "mean": (0.5, 0.5, 0.5), "std": (0.3, 0.3, 0.3)}
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    parts = Built(copy.deepcopy(built), tokenizer, preprocess, "small/random")
    return OpenClipEncoder(parts, device="cpu", precision=precision)


@torch.inference_mode()
def reference(built: Any, texts: list[str]) -> np.ndarray:
    tokens = open_clip.get_tokenizer("ViT-B-32")(texts)
    features: np.ndarray = built.encode_text(tokens, normalize=True).numpy()
    return features


@pytest.mark.parametrize("text", [{}, {"pool_type": "eos", "eos_id": 49407}])
def test_the_same_embedding_alone_and_together(text: dict[str, Any]) -> None:
    built = model(**text)
    assert isinstance(text_tower(built), CutTextTower)
    ours = encoder(built)
    expected = reference(built, TEXTS)
    assert np.abs(ours.encode_texts(TEXTS) - expected).max() < 1e-5
    for one, row in zip(TEXTS, expected, strict=True):
        assert np.abs(ours.encode_texts([one])[0] - row).max() < 1e-5


@pytest.mark.parametrize("text", [{"no_causal_mask": True}, {"pool_type": "last"}])
def test_towers_that_cannot_be_cut_run_whole(text: dict[str, Any]) -> None:
    built = model(**text)
    assert isinstance(text_tower(built), WholeTextTower)
    expected = reference(built, TEXTS)
    assert np.abs(encoder(built).encode_texts(TEXTS) - expected).max() < 1e-5


def test_only_as_many_positions_are_computed_as_the_longest_text_takes() -> None:
    lengths: list[int] = []
    tower = CutTextTower(model())
    tower.transformer.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    tokenize = open_clip.get_tokenizer("ViT-B-32")
    tower(tokenize(["two red apples on the grass"]))
    tower(tokenize(["lemon", "a lemon"]))
    tower(tokenize(["word " * 200]))
    assert lengths == [8, 4, 77]


def test_the_format_that_is_chosen_keeps_the_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    built = model()
    expected = reference(built, TEXTS)
    assert np.abs(encoder(built, "auto").encode_texts(TEXTS) - expected).max() < 1e-5
    monkeypatch.setattr("embeddings.openclip.encoder.LARGE_TEXT_TOWER", 0)
    chosen = encoder(built, "auto")
    assert (chosen.encode_texts(TEXTS) * expected).sum(axis=1).min() > 0.99
    # The image tower is measured on its own, and not touched by the text tower's choice.
    assert chosen.encode_images([Image.new("RGB", (40, 40))]).shape == (1, 32)


def test_which_texts_are_cut() -> None:
    ours = encoder(model())
    assert [ours.is_cut(text) for text in TEXTS] == [False, False, False, True, False, True]


def test_the_scale_is_the_model_s_own() -> None:
    built = model()
    assert encoder(built).logit_scale == pytest.approx(float(built.logit_scale.detach().exp()))
