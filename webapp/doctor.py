"""``image-search doctor``: whether all is well with what is indexed, and what to do where not."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from embeddings.errors import EncoderError
from embeddings.models import SAMPLE, canonical
from embeddings.thumbnails import ThumbnailFolder
from milvus.collection import MilvusCollection
from milvus.entities import ModelRecord, printable
from milvus.errors import (
    CollectionMissing,
    StoreDamaged,
    StoreError,
    StoreLocked,
    StoreRefused,
    StoreUnavailable,
    StoreUnwritable,
)
from milvus.index_params import METRIC_TYPE
from webapp.file_checks import Compared, Found, compare
from webapp.library_facts import MOVE_TO_SERVER, outgrown
from webapp.tuning import sampled

Level = Literal["ok", "warning", "problem"]
MARKS: dict[Level, str] = {"ok": "OK     ", "warning": "WARNING", "problem": "PROBLEM"}
SAMPLE_OF_VECTORS = 200
# Rounding moves the length of a vector in single precision by less.
LENGTH_TOLERANCE = 1e-3
LITTLE_DISK = 2_000_000_000
NO_DISK = 200_000_000


@dataclass(frozen=True)
class Check:
    """One line of the doctor's."""

    name: str
    level: Level
    said: str
    remedy: str = ""
    """What to do; empty where all is well."""


@dataclass(frozen=True)
class Places:
    """Folders of the data."""

    data: Path
    models: Path
    thumbnails: Path


def examine(
    store: MilvusCollection, places: Places, load: Callable[[], ModelRecord] | None
) -> Iterator[Check]:
    """Every check, as soon as it is done. ``load`` loads the model and says which it is; without
    it, weights are only looked for."""
    yield from _disk(places.data)
    try:
        exists = store.exists()
        yield Check("store", "ok", f"{store.address} answers: Milvus {store.version()}")
    except CollectionMissing as error:
        yield Check("store", "problem", "there is none yet", str(error))
        return
    except StoreDamaged as error:
        yield Check("store", "problem", "damaged", str(error))
        return
    except StoreLocked as error:
        yield Check("store", "problem", "locked", str(error))
        return
    except (StoreUnavailable, StoreRefused, StoreUnwritable) as error:
        yield Check("store", "problem", "cannot be used", str(error))
        return
    except StoreError as error:
        yield Check("store", "problem", "cannot be read", _damaged(store, error))
        return
    if not exists:
        said = f"{store.name!r} is not in the store"
        yield Check("collection", "problem", said, "run: index-folder FOLDER")
        return
    try:
        yield from _collection(store, places, load)
    except StoreError as error:
        yield Check("collection", "problem", "cannot be read", _damaged(store, error))


def checks_json(checks: list[Check]) -> dict[str, Any]:
    """What ``image-search doctor --json`` prints."""
    return {"well": is_well(checks), "checks": [asdict(one) for one in checks]}


def check_text(check: Check) -> str:
    """One line."""
    remedy = f"; {check.remedy}" if check.remedy else ""
    return " ".join(f"{MARKS[check.level]} {check.name}: {check.said}{remedy}".split("\n"))


def is_well(checks: list[Check]) -> bool:
    """Whether there is no problem; warnings are none."""
    return all(one.level != "problem" for one in checks)


def _collection(
    store: MilvusCollection, places: Places, load: Callable[[], ModelRecord] | None
) -> Iterator[Check]:
    record = store.model()
    yield _index(store)
    count = store.count()
    yield size_check(store.name, store.is_lite, count)
    yield _unflushed(store, count)
    yield _model(record, places.models, load)
    compared = compare(store, ThumbnailFolder(places.thumbnails))
    yield _vectors(store, compared.ids, record.dim)
    yield from _files(store, compared)
    yield _thumbnails(places.thumbnails, compared)


def size_check(name: str, is_lite: bool, count: int) -> Check:
    """How many pictures there are, and whether a file is the place for so many."""
    said = f"{name!r} holds {count:,} pictures"
    if outgrown(is_lite, count):
        said += ", and a file's searches look at each"
        return Check("collection", "warning", said, f"on a server: {MOVE_TO_SERVER}")
    return Check("collection", "ok", said)


def _damaged(store: MilvusCollection, error: StoreError) -> str:
    """What to do; a local file that raises something nobody foresaw is damaged."""
    if not store.is_lite or type(error) is not StoreError or "move it away" in str(error):
        return str(error)
    return f"{error}; where this comes again, move {store.address} away and index anew"


def _index(store: MilvusCollection) -> Check:
    state = store.index_state()
    if state is None:
        return Check(
            "index", "problem", "the collection has none", "run: image-search tune --rebuild"
        )
    built = " ".join(f"{name} {value}" for name, value in state.params.items())
    said = " ".join(f"{state.index_type} {built} {state.metric_type}".split())
    if state.metric_type != METRIC_TYPE:
        return Check(
            "index",
            "problem",
            f"{said}, not {METRIC_TYPE}: scores are no cosines",
            "run: image-search tune --rebuild",
        )
    if state.state == "Failed":
        return Check(
            "index", "problem", f"{said}: building failed", "run: image-search tune --rebuild"
        )
    if state.pending_rows:
        rows = state.indexed_rows + state.pending_rows
        return Check(
            "index",
            "warning",
            f"{said}: still being built, {state.pending_rows:,} of {rows:,} rows to go",
            "searches are slower meanwhile; look again later",
        )
    tuned = store.tuned()
    if tuned is not None and tuned.effort:
        said += f", tuned to {store.index.knob} {tuned.effort} (recall {tuned.recall:.3f})"
    return Check("index", "ok", f"{said}: built")


