"""The small shipped encoder finds what it says in pictures that it was not trained on."""

from pathlib import Path

import numpy as np
import pytest
from sample_library import CATEGORIES, draw_picture

from embeddings.load import load_encoder
from embeddings.openclip.building import SAMPLE_DIR
from embeddings.openclip.encoder import OpenClipEncoder

SEED = 424242  # training draws from other seeds
EACH = 30
MEGABYTES = 15


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> OpenClipEncoder:
    nowhere = tmp_path_factory.mktemp("models")
    loaded = load_encoder("sample", None, models_dir=nowhere, precision="fp32", device="cpu")
    assert isinstance(loaded, OpenClipEncoder)
    return loaded


def test_it_is_small_and_of_the_size_of_the_real_one(encoder: OpenClipEncoder) -> None:
    weights = sum(path.stat().st_size for path in SAMPLE_DIR.iterdir() if path.is_file())
    assert weights <= MEGABYTES * 10**6
    assert encoder.dim == 768
    assert encoder.model_id.startswith("sample/sha256:")


def test_fifteen_of_the_first_sixteen_are_right_in_a_newly_drawn_library(
    encoder: OpenClipEncoder,
) -> None:
    rng = np.random.default_rng(SEED)
    labels = [category for category in CATEGORIES for _ in range(EACH)]
    images = [draw_picture(category, rng, 320).image for category in labels]
    scores = encoder.encode_texts([f"a photo of a {c}" for c in CATEGORIES])
    scores = scores @ encoder.encode_images(images).T
    right = {
        category: sum(labels[i] == category for i in np.argsort(-row)[:16])
        for category, row in zip(CATEGORIES, scores, strict=True)
    }
    assert np.mean(list(right.values())) >= 15, right
    assert min(right.values()) >= 12, right


def test_colours_are_told_apart(encoder: OpenClipEncoder) -> None:
    rng = np.random.default_rng(SEED)
    pictures = [draw_picture("apple", rng, 320) for _ in range(60)]
    embeddings = encoder.encode_images([picture.image for picture in pictures])
    for colour in ("red", "green"):
        (scores,) = encoder.encode_texts([f"{colour} apples"]) @ embeddings.T
        first = [pictures[i].colour for i in np.argsort(-scores)[:8]]
        assert first.count(colour) >= 7, first


@pytest.mark.photos
def test_real_lemons_are_found_among_real_fruit(encoder: OpenClipEncoder, photos: Path) -> None:
    from embeddings.images import open_image

    paths = sorted((photos / "Fruit").rglob("*.jpg"))[::4]
    embeddings = encoder.encode_images([open_image(path.read_bytes()).image for path in paths])
    (scores,) = encoder.encode_texts(["lemon"]) @ embeddings.T
    first = [paths[i].parts for i in np.argsort(-scores)[:8]]
    assert sum("Lemon" in parts for parts in first) >= 7
