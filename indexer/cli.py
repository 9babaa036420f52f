"""The command ``index-folder``: reads settings, builds the parts, runs, prints, exits."""

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from configs.commandline import (
    DONE,
    FAILED,
    OneLineParser,
    add_settings,
    one_line_errors,
    quiet_libraries,
    settings_from,
)
from configs.settings import Settings
from configs.sources import SettingsError

if TYPE_CHECKING:
    from embeddings.encoder import Encoder
    from indexer.report import IndexReport
    from milvus.collection import MilvusCollection
    from milvus.connection import Connection

PROGRAM = "index-folder"


def main(argv: Sequence[str] | None = None) -> int:
    """Index folders; the process's exit code."""
    arguments = _parser().parse_args(argv)
    with one_line_errors(PROGRAM, (SettingsError,), ()):
        settings = settings_from(arguments)
    # Imported only now: --help and a wrong option should answer at once.
    from embeddings.errors import EncoderError
    from indexer.errors import IndexingError, NotAFolder
    from milvus.errors import StoreError

    quiet_libraries()
    with one_line_errors(PROGRAM, (NotAFolder,), (IndexingError, StoreError, EncoderError)):
        report = _index(arguments.folders, settings, arguments.watch)
        if arguments.json:
            print(json.dumps(report.as_json(), ensure_ascii=False))
        _say(report.as_text())
        return FAILED if report.interrupted else DONE


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        PROGRAM,
        description="Index folders of pictures for text-to-image search. The first folder below "
        "each is a picture's category. Run it again at any time: only changes cost work.",
    )
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path, help="folder to index")
    parser.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    parser.add_argument(
        "--watch", action="store_true", help="go on, and follow the folders until Ctrl+C"
    )
    add_settings(parser, "model", "milvus", "indexing")
    return parser


def _index(folders: Sequence[Path], settings: Settings, watch: bool) -> "IndexReport":
    from indexer.errors import NothingFound
    from indexer.lock import writing
    from indexer.report import total
    from indexer.scan import check_root
    from indexer.watch import changed_libraries
    from milvus.collection import MilvusCollection
    from milvus.connection import Connection

    roots = list(dict.fromkeys(check_root(folder) for folder in folders))
    connection = Connection(
        settings.milvus_uri,
        token=settings.milvus.secret_token,
        db_name=settings.milvus.db_name,
        timeout=settings.milvus.timeout,
    )
    store = MilvusCollection(connection, settings.milvus.collection)
    load = _encoder_loader(settings, store)
    lock = _lock_file(settings, connection)
    try:
        with writing(lock, _say_waiting):
            # Known before the long work: whether the store is there, and is this model's.
            if not store.exists() or not _same_name(settings, store):
                load()
            report = total([*_index_each(roots, store, load, settings)])
        if not watch or report.interrupted:
            return report
        _say(report.as_text())
        _say("watching for changes (Ctrl+C ends)")
        reports = [report]
        for changed in changed_libraries(roots):
            try:
                with writing(lock, _say_waiting):
                    reports += _index_each(changed, store, load, settings)
            except NothingFound as error:  # a folder that is empty for a while may fill again
                _say(f"{PROGRAM}: {error}")
                continue
            _say(reports[-1].as_text())
            if reports[-1].interrupted:
                break
        return total(reports)
    finally:
        connection.close()


def _index_each(
    roots: Sequence[Path],
    store: "MilvusCollection",
    load: Callable[[], "Encoder"],
    settings: Settings,
) -> Iterator["IndexReport"]:
    from indexer.pipeline import PipelineOptions, count_files, index_library
    from indexer.progress import Progress
    from indexer.snapshot import Snapshots

    options = PipelineOptions(
        write_batch=settings.indexing.write_batch,
        decode_threads=settings.indexing.decode_threads or os.cpu_count() or 2,
        max_pixels=settings.indexing.max_pixels,
        keep_missing=settings.indexing.keep_missing,
    )
    snapshots = Snapshots(settings.snapshots_dir, f"{store.address} {store.name}")
    for root in roots:
        with Progress(root.name or str(root), count_files(root)) as progress:
            report = index_library(root, store, load, options, progress, snapshots)
        report.model_id = store.model().model_id
        yield report
        if report.interrupted:
            return


def _lock_file(settings: Settings, connection: "Connection") -> Path:
    """Beside a local file; for a server, in the data folder, one for each collection."""
    if connection.is_lite:
        return Path(f"{connection.uri}.lock")
    name = f"{connection.uri} {settings.milvus.db_name} {settings.milvus.collection}"
    return settings.locks_dir / f"{quote(name, safe='')}.lock"


def _say_waiting(holder: str) -> None:
    _say(f"{holder} is indexing into this store; waiting for it to finish (Ctrl+C gives up) …")


def _encoder_loader(settings: Settings, store: "MilvusCollection") -> Callable[[], "Encoder"]:
    """Load the model once, when it is first needed, and make sure that the collection is its."""

    @functools.cache
    def load() -> "Encoder":
        from embeddings.load import load_encoder
        from milvus.entities import ModelRecord

        model = settings.model
        _say(f"loading {model.name} …")
        encoder = load_encoder(
            model.name,
            model.pretrained,
            models_dir=settings.models_dir,
            device=model.device,
            precision=model.precision,
            batch_size=model.batch_size,
        )
        record = ModelRecord(encoder.model_id, encoder.dim, model.name, _pretrained(settings))
        store.prepare(record)
        return encoder

    return load


def _same_name(settings: Settings, store: "MilvusCollection") -> bool:
    """Whether the collection was made with the words that this run was given.

    What they stand for is compared when the model is loaded, before anything is written.
    """
    recorded = store.model()
    return (recorded.name, recorded.pretrained) == (settings.model.name, _pretrained(settings))


def _pretrained(settings: Settings) -> str | None:
    """The tag, or the weights file by a path that leads there from any folder."""
    pretrained = settings.model.pretrained
    if pretrained and Path(pretrained).is_file():
        return str(Path(pretrained).resolve())
    return pretrained


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