def _unflushed(store: MilvusCollection, count: int) -> Check:
    unflushed = max(0, count - store.sealed_rows())
    if unflushed:
        return Check(
            "flushed",
            "warning",
            f"{unflushed:,} rows are not, and searched without the index",
            "index-folder flushes at its end; run it again where it was stopped",
        )
    return Check("flushed", "ok", "all rows are")


def _model(record: ModelRecord, models: Path, load: Callable[[], ModelRecord] | None) -> Check:
    if load is not None:
        try:
            loaded = load()
        except EncoderError as error:
            return Check("model", "problem", f"{record.name} cannot be loaded", str(error))
        if (loaded.model_id, loaded.dim) != (record.model_id, record.dim):
            return Check(
                "model",
                "problem",
                f"{record.name} is {loaded.model_id} here, and the pictures were indexed with "
                f"{record.model_id}",
                "give the weights they were indexed with, or index into another "
                "--milvus-collection",
            )
        return Check("model", "ok", f"{record.model_id}, loaded")
    weights = weights_at(record, models)
    if weights is None:
        return Check(
            "model",
            "warning",
            f"{record.model_id}: no weights in {models}",
            "they may be in the hub's cache: image-search doctor --load-model makes sure",
        )
    return Check("model", "ok", f"{record.model_id}: weights at hand ({weights})")


def weights_at(record: ModelRecord, models: Path) -> str | None:
    """Where a model's weights are, as far as can be told without loading it."""
    if record.name == SAMPLE and not record.pretrained:
        return "shipped"
    if record.pretrained and Path(record.pretrained).expanduser().is_file():
        return record.pretrained
    architecture, tag = canonical(record.name, record.pretrained)
    openai = record.name.replace("/", "-").replace("@", "-")
    names = [f"{architecture}-{tag}.safetensors", f"{architecture}-{tag}.pt", f"{openai}.pt"]
    places = [folder / name for folder in (models, Path("~/.cache/clip")) for name in names]
    return next((str(p) for p in places if p.expanduser().is_file()), None)


def _vectors(store: MilvusCollection, ids: list[int], dim: int) -> Check:
    if not ids:
        return Check("vectors", "warning", "there are none", "run: index-folder FOLDER")
    vectors = sampled(store, np.array(ids, np.int64), SAMPLE_OF_VECTORS)
    lengths = np.linalg.norm(vectors, axis=1)
    wrong = int((~(np.abs(lengths - 1) <= LENGTH_TOLERANCE)).sum())  # no number is wrong, too
    if wrong or vectors.shape[1] != dim:
        return Check(
            "vectors",
            "problem",
            f"{wrong} of {len(vectors)} looked at are not of length 1, so scores are no cosines",
            "they were not written by this program: image-search drop, then index-folder FOLDER",
        )
    return Check("vectors", "ok", f"{len(vectors)} looked at, all of length 1")


def _files(store: MilvusCollection, compared: Compared) -> Iterator[Check]:
    runs = store.last_runs()
    for name, library in sorted(compared.libraries.items()):
        shown = printable(name)
        again = f"run: index-folder {'--manifest ' if Path(name).is_file() else ''}{shown}"
        if not Path(name).exists():
            yield Check(
                "files",
                "warning",
                f"{shown} is not there, with {library.rows:,} pictures",
                f"connect its drive, or: image-search drop --library {shown}",
            )
            continue
        run = runs.get(name)
        # What the last run could not read has no row, and will have none.
        skipped = min(run.skipped_count, library.new.count) if run else 0
        missing = library.new.count - skipped
        parts = []
        if library.gone.count:
            parts.append(f"{library.gone.count:,} pictures without files{_names(library.gone)}")
        if missing:
            parts.append(f"{missing:,} files that are not indexed{_names(library.new)}")
        noted = f", {skipped:,} files skipped by the last run" if skipped else ""
        if parts:
            yield Check("files", "warning", f"{shown}: {', '.join(parts)}{noted}", again)
        elif run is not None and run.interrupted:
            yield Check("files", "warning", f"{shown}: the last run was stopped", again)
        else:
            yield Check("files", "ok", f"{shown}: {library.rows:,} pictures, all there{noted}")


def _names(found: Found) -> str:
    more = ", …" if found.count > len(found.names) else ""
    return f" ({', '.join(printable(name) for name in found.names)}{more})"


def _thumbnails(folder: Path, compared: Compared) -> Check:
    if folder.exists() and not folder.is_dir():
        return Check("thumbnails", "problem", f"{folder} is no folder", "move it away")
    said = f"{folder}: {compared.without_thumbnail:,} of {len(compared.ids):,} pictures without"
    if compared.without_thumbnail:
        said += ", made when the page shows them"
    return Check("thumbnails", "ok", said)


def _disk(data: Path) -> Iterator[Check]:
    there = next((folder for folder in (data, *data.parents) if folder.exists()), None)
    if there is None:
        return
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:,.1f} GB free at {data}"
    if free < NO_DISK:
        yield Check("disk", "problem", said, "make room: indexing would fail")
    elif free < LITTLE_DISK:
        yield Check("disk", "warning", said, "make room soon: 1,000 pictures take about 25 MB")
    else:
        yield Check("disk", "ok", said)
