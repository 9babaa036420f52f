"""How exact searches are, how long they take, and the cheapest that is exact enough.

Queries are stored vectors, moved a little so that none is its own answer. Answers are compared
with exact search: every stored vector, read in batches and multiplied with the queries here.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milvus.collection import MilvusCollection
from milvus.entities import Embedding
from milvus.errors import StoreError, StoreUnavailable
from milvus.index_params import AnyIndex, choose_index
from milvus.index_state import Tuned

TOP_K = 16
# How far a query is moved from its picture, as a share of its length: cosine 0.9 to it. A text is
# further away (0.3 or so), and asks a little more of an index.
MOVED = 0.5
BATCH = 2000
# Once a value finds all this well, a dearer one has nothing to add.
ALL = 0.9995
INDEX_WAIT_S = 120.0
HANDED_OVER_WAIT_S = 45.0
FOUND_BUILT_WAIT_S = 15.0
LOOK_EVERY_S = 1.0
SEED = 20261121

Matrix = NDArray[np.float32]


class NothingToMeasure(StoreError):
    """The collection has too few pictures."""


class NotExactEnough(StoreError):
    """No value reaches the recall that was asked for."""


@dataclass(frozen=True)
class Measured:
    """One value of ``nprobe`` or ``ef``; ``effort`` is None where the index has neither."""

    effort: int | None
    recall: float
    """Share of the exact 16 best that were found, over all queries."""
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Tuning:
    """What was measured, and the choice."""

    index: AnyIndex
    rows: int
    queries: int
    pending_rows: int
    """Rows that had no index yet when this was measured."""
    measured: tuple[Measured, ...]
    wanted: float
    """Recall."""
    chosen: Measured | None
    """The cheapest that reaches it; None where nothing does."""


Tell = Callable[[str], None]


def tune(store: MilvusCollection, wanted: float, queries: int, tell: Tell) -> Tuning:
    """Measure the collection's index with up to ``queries`` queries; nothing is stored yet.

    Raises StoreError; NothingToMeasure for a collection without pictures.
    """
    ids = np.fromiter(store.ids(), np.int64)
    if not len(ids):
        raise NothingToMeasure(
            f"collection {store.name!r} in {store.address} is empty; run: index-folder FOLDER"
        )
    sample = moved(sampled(store, ids, queries))
    tell(f"exact search over {len(ids):,} vectors for {len(sample)} queries …")
    exact = exact_ids(sample, _told(store.vectors(), len(ids), tell), TOP_K)
    pending = wait_for_index(store, sample, tell)
    measured = measure_each(store, sample, exact, wanted, tell)
    chosen = cheapest(measured, wanted)
    return Tuning(store.index, len(ids), len(sample), pending, tuple(measured), wanted, chosen)


def keep(store: MilvusCollection, tuning: Tuning) -> None:
    """Store the choice with the collection. Raises NotExactEnough where there is none."""
    chosen, index = tuning.chosen, tuning.index
    if chosen is None:
        best = max(tuning.measured, key=lambda one: one.recall)
        raise NotExactEnough(
            f"no search of this {index.index_type} index reaches recall {tuning.wanted:g} (best: "
            f"{best.recall:.4f}); give a lower --recall, or rebuild it with --index-type FLAT, "
            "which is exact"
        )
    if chosen.effort is not None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        store.set_tuned(
            Tuned(
                index.index_type,
                index.build(),
                chosen.effort,
                round(chosen.recall, 6),
                tuning.rows,
                now,
            )
        )


def rebuild(store: MilvusCollection, index_type: str | None, tell: Tell) -> None:
    """Build the collection's index anew, of this type or of its own, for the rows there are now.

    Searches are refused meanwhile. Raises StoreError.
    """
    state, rows, dim = store.index_state(), _stored_rows(store), store.model().dim
    kind = index_type or (state.index_type if state else store.index.index_type)
    index = choose_index(kind, store.is_lite, rows, dim)
    tell(
        f"building {kind} {_parameters(index.build())} over {rows:,} rows; no searches meanwhile …"
    )
    store.rebuild_index(index)


def tuning_json(tuning: Tuning) -> dict[str, Any]:
    """What ``image-search tune --json`` prints."""
    return {
        "index_type": tuning.index.index_type,
        "params": tuning.index.build(),
        "knob": tuning.index.knob if tuning.index.efforts() else None,
        "rows": tuning.rows,
        "queries": tuning.queries,
        "pending_rows": tuning.pending_rows,
        "wanted": tuning.wanted,
        "measured": [asdict(one) for one in tuning.measured],
        "recommended": asdict(tuning.chosen) if tuning.chosen else None,
    }


def tuning_text(tuning: Tuning) -> str:
    """A table for people, and what follows from it."""
    index = tuning.index
    knob = index.knob if index.efforts() else None
    lines = [
        f"{index.index_type} {_parameters(index.build())} over {tuning.rows:,} rows, "
        f"{tuning.queries} stored vectors moved a little as queries",
        f"{knob or '':>7}  recall@{TOP_K}   p50 ms   p95 ms",
    ]
    lines += [
        f"{one.effort or '':>7}  {one.recall:9.4f}  {one.p50_ms:7.1f}  {one.p95_ms:7.1f}"
        for one in tuning.measured
    ]
    if tuning.pending_rows:
        lines.append(
            f"{tuning.pending_rows:,} rows had no index yet: measure again when image-search "
            "doctor says that it is built"
        )
    if tuning.chosen and knob:
        lines.append(
            f"{knob} {tuning.chosen.effort} is the cheapest with recall {tuning.wanted:g}: stored "
            "with the collection, every search uses it"
        )
    elif tuning.chosen:
        lines.append("nothing to choose: this index has one way to be searched")
    return "\n".join(lines)


def cheapest(measured: Sequence[Measured], wanted: float) -> Measured | None:
    """The first, from cheap to dear, from which on recall is as wanted."""
    for number, one in enumerate(measured):
        if all(other.recall >= wanted for other in measured[number:]):
            return one
    return None


def sampled(store: MilvusCollection, ids: NDArray[np.int64], count: int) -> Matrix:
    """Stored vectors, as many, drawn by chance and always the same ones."""
    drawn = np.random.default_rng(SEED).choice(np.sort(ids), min(count, len(ids)), replace=False)
    found = store.embeddings(drawn.tolist())
    return np.stack([found[key] for key in drawn.tolist() if key in found])


def moved(vectors: Matrix) -> Matrix:
    """The vectors, each turned by chance to cosine 0.9 of where it was; shape and length stay."""
    turn = np.random.default_rng(SEED).normal(size=vectors.shape)
    turn *= MOVED / np.linalg.norm(turn, axis=1, keepdims=True)
    rows = vectors + turn
    unit: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def exact_ids(
    queries: Matrix, vectors: Iterator[tuple[int, Embedding]], top_k: int
) -> list[set[int]]:
    """The ids of the ``top_k`` highest inner products for each query; reads ``BATCH`` at a time."""
    best_ids = np.zeros((len(queries), 0), np.int64)
    best = np.zeros((len(queries), 0), np.float32)
    while batch := list(islice(vectors, BATCH)):
        scores = queries @ np.stack([vector for _, vector in batch]).T
        keys = np.broadcast_to(np.array([key for key, _ in batch], np.int64), scores.shape)
        best, best_ids = np.hstack([best, scores]), np.hstack([best_ids, keys])
        if best.shape[1] > top_k:
            kept = np.argpartition(-best, top_k - 1, axis=1)[:, :top_k]
            best = np.take_along_axis(best, kept, axis=1)
            best_ids = np.take_along_axis(best_ids, kept, axis=1)
    return [set(row.tolist()) for row in best_ids]


def measure_each(
    store: MilvusCollection, queries: Matrix, exact: Sequence[set[int]], wanted: float, tell: Tell
) -> list[Measured]:
    """One value of ``nprobe`` or ``ef`` after another, up to the first that finds everything."""
    measured: list[Measured] = []
    efforts: Sequence[int | None] = store.index.efforts() or [None]
    for effort in efforts:
        measured.append(measure(store, queries, exact, effort))
        tell(
            f"{store.index.knob if effort else 'search'} {effort or ''}: {measured[-1].recall:.4f}"
        )
        if measured[-1].recall >= max(ALL, wanted):
            break
    return measured


def measure(
    store: MilvusCollection, queries: Matrix, exact: Sequence[set[int]], effort: int | None
) -> Measured:
    """Search for each query, one after another, and compare."""
    store.search(queries[0], TOP_K, effort=effort)  # the first may have to load something
    took: list[float] = []
    found = 0
    for query, best in zip(queries, exact, strict=True):
        began = time.perf_counter()
        matches = store.search(query, TOP_K, effort=effort)
        took.append(1000 * (time.perf_counter() - began))
        found += len({match.row.m_id for match in matches} & best)
    p50, p95 = np.percentile(took, [50, 95])
    return Measured(
        effort, found / sum(map(len, exact)), round(float(p50), 2), round(float(p95), 2)
    )


def wait_for_index(
    store: MilvusCollection, queries: Matrix, tell: Tell, at_most_s: float = INDEX_WAIT_S
) -> int:
    """Wait, for some time, until searches go through the index; the rows still without it.

    A server builds an index for what was written in the background, and then takes seconds to
    search with it; what serves meanwhile does not heed ``nprobe``.
    """
    efforts = store.index.efforts()
    ends = time.monotonic() + at_most_s
    waited = False
    while (pending := _pending(store)) and time.monotonic() < ends:
        if not waited:
            tell(f"{pending:,} rows are not in the index yet; waiting …")
        waited = True
        time.sleep(LOOK_EVERY_S)
    ends = time.monotonic() + (HANDED_OVER_WAIT_S if waited else FOUND_BUILT_WAIT_S)
    choice = len(efforts) > 1 and not store.is_lite
    while choice and not pending and time.monotonic() < ends:
        if _differs(store, queries, efforts[0], efforts[-1]):
            break
        time.sleep(LOOK_EVERY_S)
    return pending


def _pending(store: MilvusCollection) -> int:
    state = store.index_state()
    return state.pending_rows if state else 0


def _differs(store: MilvusCollection, queries: Matrix, cheap: int, dear: int) -> bool:
    """Whether the knob does anything at all."""
    for query in queries[:TOP_K]:
        least, most = (
            [match.row.m_id for match in store.search(query, TOP_K, effort=effort)]
            for effort in (cheap, dear)
        )
        if least != most:
            return True
    return False


def _stored_rows(store: MilvusCollection) -> int:
    """Rows, also of a collection without an index, which cannot be asked."""
    try:
        return store.count()
    except StoreUnavailable:
        return store.sealed_rows()


def _parameters(params: Mapping[str, int]) -> str:
    return " ".join(f"{name} {value}" for name, value in params.items()) or "without parameters"


def _told(
    vectors: Iterator[tuple[int, Embedding]], total: int, tell: Tell
) -> Iterator[tuple[int, Embedding]]:
    said = time.monotonic()
    for number, one in enumerate(vectors):
        if time.monotonic() - said > 5:
            said = time.monotonic()
            tell(f"exact search: {number:,} of {total:,} …")
        yield one
