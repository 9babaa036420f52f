"""The command ``index-folder``: reads settings, builds the parts, runs, prints, exits."""

import argparse
import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from configs.commandline import (
    DONE,
    FAILED,
    OneLineParser,
    add_settings,
    leave_now,
    one_line_errors,
    quiet_libraries,
    settings_from,
)
from configs.hiding import hide_secrets
from configs.settings import Settings
from configs.sources import SettingsError

if TYPE_CHECKING:
    from embeddings.encoder import Encoder
    from indexer.report import IndexReport
    from indexer.source import Source
    from indexer.workers import Workers
    from milvus.collection import MilvusCollection
    from milvus.patience import Patience

PROGRAM = "index-folder"


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


def main(argv: Sequence[str] | None = None) -> int:
    """Index folders and manifests; the process's exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not (arguments.folders or arguments.manifest):
        parser.error("the following arguments are required: FOLDER, or --manifest FILE")
    if arguments.watch and arguments.manifest:
        parser.error("--watch follows folders; leave it out beside --manifest")
    with one_line_errors(PROGRAM, (SettingsError,), ()):
        settings = settings_from(arguments)
    if argv is None:
        hide_secrets(arguments, settings)
    quiet_libraries()
    # Imported only now: --help and a wrong option should answer at once.
    from embeddings.errors import EncoderError
    from indexer.errors import BadManifest, IndexingError, NotAFolder
    from milvus.errors import StoreError

    if arguments.progress_json:
        # A program that was started in the background ignores Ctrl+C, and so do those that it
        # starts; the one that reads the progress stops the run by it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with one_line_errors(
        PROGRAM, (NotAFolder, BadManifest), (IndexingError, StoreError, EncoderError)
    ):
        sources = _sources(arguments.folders, arguments.manifest, settings)
        outcome = _index(sources, settings, arguments.watch, arguments.progress_json)
        report = outcome.whole
        if arguments.json:
            print(json.dumps(report.as_json(), ensure_ascii=False))
        if report.found or not outcome.empty:
            _say(report.as_text())
        if report.interrupted:
            leave_now(FAILED)
        return FAILED if outcome.empty else DONE


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        PROGRAM,
        description="Index folders of pictures for text-to-image search. The first folder below "
        "each is a picture's category. Run it again at any time: only changes cost work.",
    )
    parser.add_argument("folders", metavar="FOLDER", nargs="*", type=Path, help="folder to index")
    parser.add_argument(
        "--manifest",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="index the pictures that a table names (.csv, .jsonl, .parquet): a column path or "
        "url, and category, caption and others to be stored; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    parser.add_argument(
        "--progress-json",
        action="store_true",
        help="print the progress on stdout for a program to read, at most five lines a second: "
        'JSON with "library", "done" of "total", "added", "updated", "moved", "removed", '
        '"unchanged", "skipped"; --json then adds the report as the last line',
    )
    parser.add_argument(
        "--watch", action="store_true", help="go on, and follow the folders until Ctrl+C"
    )
    add_settings(parser, "model", "milvus", "indexing")
    return parser


def _sources(
    folders: Sequence[Path], manifests: Sequence[Path], settings: Settings
) -> "dict[str, Source]":
    """The libraries to index, each once, by name."""
    from indexer.caption import Weights
    from indexer.downloads import Downloads
    from indexer.fetch import Limits
    from indexer.manifest import Manifest
    from indexer.scan import Folder, check_root

    given = settings.indexing
    limits = Limits(
        given.download_max_bytes,
        given.download_timeout,
        given.download_retries,
        given.allow_private_urls,
    )
    downloads = Downloads(settings.downloads_dir, limits)
    weights = Weights(image=given.image_weight, caption=given.caption_weight)
    sources: list[Source] = [Folder(check_root(folder)) for folder in folders]
    sources += [Manifest(path, downloads, weights) for path in manifests]
    return {source.library: source for source in sources}


def _index(
    sources: "Mapping[str, Source]", settings: Settings, watch: bool, progress_json: bool
) -> Outcome:
    from indexer.report import followed_by
    from indexer.watch import changed_libraries
    from milvus.collection import MilvusCollection
    from milvus.connection import Connection
    from milvus.lock import writing
    from milvus.patience import Patience
    from milvus.tls import Tls

    patience = Patience(settings.milvus.retry_seconds, _say_of_store)
    _end_with_ctrl_c(patience)
    connection = Connection(
        settings.milvus_uri,
        token=settings.milvus.secret_token,
        db_name=settings.milvus.db_name,
        timeout=settings.milvus.timeout,
        tls=Tls(**settings.milvus.tls),
        patience=patience,
    )
    store = MilvusCollection(connection, settings.milvus.collection, settings.milvus.index_type)
    workers = _workers(settings, store)
    lock = store.lock_file(settings.locks_dir)
    try:
        with writing(lock, _say_waiting):
            # Known before the long work: whether the store is there, and is this model's.
            if (
                not store.exists()
                or settings.model.encoder_url  # whose model it is, only the service knows
                or not _same_name(settings, store)
            ):
                workers.begin()
            else:
                store.complete()
            _tell_other_index(settings, store)
            outcome = _index_each(list(sources.values()), store, workers, settings, progress_json)
        if not watch or outcome.whole.interrupted:
            return outcome
        _say(outcome.whole.as_text())
        _say("watching for changes (Ctrl+C ends)")
        reports = outcome.reports
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            for changed in changed_libraries([Path(library) for library in sources]):
                with writing(lock, _say_waiting):
                    again = _index_each(
                        [sources[str(root)] for root in changed],
                        store,
                        workers,
                        settings,
                        progress_json,
                    )
                if again.whole.changed:
                    _say(again.whole.as_text())
                for name, report in again.reports.items():
                    reports[name] = (
                        followed_by(reports[name], report) if name in reports else report
                    )
                if again.whole.interrupted:
                    break
        return Outcome(reports)
    finally:
        workers.close()
        connection.close()


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
    from indexer.errors import NothingFound
    from indexer.pipeline import PipelineOptions, index_library
    from indexer.progress import JsonProgress, Progress
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
            _say(f"{PROGRAM}: {error}")
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
            _say(
                f"{PROGRAM}: collection {store.name!r} keeps its index {state.index_type}; "
                f"image-search tune --index-type {asked} changes it"
            )


def _end_with_ctrl_c(patience: "Patience") -> None:
    """Ctrl+C ends a run after the batch at hand, which must not be waited for in vain."""

    def interrupt(number: int, frame: object) -> None:
        patience.end()
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def _say_of_store(line: str) -> None:
    _say(f"{PROGRAM}: {line}")


def _say_waiting(holder: str) -> None:
    _say(f"{holder} is indexing into this store; waiting for it to finish (Ctrl+C gives up) …")


def _workers(settings: Settings, store: "MilvusCollection") -> "Workers":
    """Who decodes and encodes: threads here, or a Ray cluster."""
    from indexer.workers import LocalWorkers

    given = settings.indexing
    limits = given.max_pixels, given.max_file_mb * 1_000_000
    if given.ray is None:
        threads = given.decode_threads or os.cpu_count() or 2
        return LocalWorkers(_encoder_loader(settings, store), threads, *limits)
    from indexer.on_ray import RayOptions, RayWorkers
    from indexer.remote_worker import Ready
    from milvus.entities import ModelRecord

    model = settings.model
    load = _loading(settings)

    def prepare(ready: Ready) -> None:
        # The service knows what it is; a model is loaded by the workers alone.
        words = _words_for(load(), settings) if model.encoder_url else _words(settings)
        store.prepare(ModelRecord(ready.model_id, ready.dim, *words))

    with_gpus = model.encoder_url is None and model.device not in ("cpu", "mps")
    options = RayOptions(given.ray, given.ray_workers, with_gpus, given.decode_threads, *limits)
    return RayWorkers(options, load, prepare, _say)


def _encoder_loader(settings: Settings, store: "MilvusCollection") -> Callable[[], "Encoder"]:
    """Load the model once, when it is first needed, and make sure that the collection is its."""

    @functools.cache
    def load() -> "Encoder":
        from milvus.entities import ModelRecord

        if settings.model.encoder_url is None:
            _say(f"loading {settings.model.name} …")
        encoder = _loading(settings)()
        record = ModelRecord(encoder.model_id, encoder.dim, *_words_for(encoder, settings))
        store.prepare(record)
        return encoder

    return load


def _loading(settings: Settings) -> Callable[[], "Encoder"]:
    """What loads the encoder; it can travel to another machine."""
    from embeddings.load import load_encoder

    model = settings.model
    return functools.partial(
        load_encoder,
        model.name,
        _pretrained(settings),
        models_dir=settings.models_dir,
        device=model.device,
        precision=model.precision,
        batch_size=model.batch_size,
        url=model.encoder_url,
        credentials=model.secret_encoder_auth,
    )


def _words_for(encoder: "Encoder", settings: Settings) -> tuple[str, str | None]:
    """The name and the weights that an encoder is loaded with; an encoder service tells its own."""
    from embeddings.errors import EncoderUnsuitable
    from embeddings.models import canonical
    from embeddings.remote import RemoteEncoder

    model = settings.model
    if not isinstance(encoder, RemoteEncoder):
        return _words(settings)
    was_named = "name" in model.model_fields_set
    if was_named and canonical(model.name, None)[0] != canonical(encoder.model, None)[0]:
        raise EncoderUnsuitable(
            f"the encoder service at {encoder.address} serves {encoder.model}, not {model.name}; "
            "leave out --model, or give another --encoder-url"
        )
    return encoder.model, encoder.pretrained


def _words(settings: Settings) -> tuple[str, str | None]:
    return settings.model.name, _pretrained(settings)


def _same_name(settings: Settings, store: "MilvusCollection") -> bool:
    """Whether the collection was made with the words that this run was given.

    What they stand for is compared when the model is loaded, before anything is written. Another
    model altogether is refused here, before its weights are fetched.
    """
    from embeddings.models import canonical

    recorded = store.model()
    pretrained = _pretrained(settings)
    asked, _ = canonical(settings.model.name, pretrained)
    if canonical(recorded.name, recorded.pretrained)[0] != asked:
        raise store.mismatch(recorded, settings.model.name)
    return (recorded.name, recorded.pretrained) == (settings.model.name, pretrained)


def _pretrained(settings: Settings) -> str | None:
    """The tag, or the weights file by a path that leads there from any folder."""
    from embeddings.models import settled

    return settled(settings.model.pretrained)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
