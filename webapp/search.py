"""SearchService: a query in, hits out. Plain Python; the page, the API and the terminal call it."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from embeddings.decoding.decode import decode_square
from embeddings.encoder import Embeddings, Encoder
from embeddings.errors import ImageError
from milvus.entities import Embedding, ImageRow, ModelRecord
from milvus.filters import ImageFilter
from milvus.store import ImageStore
from webapp.errors import BadQuery, ImageGone
from webapp.folding import Group, folded
from webapp.library import Library
from webapp.library_facts import Facts
from webapp.loaded import EncoderLoader, LoadedEncoder, Loading
from webapp.mixing import mix, moved_away, moved_towards
from webapp.query import (
    EXACT_COPIES,
    MAX_REACH,
    MAX_SIMILAR,
    Hit,
    Move,
    Note,
    Query,
    SearchResult,
    Term,
)

# Results that are fetched beyond those asked for, since some will be copies of others.
SPARE = 16
# A small file may hold a large picture, of some gigabyte while it is decoded.
DECODED_AT_ONCE = 2
# Thirty searches a second need no more than one count.
COUNTED_S = 1.0


class SearchService:
    """Answers queries from a store with the model that the store's collection records.

    Safe to call from several threads. ``load_encoder`` is called once for each model, when the
    first query comes or ``warm_up`` is called. ``max_pixels`` bounds the pictures of queries.
    Methods raise StoreError and EncoderError.
    """

    def __init__(
        self,
        store: ImageStore,
        load_encoder: Callable[[ModelRecord], Encoder],
        max_pixels: int = 200_000_000,
    ) -> None:
        self.library = Library(store)
        self._store = store
        self._max_pixels = max_pixels
        self._encoders = EncoderLoader(load_encoder)
        self._counted = (-math.inf, 0)
        self._decoding = threading.Semaphore(DECODED_AT_ONCE)

    def search(self, query: Query) -> SearchResult:
        """The pictures that match a query best. Raises BadQuery or ImageGone."""
        loaded = self._loaded()
        start = time.perf_counter()
        vector = self._vector(query, loaded)
        groups, reached_end = self._groups(vector, query)
        took_ms = (time.perf_counter() - start) * 1000
        shown = groups[query.offset : query.offset + query.top_k]
        more = len(groups) > query.offset + query.top_k or (not reached_end and bool(shown))
        notes = _cut_notes(query, loaded.encoder) + self._empty_notes(query, vector, groups, shown)
        return SearchResult([_hit(group) for group in shown], took_ms, notes, more, self.count())

    def encoder(self) -> Encoder:
        """The collection's encoder."""
        return self._loaded().encoder

    def encode_files(self, paths: Sequence[Path]) -> Embeddings:
        """Embeddings of picture files. Raises BadQuery for one that cannot be read."""
        loaded = self._loaded()
        size = loaded.encoder.batch_size
        return np.concatenate(
            [np.empty((0, loaded.encoder.dim), dtype=np.float32)]
            + [
                loaded.encoder.encode_images([self._file(path, loaded) for path in batch])
                for batch in (paths[n : n + size] for n in range(0, len(paths), size))
            ]
        )

    def _file(self, path: Path, loaded: LoadedEncoder) -> Image.Image:
        try:
            return self._square(path.read_bytes(), loaded)
        except OSError as error:
            raise BadQuery(f"{path}: {error.strerror or error}") from error
        except ImageError as error:
            raise BadQuery(f"{path}: {error}") from error

    def indexed(self, paths: Sequence[Path]) -> list[tuple[ImageRow, Embedding]]:
        """The stored pictures of these files; all where none is named. Raises BadQuery."""
        if not paths:
            return list(self._store.entities())
        # Below a linked folder a picture is stored by the way that the walk took.
        names = [(str(path.absolute()), str(path.resolve())) for path in paths]
        rows = self._store.at_paths(list({name for both in names for name in both}))
        found = {row.path for row in rows}
        for name, resolved in names:
            if name not in found and resolved not in found:
                raise BadQuery(f"{name} is not indexed; index its folder first, with index-folder")
        stored = self._stored([row.m_id for row in rows])
        return [(row, stored[row.m_id]) for row in rows]

    def image(self, image_id: int) -> ImageRow:
        """The stored row of a picture. Raises ImageGone for an unknown id."""
        rows = self._store.get([image_id])
        if not rows:
            raise ImageGone(f"no picture has the id {image_id}")
        return rows[0]

    def count(self) -> int:
        """Number of pictures that are searched, as it was within the last second."""
        now = time.monotonic()
        counted, count = self._counted
        if now - counted > COUNTED_S:
            count = self._store.count()
            self._counted = (now, count)
        return count

    @property
    def loading(self) -> Loading:
        """Where the model is."""
        return self._encoders.state

    def stats(self) -> Facts:
        """What is indexed, as it is now."""
        return self.library.facts.current()

    def warm_up(self) -> None:
        """Load the model now, so that the first query does not wait for it."""
        self._loaded().texts(["a photo"])

    def _vector(self, query: Query, loaded: LoadedEncoder) -> Embedding:
        """The query as one point: its weighted parts, moved."""
        vector = mix(self._terms(query.terms, loaded), [term.weight for term in query.terms])
        if query.move_to:
            targets = self._targets(query.move_to, loaded)
            vector = moved_towards(vector, targets, query.move_to.force)
        if query.move_away_from:
            targets = self._targets(query.move_away_from, loaded)
            vector = moved_away(vector, targets, query.move_away_from.force)
        return vector

    def _terms(self, terms: Sequence[Term], loaded: LoadedEncoder) -> Embeddings:
        texts = iter(loaded.texts([term.text for term in terms if _is_text(term)]))
        images = iter(self._images([t.image for t in terms if t.image is not None], loaded))
        stored = self._stored([term.id for term in terms if term.id is not None])
        rows = []
        for term in terms:
            if term.id is not None:
                rows.append(stored[term.id])
            else:
                rows.append(next(texts if term.image is None else images))
        return np.stack(rows)

    def _targets(self, move: Move, loaded: LoadedEncoder) -> Embeddings:
        stored = self._stored(move.objects)
        objects = [stored[key] for key in move.objects]
        return np.stack([*loaded.texts(move.concepts), *objects])

    def _images(self, images: Sequence[bytes], loaded: LoadedEncoder) -> Embeddings:
        if not images:
            return np.empty((0, loaded.encoder.dim), dtype=np.float32)
        try:
            squares = [self._square(content, loaded) for content in images]
        except ImageError as error:
            raise BadQuery(f"the query's picture cannot be used: {error}") from error
        return loaded.images(squares)

    def _square(self, content: bytes, loaded: LoadedEncoder) -> Image.Image:
        """A picture file as the model looks at it. Raises ImageError."""
        with self._decoding:
            return decode_square(content, loaded.encoder.image_transform, self._max_pixels)

    def _stored(self, ids: Sequence[int]) -> dict[int, Embedding]:
        stored = self._store.embeddings(ids) if ids else {}
        for key in ids:
            if key not in stored:
                raise ImageGone(f"no picture has the id {key}")
        return stored

    def _groups(self, vector: Embedding, query: Query) -> tuple[list[Group], bool]:
        """Results from the first one on, and whether there are no more in the store."""
        only = _searched(query)
        similar = query.fold is not None and query.fold < EXACT_COPIES
        wanted = query.offset + query.top_k + 1  # one more tells whether there are more
        limit = wanted if query.fold is None else wanted + SPARE
        # Those that are compared come with their embeddings.
        most = MAX_SIMILAR + SPARE if similar else MAX_REACH
        while True:
            limit = min(limit, most)
            matches = self._store.search(vector, limit, only, with_embeddings=similar)
            ended = len(matches) < limit
            if query.min_score is not None:
                good = [match for match in matches if match.score >= query.min_score]
                ended = ended or len(good) < len(matches)
                matches = good
            groups = folded(matches, query.fold)
            if len(groups) >= wanted or ended or limit == most:
                return groups, ended or limit == most
            limit *= 2

    def _empty_notes(
        self, query: Query, vector: Embedding, groups: Sequence[Group], shown: Sequence[Group]
    ) -> tuple[Note, ...]:
        if shown:
            return ()
        if groups:
            text = f"there are only {len(groups):,} results; ask for an earlier page"
            return (Note("past_the_end", text),)
        if query.min_score is not None:
            best = self._store.search(vector, 1, _searched(query))
            if best:
                text = (
                    f"no picture scores {query.min_score:.3f} or more; the best has "
                    f"{best[0].score:.3f}"
                )
                return (Note("below_score", text),)
        if query.filter.expression():
            return (Note("filtered", "no picture passes the filter"),)
        return ()

    def _loaded(self) -> LoadedEncoder:
        return self._encoders.get(self._store.model())


