"""Encoders on GPUs, which are imitated: nothing stays behind on the CPU, and no result differs."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from imitation_card import Cards, CardTensor, imitated_cards
from PIL import Image

from embeddings.errors import DeviceFailed, DeviceUnavailable
from embeddings.load import load_encoder
from embeddings.openclip.building import Built
from embeddings.openclip.encoder import OpenClipEncoder
from indexer.caption import Weights, mix

TEXTS = ["lemon", "two red apples on the grass", ""]
VISION = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16}
TEXT = {"context_length": 77, "width": 64, "heads": 2, "layers": 2}


def _clip(**text: Any) -> Any:
    return open_clip.CLIP(32, VISION, {**TEXT, **text}, quick_gelu=True)


def _custom(**text: Any) -> Any:
    return open_clip.CustomTextCLIP(32, VISION, {**TEXT, **text})


def _coca() -> Any:
    text = {**TEXT, "context_length": 76, "embed_cls": True, "output_tokens": True}
    decoder = {"context_length": 76, "width": 64, "heads": 2, "layers": 1}
    vision = {**VISION, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}
    return open_clip.CoCa(32, decoder, text, vision)


KINDS: dict[str, Callable[[], Any]] = {
    "cut": _clip,
    "pooled at eos": lambda: _clip(pool_type="eos", eos_id=49407),
    "without a mask": lambda: _clip(no_causal_mask=True),
    "pooled at the last": lambda: _clip(pool_type="last"),
    "a ResNet": lambda: open_clip.CLIP(
        32, {**VISION, "layers": [1, 1, 1, 1], "width": 16, "image_size": 64}, TEXT
    ),
    "a text tower of its own": _custom,
    "sigmoid loss": lambda: _custom(no_causal_mask=True, proj_bias=True, pool_type="last"),
    "captioner": _coca,
}


@pytest.fixture
def cards() -> Iterator[Cards]:
    with imitated_cards() as imitated:
        yield imitated


def built(kind: str) -> Built:
    torch.manual_seed(0)
    size = 64 if kind == "a ResNet" else 32
    preprocess = {"size": size, "mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}
    length = 76 if kind == "captioner" else 77
    tokenizer = open_clip.SimpleTokenizer(context_length=length)
    return Built(KINDS[kind]().eval(), tokenizer, preprocess, f"{kind}/random")


def pictures(count: int = 3) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (48, 40, 3), dtype=np.uint8))] + [
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(count - 1)
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "auto"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_card_gives_what_the_processor_gives(
    kind: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = OpenClipEncoder(built(kind), device="cpu", precision="fp32")
    images, texts = reference.encode_images(pictures()), reference.encode_texts(TEXTS)
    monkeypatch.setattr("embeddings.openclip.encoder.LARGE_TEXT_TOWER", 0)
    with imitated_cards():
        encoder = OpenClipEncoder(built(kind), device="card:1", precision=precision)
        least = 0.99999 if precision == "fp32" else 0.99
        assert (encoder.encode_images(pictures()) * images).sum(axis=1).min() > least
        assert (encoder.encode_texts(TEXTS) * texts).sum(axis=1).min() > least
        left_behind = [t for t in _reachable_tensors(encoder) if not isinstance(t, CardTensor)]
        assert not left_behind
        assert {str(t.device) for t in _reachable_tensors(encoder)} == {"card:1"}


def _reachable_tensors(encoder: OpenClipEncoder) -> list[torch.Tensor]:
    """Every tensor that an encoder holds in any attribute, list or dict, however deep."""
    found: dict[int, torch.Tensor] = {}
    seen: set[int] = set()
    waiting: list[Any] = [encoder]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type) or type(thing).__name__ == "module":
            continue
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            found[id(thing)] = thing
        elif isinstance(thing, dict | list | tuple | set):
            waiting += thing.values() if isinstance(thing, dict) else thing
        elif hasattr(thing, "__self__"):  # a bound method
            waiting.append(thing.__self__)
        else:
            waiting += list(getattr(thing, "__dict__", {}).values())
    return list(found.values())


def test_the_shipped_encoder_with_captions_mixed_in(cards: Cards, tmp_path: Path) -> None:
    def load(device: str, precision: str) -> Any:
        return load_encoder("sample", None, models_dir=tmp_path, device=device, precision=precision)

    reference, one = load("cpu", "fp32"), load("card", "bf16")
    expected = reference.encode_images(pictures(5))
    assert (one.encode_images(pictures(5)) * expected).sum(axis=1).min() > 0.99
    texts = reference.encode_texts(TEXTS)
    assert (one.encode_texts(TEXTS) * texts).sum(axis=1).min() > 0.99
    captions = [Weights(1.0, 0.5).caption_of(text) for text in ("a lemon", "", "two")]
    mixed = [mix(e.encode_images(pictures()), captions, e.encode_texts) for e in (reference, one)]
    assert (mixed[0] * mixed[1]).sum(axis=1).min() > 0.99


def test_memory_that_runs_out_halves_the_batch_and_is_told_once(
    cards: Cards, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = OpenClipEncoder(built("cut"), device="card", precision="fp32", batch_size=16)
    expected = encoder.encode_images(pictures(20))
    cards.memory_for = 5
    with caplog.at_level(logging.WARNING):
        found = encoder.encode_images(pictures(20))
        again = encoder.encode_images(pictures(20))
    assert np.allclose(found, expected, atol=1e-6)
    assert np.allclose(again, expected, atol=1e-6)
    assert encoder.batch_size == 4
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "card is out of memory: going on with batches of 8",
        "card is out of memory: going on with batches of 4",
    ]


def test_memory_for_few_texts_leaves_the_batches_of_images(
    cards: Cards, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = OpenClipEncoder(built("cut"), device="card", precision="fp32", batch_size=16)
    texts = [f"{number} lemons" for number in range(20)]
    expected = encoder.encode_texts(texts)
    cards.memory_for = 3
    assert np.allclose(encoder.encode_texts(texts), expected, atol=1e-6)
    assert encoder.batch_size == 16
    assert not caplog.records


def test_memory_for_not_even_one_is_an_error_in_one_line(cards: Cards) -> None:
    encoder = OpenClipEncoder(built("cut"), device="card", precision="fp32", batch_size=4)
    encoder.encode_images(pictures())
    cards.memory_for = 0
    with pytest.raises(DeviceUnavailable, match=r"does not fit in the memory of card; use --dev"):
        encoder.encode_images(pictures())


@pytest.mark.parametrize("ask", ["encode_images", "encode_texts"])
def test_a_card_that_fails_is_an_error_in_one_line(cards: Cards, ask: str) -> None:
    encoder = OpenClipEncoder(built("cut"), device="card", precision="fp32")
    encoder.encode_images(pictures())
    cards.fails = True
    with pytest.raises(DeviceFailed, match=r"card failed while it encoded \(CUDA error") as caught:
        getattr(encoder, ask)(pictures() if ask == "encode_images" else TEXTS)
    assert "\n" not in str(caught.value)


def test_a_gpu_gets_the_next_batch_before_the_last_one_is_done(cards: Cards) -> None:
    on_card = OpenClipEncoder(built("cut"), device="card", precision="fp32")
    here = OpenClipEncoder(built("cut"), device="cpu", precision="fp32")
    assert (on_card.batches_at_once, here.batches_at_once) == (2, 1)
