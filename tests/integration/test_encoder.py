"""The encoder against open_clip's own pipeline, on weights made on the spot."""

import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from support import ROOT

from embeddings.encoder import Embeddings
from embeddings.errors import (
    DeviceUnavailable,
    UnknownModel,
    WeightsNotFound,
    WeightsUnusable,
)
from embeddings.load import load_encoder
from embeddings.models import KNOWN_MODELS, canonical
from embeddings.openclip.encoder import OpenClipEncoder
from indexer.prepare import Prepared, prepare
from indexer.source import FoundFile

TEXTS = ["a photo of a lemon", "red apples", "", "ü 🍋 " * 60]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def state_dict() -> dict[str, torch.Tensor]:
    """Random weights of ViT-B/32: the loading and the arithmetic are real, the meaning is not."""
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32-quickgelu", load_weights=False)
    return {key: value.contiguous() for key, value in model.state_dict().items()}


@pytest.fixture(scope="session")
def checkpoint(folder: Path, state_dict: dict[str, torch.Tensor]) -> Path:
    path = folder / "b32.safetensors"
    save_file(state_dict, path)
    return path


@pytest.fixture(scope="session")
def archive(folder: Path, state_dict: dict[str, torch.Tensor]) -> Path:
    """The same weights as OpenAI publishes them: TorchScript, in float16, with three extras."""
    path = folder / "ViT-B-32.pt"
    holder = _Holder()
    for key, value in state_dict.items():
        *groups, leaf = key.split(".")
        module: torch.nn.Module = holder
        for group in groups:
            if not hasattr(module, group):
                module.add_module(group, _Holder())
            module = getattr(module, group)
        module.register_parameter(leaf, torch.nn.Parameter(value.half(), requires_grad=False))
    for name, number in (("input_resolution", 224), ("context_length", 77), ("vocab_size", 49408)):
        holder.register_buffer(name, torch.tensor(number))
    torch.jit.script(holder).save(str(path))
    return path


class _Holder(torch.nn.Module):
    def forward(self) -> None:
        return None


@pytest.fixture(scope="session")
def load(folder: Path) -> Callable[..., OpenClipEncoder]:
    """Load with ViT-B/32 and float32 unless told otherwise."""

    def loaded(pretrained: object, name: str = "ViT-B/32", **options: object) -> OpenClipEncoder:
        options = {"models_dir": folder / "none", "precision": "fp32", "device": "cpu", **options}
        return load_encoder(name, str(pretrained), **options)  # type: ignore[arg-type, return-value]

    return loaded


@pytest.fixture(scope="session")
def encoder(load: Callable[..., OpenClipEncoder], checkpoint: Path) -> OpenClipEncoder:
    return load(checkpoint)


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = [(224, 224), (500, 375), (375, 501), (64, 48), (1200, 301), (225, 224), (33, 700)]
    return [
        Image.fromarray(rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8))
        .resize((width, height))
        for width, height in sizes
    ]  # fmt: skip


@pytest.fixture(scope="session")
def reference(checkpoint: Path) -> Callable[[list[Image.Image]], Embeddings]:
    """open_clip's own pipeline: its transform, its model, one batch, float32."""
    model, _, transform = open_clip.create_model_and_transforms(
        "ViT-B-32-quickgelu", pretrained=str(checkpoint)
    )
    model.eval()

    @torch.inference_mode()
    def encode(images: list[Image.Image]) -> Embeddings:
        features = model.encode_image(torch.stack([transform(image) for image in images]))
        return torch.nn.functional.normalize(features, dim=-1).numpy()

    return encode


def cosines(a: Embeddings, b: Embeddings) -> np.ndarray:
    return (a * b).sum(axis=1)


def test_images_as_open_clip_encodes_them(
    encoder: OpenClipEncoder,
    reference: Callable[[list[Image.Image]], Embeddings],
    pictures: list[Image.Image],
) -> None:
    expected = reference(pictures)
    assert encoder.dim == expected.shape[1] == 512
    together = encoder.encode_images(pictures)
    alone = np.concatenate([encoder.encode_images([picture]) for picture in pictures])
    many = encoder.encode_images(pictures * 5)[-len(pictures) :]
    for found in (together, alone, many):
        assert cosines(found, expected).min() >= 0.9999
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.photos
def test_real_photos_as_open_clip_encodes_them(
    encoder: OpenClipEncoder, reference: Callable[[list[Image.Image]], Embeddings], photos: Path
) -> None:
    paths = sorted(photos.rglob("*.jpg"))[::100]
    images = [Image.open(path).convert("RGB") for path in paths]
    assert len(images) > 20
    assert cosines(encoder.encode_images(images), reference(images)).min() >= 0.9999