def _searched(query: Query) -> ImageFilter:
    """The query's filter, without the pictures that the query itself names."""
    named = [term.id for term in query.terms if term.id is not None]
    named += [key for move in (query.move_to, query.move_away_from) if move for key in move.objects]
    return replace(query.filter, without_ids=(*query.filter.without_ids, *named))


def _is_text(term: Term) -> bool:
    return term.image is None and term.id is None


def _cut_notes(query: Query, encoder: Encoder) -> tuple[Note, ...]:
    moves = [move for move in (query.move_to, query.move_away_from) if move]
    texts = [term.text for term in query.terms if _is_text(term)]
    texts += [concept for move in moves for concept in move.concepts]
    if any(encoder.is_cut(text) for text in texts):
        return (Note("cut", "the text is longer than the model reads; its end was left out"),)
    return ()


def hit_of(row: ImageRow, score: float = 0.0, copies: Sequence[str] = ()) -> Hit:
    """A stored picture as a result."""
    return Hit(
        id=row.m_id,
        path=row.path,
        category=row.category,
        score=score,
        width=row.width,
        height=row.height,
        caption=str(row.extras.get("caption", "")),
        library=row.library,
        size=row.size,
        mtime_ns=row.mtime_ns,
        label=str(row.extras.get("label", "")),
        content_hash=row.content_hash,
        copies=tuple(copies),
    )


def _hit(group: Group) -> Hit:
    match = group.best
    return hit_of(match.row, match.score, [copy.row.path for copy in group.copies])
