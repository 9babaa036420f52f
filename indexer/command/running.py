"""A run over the libraries, and following their folders after it."""

import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from configs.settings import Settings
from configs.stores import store_of
from indexer.command.options import PROGRAM
from indexer.command.parts import same_name, say, workers_of

if TYPE_CHECKING:
    from indexer.report import IndexReport
    from indexer.source import Source
    from indexer.workers import Workers
    from milvus.collection import MilvusCollection
    from milvus.patience import Patience


@dataclass(frozen=True)
class Outcome:
    """What a run over all libraries did."""

    reports: "dict[str, IndexReport]"
    """By library."""
    empty: list[str] = field(default_factory=list)
    """What was said of libraries without pictures."""

    @property
    def whole(self) -> "IndexReport":
        """The sum over the libraries."""
        from indexer.report import total

        return total(list(self.reports.values()))


def index(
    sources: "Mapping[str, Source]", settings: Settings, watch: bool, progress_json: bool
) -> Outcome:
    """Index libraries by name, one after another; with ``watch`` follow them until Ctrl+C.

    Raises StoreError, EncoderError or IndexingError.
    """
    from milvus.lock import writing
    from milvus.opening import open_collection
    from milvus.patience import Patience

    patience = Patience(settings.milvus.retry_seconds, _say_of_store)
    end_with_ctrl_c(patience)
    store = open_collection(**store_of(settings), patience=patience)
    workers = workers_of(settings, store)
    lock = store.lock_file(settings.locks_dir)

    def index_some(some: "Sequence[Source]") -> Outcome:
        with writing(lock, _say_waiting):
            return _index_each(some, store, workers, settings, progress_json)

    try:
        with writing(lock, _say_waiting):
            _begin(settings, store, workers)
            outcome = _index_each(list(sources.values()), store, workers, settings, progress_json)
        if not watch or outcome.whole.interrupted:
            return outcome
        say(outcome.whole.as_text())
        say("watching for changes (Ctrl+C ends)")
        return Outcome(_follow(sources, outcome.reports, index_some))
    finally:
        workers.close()
        store.close()


def _begin(settings: Settings, store: "MilvusCollection", workers: "Workers") -> None:
    """Know before the long work whether the store is there, and is this model's."""
    if (
        not store.exists()
        or settings.model.encoder_url  # whose model it is, only the service knows
        or not same_name(settings, store)
    ):
        workers.begin()
    else:
        store.complete()
    _tell_other_index(settings, store)


def _follow(
    sources: "Mapping[str, Source]",
    reports: "dict[str, IndexReport]",
    index_some: "Callable[[Sequence[Source]], Outcome]",
) -> "dict[str, IndexReport]":
    """Index what changes until Ctrl+C; the reports with those of all later runs in them."""
    from indexer.report import followed_by
    from indexer.watch import changed_libraries

    reports = dict(reports)
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        for changed in changed_libraries([Path(library) for library in sources]):
            again = index_some([sources[str(root)] for root in changed])
            if again.whole.changed:
                say(again.whole.as_text())
            for name, report in again.reports.items():
                reports[name] = followed_by(reports[name], report) if name in reports else report
            if again.whole.interrupted:
                break
    return reports


def _index_each(
    sources: "Sequence[Source]",
    store: "MilvusCollection",
    workers: "Workers",
    settings: Settings,
    progress_json: bool,
) -> Outcome:
    """Index one library after another; an empty one is told and does not stop the others."""
    from embeddings.leftovers import Leftovers
    from embeddings.thumbnails import ThumbnailFolder
    from indexer.command.progress import JsonProgress, Progress
    from indexer.errors import NothingFound
    from indexer.pipeline import PipelineOptions, index_library
    from indexer.snapshot import Snapshots
    from indexer.thumbnailing import Thumbnailing

    options = PipelineOptions(
        write_batch=settings.indexing.write_batch,
        keep_missing=settings.indexing.keep_missing,
    )
    snapshots = Snapshots(settings.snapshots_dir, f"{store.address} {store.name}")
    folder = ThumbnailFolder(settings.thumbnails_dir)
    thumbnails = Thumbnailing(
        folder,
        Leftovers(folder, f"{store.address} {store.name}"),
        makes=settings.indexing.thumbnails,
    )
    outcome = Outcome({})
    for source in sources:
        try:
            shown = JsonProgress if progress_json else Progress
            with shown(source.library, source.count()) as progress:
                report = index_library(
                    source, store, workers, options, progress, snapshots, thumbnails
                )
        except NothingFound as error:
            outcome.empty.append(str(error))
            say(f"{PROGRAM}: {error}")
            continue
        outcome.reports[source.library] = report
        if report.interrupted:
            break
    return outcome


def _tell_other_index(settings: Settings, store: "MilvusCollection") -> None:
    """Say where a collection has another index than the one that was asked for."""
    asked = settings.milvus.index_type
    if "index_type" in settings.milvus.model_fields_set and store.exists():
        state = store.index_state()
        if state is not None and state.index_type != asked:
            say(
                f"{PROGRAM}: collection {store.name!r} keeps its index {state.index_type}; "
                f"image-search tune --index-type {asked} changes it"
            )


def end_with_ctrl_c(patience: "Patience") -> None:
    """Ctrl+C ends a run after the batch at hand, which must not be waited for in vain."""

    def interrupt(number: int, frame: object) -> None:
        patience.end()
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def _say_of_store(line: str) -> None:
    say(f"{PROGRAM}: {line}")


def _say_waiting(holder: str) -> None:
    say(f"{holder} is indexing into this store; waiting for it to finish (Ctrl+C gives up) …")