@pytest.mark.photos
@pytest.mark.parametrize("megapixels", [None, 12])
@pytest.mark.parametrize("precision", ["fp32", "auto", "bf16"])
def test_fast_paths_keep_the_embedding_of_real_photos(
    load: Callable[..., OpenClipEncoder],
    checkpoint: Path,
    reference: Callable[[list[Image.Image]], Embeddings],
    photos: Path,
    tmp_path: Path,
    megapixels: int | None,
    precision: str,
) -> None:
    """Decoding at a fraction and 16-bit floats, as indexing does it, against neither."""
    paths = sorted(photos.rglob("*.jpg"))[::240]
    if megapixels:
        for number, path in enumerate(paths):
            large = tmp_path / f"{number}.jpg"
            with Image.open(path) as image:
                image.resize((4000, 3000), Image.Resampling.LANCZOS).save(large, quality=92)
            paths[number] = large
    fast = load(checkpoint, precision=precision)
    prepared = []
    for path in paths:
        file = FoundFile(str(path), path.name, "", 0, 0)
        found = prepare(file, fast.image_transform, lambda content_hash: False, 10**9)
        assert isinstance(found, Prepared)
        assert found.image is not None
        prepared.append(found.image)
    whole = [Image.open(path).convert("RGB") for path in paths]
    similar = cosines(fast.encode_images(prepared), reference(whole))
    assert similar.min() >= 0.995
    assert similar.mean() >= 0.999


def test_texts_as_open_clip_encodes_them(encoder: OpenClipEncoder, checkpoint: Path) -> None:
    model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=str(checkpoint)).eval()
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(TEXTS), normalize=True)
    assert cosines(encoder.encode_texts(TEXTS), expected.numpy()).min() >= 0.9999
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    assert cosines(alone, expected.numpy()).min() >= 0.9999


def test_nothing_gives_no_rows(encoder: OpenClipEncoder) -> None:
    assert encoder.encode_images([]).shape == (0, 512)
    assert encoder.encode_texts([]).shape == (0, 512)


def test_the_transform_is_open_clips_to_the_bit(
    encoder: OpenClipEncoder, pictures: list[Image.Image]
) -> None:
    resize, crop = open_clip.image_transform(224, is_train=False).transforms[:2]
    for picture in pictures:
        expected = np.asarray(crop(resize(picture)))
        np.testing.assert_array_equal(np.asarray(encoder.image_transform(picture)), expected)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(96, 96), (64, 96)])
def test_every_resize_mode_is_open_clips(
    mode: str, size: tuple[int, int], pictures: list[Image.Image]
) -> None:
    from embeddings.images import ImageTransform

    ours = ImageTransform(size, resize_mode=mode)  # type: ignore[arg-type]
    steps = open_clip.image_transform(size, is_train=False, resize_mode=mode).transforms[:-3]
    for picture in pictures:
        expected = picture
        for step in steps:
            expected = step(expected)
        np.testing.assert_array_equal(np.asarray(ours(picture)), np.asarray(expected))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_state_dict_file(
    wrapped: bool,
    load: Callable[..., OpenClipEncoder],
    encoder: OpenClipEncoder,
    state_dict: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    path = tmp_path / "weights.pt"
    if wrapped:  # as a training run saves it
        torch.save(
            {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state_dict.items()}}, path
        )
    else:
        torch.save(state_dict, path)
    assert cosines(load(path).encode_texts(TEXTS), encoder.encode_texts(TEXTS)).min() >= 0.9999


def test_openais_archive(
    load: Callable[..., OpenClipEncoder], archive: Path, pictures: list[Image.Image]
) -> None:
    model = open_clip.load_openai_model(str(archive), precision="fp32", device="cpu").eval()
    transform = open_clip.image_transform(224, is_train=False)
    with torch.inference_mode():
        images = model.encode_image(torch.stack([transform(p) for p in pictures]), normalize=True)
        texts = model.encode_text(open_clip.tokenize(TEXTS), normalize=True)
    # Also under the name whose open_clip model lacks QuickGELU: the archive needs it all the same.
    for name in ("ViT-B/32", "ViT-B-32"):
        ours = load(archive, name)
        assert cosines(ours.encode_images(pictures), images.numpy()).min() >= 0.9999
        assert cosines(ours.encode_texts(TEXTS), texts.numpy()).min() >= 0.9999


def test_openais_archive_is_found_by_its_name_in_the_models_folder(
    load: Callable[..., OpenClipEncoder], archive: Path, folder: Path
) -> None:
    found = load("openai", models_dir=folder)
    assert found.model_id == "ViT-B-32-quickgelu/openai"


