"""OpenClipEncoder: the Encoder that runs an open_clip model on this machine."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from embeddings.encoder import Embeddings
from embeddings.errors import DeviceFailed, DeviceUnavailable, first_line
from embeddings.images import ImageTransform
from embeddings.openclip.building import Built, build
from embeddings.openclip.precision import (
    DTYPES,
    Tuning,
    cast,
    choose_device,
    fastest,
    is_out_of_memory,
    tune,
)
from embeddings.openclip.text import text_tower

T = TypeVar("T")
TEXT_BATCH = 64
# While a GPU computes one batch, the next is packed, copied and queued behind it. A processor has
# nothing to gain: its cores are busy with the one.
GPU_BATCHES_AT_ONCE = 2
# As long as the queries that people type; its speed decides the text tower's number format.
PROBE_TEXT = "a photo of five words"
# A text tower with fewer parameters answers in some 10 ms in float32: nobody notices what could be
# saved, and every process finds the same embedding, since none measures.
LARGE_TEXT_TOWER = 100_000_000

log = logging.getLogger(__name__)


class OpenClipEncoder:
    """Encodes with an open_clip model; tensors never leave it but by ``upload``, for benches.

    Safe to call from several threads. With ``precision="auto"`` each tower's format is measured
    when its first picture or text comes, so that a program that needs one does not wait for both.
    """

    def __init__(
        self, built: Built, *, device: str, precision: str, batch_size: int | None = None
    ) -> None:
        self._model = built.model
        self._tokenizer = built.tokenizer
        self.device = choose_device(device)
        self._given_batch_size = batch_size
        self._fitting_batch_size: int | None = None  # known once memory ran out
        self._tuning: Tuning | None = None
        self._precision = precision
        self._text_tower = text_tower(built.model)
        self._texts_tuned = precision != "auto"
        self._lock = threading.Lock()
        self.model_id = built.model_id
        self.image_transform = _transform(built.preprocess)
        self._normalise = Normalise(built.preprocess["mean"], built.preprocess["std"])
        try:
            # All modules move together, and hold every tensor that there is: one held elsewhere
            # would stay behind on the CPU, and the first product with it fail.
            torch.nn.ModuleList([self._model, self._text_tower, self._normalise]).to(self.device)
            for tower in (self._model, self._text_tower):
                cast(tower, self.device, "fp32" if precision == "auto" else precision)
            self.dim = int(self._text_features(["a"]).shape[1])
            self.logit_scale = float(self._model.logit_scale.detach().exp())
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise self._too_large() from error
            reason = first_line(error)
            raise DeviceUnavailable(
                f"{self.model_id} does not run on {self.device} in {precision} ({reason}); "
                "use --precision fp32"
            ) from error

    @classmethod
    def load(
        cls,
        name: str,
        pretrained: str | None,
        *,
        models_dir: Path,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
    ) -> "OpenClipEncoder":
        """Find the weights, build the model, and put it on a device. Raises EncoderError."""
        choose_device(device)  # a missing device is told before a long load
        built = build(name, pretrained, models_dir)
        return cls(built, device=device, precision=precision, batch_size=batch_size)

    @property
    def precision(self) -> str:
        """The image tower's number format: ``fp32``, ``bf16`` or ``fp16``."""
        return self._tuned().precision

    @property
    def batch_size(self) -> int:
        """Images that this encoder takes best at once."""
        wanted = self._given_batch_size or self._tuned().batch_size
        return min(wanted, self._fitting_batch_size or wanted)

    @property
    def batches_at_once(self) -> int:
        """Calls of ``encode_images`` that keep the device busy when made at once."""
        return 1 if self.device.type == "cpu" else GPU_BATCHES_AT_ONCE

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Embeddings of shape ``(len(images), dim)``, whatever the pictures' sizes and modes."""
        precision = self.precision  # measured now, if it was not

        def encode(batch: Sequence[Image.Image]) -> Embeddings:
            return self._encode_pixels(self.upload(batch), precision)

        batches = _batches(images, self.batch_size)
        return self._joined([self._fitting(encode, b, self._shrink) for b in batches])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of shape ``(len(texts), dim)``; the tokenizer cuts what is too long."""
        self._tune_texts()

        def encode(batch: Sequence[str]) -> Embeddings:
            return _normalised(self._text_features(list(batch)))

        return self._joined([self._fitting(encode, b) for b in _batches(texts, TEXT_BATCH)])

    def is_cut(self, text: str) -> bool:
        """Whether the tokenizer cuts a text to the model's length."""
        cut = self._tokenizer([text])[0]
        whole = self._tokenizer([text], context_length=2 * len(cut))[0]
        # Where it is cut, an end-of-text token stands in the place of a word.
        return not torch.equal(cut, whole[: len(cut)])

    def upload(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Return images' pixels on the device: uint8, ``(n, 3, height, width)``, channels last.

        They travel as bytes, a quarter of their size in floats.
        """
        pixels = np.stack([np.asarray(self.image_transform(i), dtype=np.uint8) for i in images])
        batch = torch.from_numpy(pixels)
        if self.device.type == "cuda":
            batch = batch.pin_memory()
        return batch.to(self.device, non_blocking=True).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def _encode_pixels(self, batch: torch.Tensor, precision: str) -> Embeddings:
        normalised = self._normalise(batch).to(DTYPES[precision])
        return _normalised(self._model.encode_image(normalised))

    @torch.inference_mode()
    def _text_features(self, texts: list[str]) -> torch.Tensor:
        features: torch.Tensor = self._text_tower(self._tokenizer(texts).to(self.device))
        return features

    @torch.inference_mode()
    def _probe(self, precision: str) -> torch.Tensor:
        height, width = self.image_transform.size
        noise = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
        batch = torch.from_numpy(noise).to(self.device, DTYPES[precision])
        features: torch.Tensor = self._model.encode_image(batch)
        return features

    def _fitting(
        self,
        encode: Callable[[Sequence[T]], Embeddings],
        batch: Sequence[T],
        on_half: Callable[[int], None] = lambda size: None,
    ) -> Embeddings:
        """Encode a batch, in halves where the device has no memory for the whole.

        ``on_half`` is told their size. Raises DeviceUnavailable where one item does not fit, and
        DeviceFailed.
        """
        with self._errors_of_device():
            try:
                return encode(batch)
            except RuntimeError as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
        # Only here: while the error is handled, its traceback keeps the batch's tensors.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(batch) // 2
        on_half(half)
        halves = (batch[:half], batch[half:])
        return np.concatenate([self._fitting(encode, part, on_half) for part in halves])

    def _shrink(self, size: int) -> None:
        """Take at most ``size`` images at once from now on, and say so."""
        with self._lock:
            if self._fitting_batch_size is None or size < self._fitting_batch_size:
                self._fitting_batch_size = size
                log.warning("%s is out of memory: going on with batches of %d", self.device, size)

    @contextlib.contextmanager
    def _errors_of_device(self) -> Iterator[None]:
        """Raise DeviceUnavailable or DeviceFailed for what torch raises of a device."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise self._too_large() from error
            raise DeviceFailed(
                f"{self.device} failed while it encoded ({first_line(error)}); what was written "
                "stays, and the same command goes on from there"
            ) from error

    def _too_large(self) -> DeviceUnavailable:
        return DeviceUnavailable(
            f"{self.model_id} does not fit in the memory of {self.device}; "
            + ("use a smaller model" if self.device.type == "cpu" else "use --device cpu")
        )

    def _tuned(self) -> Tuning:
        with self._lock, self._errors_of_device():
            if self._tuning is None:
                self._tuning = tune(self._model.visual, self.device, self._precision, self._probe)
            return self._tuning

    def _tune_texts(self) -> None:
        with self._lock, self._errors_of_device():
            if not self._texts_tuned:
                self._texts_tuned = True
                if sum(p.numel() for p in self._text_tower.parameters()) >= LARGE_TEXT_TOWER:
                    fastest(
                        self._text_tower, self.device, lambda _: self._text_features([PROBE_TEXT])
                    )

    def _joined(self, parts: list[Embeddings]) -> Embeddings:
        if not parts:
            return np.empty((0, self.dim), dtype=np.float32)
        return np.ascontiguousarray(np.concatenate(parts))


class Normalise(torch.nn.Module):
    """Scales pixels by the mean and deviation that a model was trained with, in float32.

    Its statistics move with it, and are never cast: 16 bits would round them.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return ``(pixels / 255 - mean) / std`` of uint8 pixels, ``(n, 3, height, width)``."""
        return (pixels.float().div_(255) - self.mean) / self.std


def _normalised(features: torch.Tensor) -> Embeddings:
    embeddings = torch.nn.functional.normalize(features.float(), dim=-1)
    return embeddings.cpu().numpy()


def _transform(preprocess: dict[str, object]) -> ImageTransform:
    size = preprocess["size"]
    height, width = size if isinstance(size, tuple | list) else (size, size)
    return ImageTransform(
        (int(height), int(width)),
        preprocess.get("interpolation") or "bicubic",  # type: ignore[arg-type]
        preprocess.get("resize_mode") or "shortest",  # type: ignore[arg-type]
        int(preprocess.get("fill_color") or 0),  # type: ignore[call-overload]
    )


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
