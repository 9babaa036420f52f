"""The command ``image-search``: reads settings, builds the parts, runs, prints, exits."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from configs.commandline import (
    DONE,
    FAILED,
    WRONG_USAGE,
    OneLineParser,
    add_settings,
    leave_now,
    one_line_errors,
    quiet_libraries,
    settings_from,
)
from configs.settings import Settings
from configs.sources import SettingsError

if TYPE_CHECKING:
    from embeddings.encoder import Encoder
    from milvus.collection import MilvusCollection
    from milvus.entities import ModelRecord
    from webapp.search import SearchService

PROGRAM = "image-search"
# Searching takes the model that the collection records; another one could not compare.
RECORDED = ("model.name", "model.pretrained")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; the process's exit code."""
    arguments = _parser().parse_args(argv)
    with one_line_errors(PROGRAM, (SettingsError,), ()):
        settings = settings_from(arguments)
    if arguments.command == "models":  # needs nothing heavy
        with one_line_errors(PROGRAM, (), ()):
            return _models(arguments.json)
    # Imported only now: --help and a wrong option should answer at once.
    from embeddings.errors import EncoderError
    from milvus.errors import StoreError
    from webapp.errors import BadQuery, CannotListen

    quiet_libraries()
    with one_line_errors(PROGRAM, (BadQuery,), (StoreError, EncoderError, CannotListen)):
        match arguments.command:
            case "serve":
                return _serve(settings)
            case "search":
                return _search(settings, arguments.query, arguments.category, arguments.json)
            case "stats":
                return _stats(settings, arguments.json)
            case _:
                return _drop(settings, arguments.library, arguments.yes)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(PROGRAM, description="Search indexed pictures by words.")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=OneLineParser
    )
    serve = commands.add_parser("serve", help="serve the page and the HTTP API")
    add_settings(
        serve, "model", "milvus", "search", "server", "indexing.max_pixels",
        without=(*RECORDED, "model.batch_size"),
    )  # fmt: skip
    search = commands.add_parser("search", help="search from the terminal")
    search.add_argument("query", metavar="WORDS", help="what to search for, in quotes")
    search.add_argument(
        "--category", action="append", default=[], help="only this; may be repeated"
    )
    search.add_argument("--json", action="store_true", help="print JSON")
    add_settings(search, "model", "milvus", "search", without=(*RECORDED, "model.batch_size"))
    stats = commands.add_parser("stats", help="tell what is indexed")
    stats.add_argument("--json", action="store_true", help="print JSON")
    add_settings(stats, "milvus")
    drop = commands.add_parser("drop", help="remove the index; the pictures stay")
    drop.add_argument("--library", metavar="FOLDER", type=Path, help="only this library's entries")
    drop.add_argument("--yes", action="store_true", help="do not ask")
    add_settings(drop, "milvus")
    models = commands.add_parser("models", help="list the models that are known by name")
    models.add_argument("--json", action="store_true", help="print JSON")
    add_settings(models)
    return parser


def _store(settings: Settings) -> "MilvusCollection":
    from milvus.collection import MilvusCollection
    from milvus.connection import Connection

    connection = Connection(
        settings.milvus_uri,
        token=settings.milvus.secret_token,
        db_name=settings.milvus.db_name,
        timeout=settings.milvus.timeout,
        create=False,  # a search in the wrong place should not leave a store there
    )
    return MilvusCollection(connection, settings.milvus.collection)


def _service(settings: Settings, store: "MilvusCollection") -> "SearchService":
    from webapp.search import SearchService

    def load(record: "ModelRecord") -> "Encoder":
        from embeddings.load import load_encoder

        return load_encoder(
            record.name,
            record.pretrained,
            models_dir=settings.models_dir,
            device=settings.model.device,
            precision=settings.model.precision,
        )

    return SearchService(store, load)


def _serve(settings: Settings) -> int:
    from milvus.errors import CollectionMissing, StoreUnavailable
    from milvus.index_params import METRIC_TYPE
    from webapp.media import Thumbnails
    from webapp.serving import listen, serve

    listener = listen(settings.server)
    store = _store(settings)
    try:
        store.exists()  # a file that cannot be opened is told before the page is
    except CollectionMissing:  # the page says how to index
        pass
    except StoreUnavailable as error:  # a server may come back: the page says so meanwhile
        print(f"{PROGRAM}: {error}", file=sys.stderr)
    still_loading = serve(
        _service(settings, store),
        Thumbnails(settings.thumbnails_dir, settings.indexing.max_pixels),
        listener,
        settings.server,
        index_type=store.index.index_type,
        metric_type=METRIC_TYPE,
        top_k=settings.search.top_k,
        max_query_chars=settings.search.max_query_chars,
    )
    print("stopped", file=sys.stderr)
    if still_loading:
        store.close()
        leave_now(DONE)
    return DONE


def _search(settings: Settings, text: str, categories: list[str], as_json: bool) -> int:
    from webapp.presenters import result_json, result_text
    from webapp.query import Query

    query = Query(text, settings.search.top_k, tuple(categories), settings.search.max_query_chars)
    result = _service(settings, _store(settings)).search(query)
    print(json.dumps(result_json(result), ensure_ascii=False) if as_json else result_text(result))
    return DONE


def _stats(settings: Settings, as_json: bool) -> int:
    from milvus.index_params import METRIC_TYPE
    from webapp.presenters import stats_json, stats_text

    store = _store(settings)
    stats = _service(settings, store).stats()
    kinds = (store.index.index_type, METRIC_TYPE)
    if as_json:
        print(json.dumps(stats_json(stats, *kinds), ensure_ascii=False))
    else:
        print(stats_text(stats, *kinds))
    return DONE


def _drop(settings: Settings, library: Path | None, yes: bool) -> int:
    from milvus.lock import writing

    store = _store(settings)
    name = str(library.resolve()) if library else None
    count = sum(1 for _ in store.rows(name)) if name else store.count()
    if name and not count:
        print(f"{PROGRAM}: nothing of {name} is indexed; image-search stats lists", file=sys.stderr)
        return FAILED
    if not yes:
        if not sys.stdin.isatty():
            print(
                f"{PROGRAM}: add --yes to remove {count:,} pictures from the index", file=sys.stderr
            )
            return WRONG_USAGE
        question = f"Remove {count:,} pictures from the index in {store.address}? [y/N] "
        try:
            answer = input(question)
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was changed", file=sys.stderr)
            return DONE
    # In turn with an indexer, which would otherwise note as stored what is removed here.
    with writing(store.lock_file(settings.locks_dir), _say_waiting):
        if name:
            store.drop_library(name)
        else:
            store.drop()
    print(f"removed {count:,} pictures from the index; the files stay", file=sys.stderr)
    return DONE


def _say_waiting(holder: str) -> None:
    print(f"{holder} is indexing; waiting for it to finish (Ctrl+C gives up) …", file=sys.stderr)


def _models(as_json: bool) -> int:
    from embeddings.models import KNOWN_MODELS

    if as_json:
        print(json.dumps([asdict(model) for model in KNOWN_MODELS]))
        return DONE
    print(f"{'model':<16} {'dimensions':>10} {'pixels':>7} {'parameters':>11} {'download':>9}")
    for model in KNOWN_MODELS:
        size = f"{model.download} MB" if model.download else "shipped"
        print(
            f"{model.name:<16} {model.dim:>10} {model.image_size:>7} "
            f"{f'{model.parameters} M':>11} {size:>9}"
        )
    print("Any other open_clip model works too: --model NAME --pretrained TAG-OR-FILE")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