def test_the_nine_names_and_the_default_are_open_clip_models_with_quick_gelu() -> None:
    names = [model.name for model in KNOWN_MODELS if model.name != "sample"]
    resnets = {"RN50", "RN101", "RN50x4", "RN50x16", "RN50x64"}
    assert set(names) == resnets | {"ViT-B/32", "ViT-B/16", "ViT-L/14", "ViT-L/14@336px"}
    for model in KNOWN_MODELS[:-1]:
        assert canonical(model.name, None) == (model.architecture, "openai")
        config = open_clip.get_model_config(model.architecture)
        assert config["quick_gelu"]
        assert config["embed_dim"] == model.dim
        assert config["vision_cfg"]["image_size"] == model.image_size
        url = open_clip.get_pretrained_cfg(model.architecture, "openai")["url"]
        assert url.endswith(model.architecture.replace("-quickgelu", ".pt").replace("336", "336px"))


def test_the_identity_follows_the_weights(
    load: Callable[..., OpenClipEncoder],
    encoder: OpenClipEncoder,
    state_dict: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    other = tmp_path / "other.safetensors"
    save_file({**state_dict, "logit_scale": torch.tensor(1.0)}, other)
    assert load(other).model_id != encoder.model_id
    assert encoder.model_id.startswith("ViT-B-32-quickgelu/sha256:")


def test_weights_of_another_architecture_are_refused(
    load: Callable[..., OpenClipEncoder], checkpoint: Path
) -> None:
    for name in ("ViT-B/16", "RN50"):
        with pytest.raises(
            WeightsUnusable, match=r"does not hold weights for .*: .* (shape|missing)"
        ):
            load(checkpoint, name)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['EVIL_MARK']}",)


def test_a_file_that_carries_code_is_refused_and_not_run(
    load: Callable[..., OpenClipEncoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("EVIL_MARK", str(mark))
    torch.save({"state_dict": _Evil()}, tmp_path / "evil.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(_Evil(), protocol=2))
    for name in ("evil.pt", "raw.pt"):
        with pytest.raises(WeightsUnusable, match="could run code, and is refused"):
            load(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"rubbish" * 100, b"PK\x03\x04rubbish"])
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_rubbish_is_refused(
    load: Callable[..., OpenClipEncoder], tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsUnusable) as error:
        load(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "pretrained", "kind", "said"),
    [
        ("ViT-B/32", "/nowhere/w.pt", WeightsNotFound, "no weights file at /nowhere/w.pt"),
        ("ViT-B/32", "nosuchtag", UnknownModel, "no weights 'nosuchtag' for .*; it has: openai"),
        ("NoSuchModel", "openai", UnknownModel, "neither OpenAI nor open_clip has a model"),
    ],
)
def test_what_is_not_there_is_told(
    load: Callable[..., OpenClipEncoder],
    name: str,
    pretrained: str,
    kind: type[Exception],
    said: str,
) -> None:
    with pytest.raises(kind, match=said):
        load(pretrained, name)


def test_a_model_without_a_tag_asks_for_one(folder: Path) -> None:
    with pytest.raises(UnknownModel, match=r"ViT-B-32 needs --pretrained .* one of: openai, l"):
        load_encoder("ViT-B-32", None, models_dir=folder)


def test_a_device_that_is_not_there_is_told(
    load: Callable[..., OpenClipEncoder], checkpoint: Path
) -> None:
    with pytest.raises(DeviceUnavailable, match="cuda:99 is not on this machine"):
        load(checkpoint, device="cuda:99")


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_faster_precisions_keep_the_embedding(
    load: Callable[..., OpenClipEncoder],
    encoder: OpenClipEncoder,
    checkpoint: Path,
    pictures: list[Image.Image],
    precision: str,
) -> None:
    faster = load(checkpoint, precision=precision)
    assert faster.precision in ("fp32", "bf16")
    expected = encoder.encode_images(pictures)
    assert cosines(faster.encode_images(pictures), expected).min() > 0.99
    assert cosines(faster.encode_texts(TEXTS), encoder.encode_texts(TEXTS)).min() > 0.99


@pytest.fixture
def silent_hub() -> Iterator[str]:
    """A model hub that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("hub", ["refusing", "silent"])
def test_without_weights_one_line_within_20_seconds(
    hub: str, silent_hub: str, tmp_path: Path
) -> None:
    endpoint = silent_hub if hub == "silent" else "http://127.0.0.1:9"
    start = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "indexer.cli", str(ROOT / "tests"), "--model", "ViT-L/14@336px"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path),
            "HOME": str(tmp_path),
        },
    )
    assert time.monotonic() - start < 20
    assert ran.returncode == 1
    (line,) = [line for line in ran.stderr.splitlines() if not line.startswith("loading")]
    assert "ViT-L-14-336px.pt" in line
    assert f"put the file at {os.environ['IMAGE_SEARCH_DATA_DIR']}/models/" in line
    assert "--model sample" in line
