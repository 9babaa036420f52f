"""Recall at k: the share of queries whose right answer is among the k best."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from caption_retrieval.captions import Split
from embeddings.encoder import Embeddings, Encoder
from milvus.store import ImageStore

KS = (1, 5, 10)
MOST = max(KS)

Recalls: TypeAlias = dict[int, float]
"""From 0 to 1, by k."""


def measure(
    split: Split, encoder: Encoder, store: ImageStore, prompt: str = "{}"
) -> tuple[Recalls, Recalls]:
    """Recalls of text → image and of image → text over a split that the store holds.

    ``{}`` in ``prompt`` stands for the caption.
    """
    owners = np.repeat(np.arange(split.count()), [len(p.captions) for p in split.pictures])
    texts = [prompt.replace("{}", text) for p in split.pictures for text in p.captions]
    captions = encoder.encode_texts(texts)
    paths = [file.path for file in split.files()]
    stored = {row.path: embedding for row, embedding in store.entities()}
    images = np.stack([stored[path] for path in paths])
    return (
        text_to_image(store, captions, [paths[owner] for owner in owners]),
        image_to_text(images, captions, owners),
    )


def text_to_image(store: ImageStore, captions: Embeddings, paths: list[str]) -> Recalls:
    """Each caption searches the store for the picture at its path."""
    pairs = zip(captions, paths, strict=True)
    bar = tqdm(pairs, "searching", len(paths), unit="caption", disable=None)  # none in a pipe
    return _recalls(
        _rank([match.row.path == path for match in store.search(caption, MOST)])
        for caption, path in bar
    )


def image_to_text(images: Embeddings, captions: Embeddings, owners: NDArray[np.intp]) -> Recalls:
    """Each picture searches all captions, exactly, for any of its own.

    ``owners`` has the picture's row for each caption. Of equal captions the first comes first.
    """

    def ranks() -> Iterator[int]:
        for number, image in enumerate(images):
            best = np.argsort(-(captions @ image), kind="stable")[:MOST]
            yield _rank(owners[best] == number)

    return _recalls(ranks())


def _rank(right: Iterable[bool]) -> int:
    """Place of the first right answer, from 0; MOST where there is none."""
    return next((place for place, is_right in enumerate(right) if is_right), MOST)


def _recalls(ranks: Iterable[int]) -> Recalls:
    places = np.fromiter(ranks, dtype=int)
    return {k: float(np.mean(places < k)) for k in KS}
