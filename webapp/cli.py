"""The command ``image-search``: reads settings, builds the parts, runs, prints, exits."""

import argparse
import contextlib
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
from configs.hiding import hide_secrets
from configs.settings import Settings
from configs.sources import SettingsError

if TYPE_CHECKING:
    from embeddings.encoder import Encoder
    from milvus.bulk import BulkPlace
    from milvus.collection import MilvusCollection
    from milvus.entities import ModelRecord
    from milvus.patience import Patience
    from webapp.accounts import Accounts
    from webapp.indexing import Indexing
    from webapp.search import SearchService

PROGRAM = "image-search"
# Searching takes the model that the collection records; another one could not compare.
RECORDED = ("model.name", "model.pretrained")
# Only what makes a collection, or changes its index, needs to be told which.
MADE_WITH = "milvus.index_type"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; the process's exit code."""
    arguments = _parser().parse_args(argv)
    with one_line_errors(PROGRAM, (SettingsError,), ()):
        settings = settings_from(arguments)
    if argv is None:
        hide_secrets(arguments, settings)
    if arguments.command == "models":  # needs nothing heavy
        with one_line_errors(PROGRAM, (), ()):
            return _models(arguments.json)
    if arguments.command == "password":
        with one_line_errors(PROGRAM, (), ()):
            return _password(arguments.user)
    quiet_libraries()
    # Imported only now: --help and a wrong option should answer at once.
    from embeddings.errors import EncoderError
    from milvus.errors import StoreError
    from webapp.errors import BadAccounts, CannotListen, CannotWrite, CopyDiffers, RequestError

    failures = (StoreError, EncoderError, CannotListen, CannotWrite, CopyDiffers)
    with one_line_errors(PROGRAM, (RequestError, BadAccounts), failures):
        match arguments.command:
            case "serve":
                return _serve(settings)
            case "search":
                return _search(settings, arguments)
            case "label":
                return _label(settings, arguments)
            case "export":
                return _export(settings, arguments.file)
            case "stats":
                return _stats(settings, arguments.json)
            case "encoder":
                return _encoder(settings)
            case "doctor":
                return _doctor(settings, arguments)
            case "tune":
                return _tune(settings, arguments)
            case "copy":
                return _copy(settings, arguments.merge, arguments.json)
            case "switch":
                return _switch(settings, arguments.new, arguments.keep_as)
            case _:
                return _drop(settings, arguments.library, arguments.yes)


def _parser() -> argparse.ArgumentParser:
    from webapp.terminal import add_query_options

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
    search.add_argument("--json", action="store_true", help="print JSON")
    add_query_options(search)
    add_settings(
        search, "model", "milvus", "search", "indexing.max_pixels",
        without=(*RECORDED, "model.batch_size", MADE_WITH),
    )  # fmt: skip
    label = commands.add_parser("label", help="tell which of some labels pictures show")
    label.add_argument(
        "photos", metavar="PHOTO", nargs="*", type=Path, help="none: all that are indexed"
    )
    label.add_argument(
        "--labels", metavar="FILE", type=Path, required=True, help="labels, one a line"
    )
    label.add_argument(
        "--template",
        action="append",
        metavar="TEXT",
        help="a prompt with {} for the label; may be repeated (default: seven of OpenAI's)",
    )
    label.add_argument(
        "--top", type=_count, default=3, metavar="N", help="labels shown (default: 3)"
    )
    label.add_argument(
        "--write", action="store_true", help="store the best label of indexed pictures, for --label"
    )
    label.add_argument("--json", action="store_true", help="print JSON")
    add_settings(label, "model", "milvus", "indexing.max_pixels", without=(*RECORDED, MADE_WITH))
    export = commands.add_parser(
        "export", help="write ids, paths, categories and vectors to a file"
    )
    export.add_argument("file", metavar="FILE", type=Path, help="name.parquet or name.npz")
    add_settings(export, "milvus", without=(MADE_WITH,))
    stats = commands.add_parser("stats", help="tell what is indexed")
    stats.add_argument("--json", action="store_true", help="print JSON")
    add_settings(stats, "milvus", without=(MADE_WITH,))
    tune = commands.add_parser(
        "tune", help="measure searches against exact ones, and set them to be exact enough"
    )
    tune.add_argument("--recall", type=_share, default=0.98, metavar="R", help="default: 0.98")
    tune.add_argument(
        "--queries", type=_queries, default=100, metavar="N", help="10 to 1000 (default: 100)"
    )
    tune.add_argument(
        "--rebuild",
        action="store_true",
        help="build the index anew before, for the pictures there are now; --index-type changes it",
    )
    tune.add_argument("--json", action="store_true", help="print JSON")
    add_settings(tune, "milvus")
    doctor = commands.add_parser("doctor", help="check that all is well, and tell what to do")
    doctor.add_argument("--load-model", action="store_true", help="load the model, to be sure")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    add_settings(doctor, "model", "milvus", without=(*RECORDED, "model.batch_size", MADE_WITH))
    drop = commands.add_parser("drop", help="remove the index; the pictures stay")
    drop.add_argument("--library", metavar="FOLDER", type=Path, help="only this library's entries")
    drop.add_argument("--yes", action="store_true", help="do not ask")
    add_settings(drop, "milvus", without=(MADE_WITH,))
    copy = commands.add_parser("copy", help="copy the index into another store")
    copy.add_argument(
        "--merge", action="store_true", help="keep other pictures that the other store holds"
    )
    copy.add_argument("--json", action="store_true", help="print JSON")
    add_settings(copy, "milvus", "to", "bulk")
    switch = commands.add_parser("switch", help="search another collection from now on")
    switch.add_argument("new", metavar="COLLECTION", help="--milvus-collection becomes its alias")
    switch.add_argument(
        "--keep-as", metavar="NAME", help="a new name for the collection that has the alias's name"
    )
    add_settings(switch, "milvus", without=(MADE_WITH,))
    encoder = commands.add_parser(
        "encoder", help="serve the model alone, to Weaviate and to --encoder-url"
    )
    add_settings(
        encoder, "model", "service", "server.host", "server.auth", "server.auth_file",
        "indexing.max_pixels", "indexing.decode_threads",
        without=("model.encoder_url", "model.encoder_auth"),
    )  # fmt: skip
    password = commands.add_parser(
        "password", help="print a user's line for --auth-file; asks for the password"
    )
    password.add_argument("user", metavar="USER", type=_user)
    add_settings(password)
    models = commands.add_parser("models", help="list the models that are known by name")
    models.add_argument("--json", action="store_true", help="print JSON")
    add_settings(models)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _queries(text: str) -> int:
    if not text.isdecimal() or not 10 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 10 to 1000")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0 and up to 1, as in 0.98")
    return value


def _user(text: str) -> str:
    from webapp.passwords import is_user

    if not is_user(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no user name: it must have no colon")
    return text


def _store(
    settings: Settings, patience: "Patience | None" = None, name: str | None = None
) -> "MilvusCollection":
    from milvus.collection import MilvusCollection
    from milvus.connection import Connection
    from milvus.tls import Tls

    connection = Connection(
        settings.milvus_uri,
        token=settings.milvus.secret_token,
        db_name=settings.milvus.db_name,
        timeout=settings.milvus.timeout,
        tls=Tls(**settings.milvus.tls),
        create=False,  # a search in the wrong place should not leave a store there
        patience=patience,
    )
    collection = name or settings.milvus.collection
    return MilvusCollection(connection, collection, settings.milvus.index_type)


def _service(
    settings: Settings, store: "MilvusCollection", max_pixels: int | None = None
) -> "SearchService":
    from webapp.search import SearchService

    def load(record: "ModelRecord") -> "Encoder":
        from embeddings.load import load_encoder

        return load_encoder(
            record.name,
            record.pretrained,
            models_dir=settings.models_dir,
            device=settings.model.device,
            precision=settings.model.precision,
            url=settings.model.encoder_url,
            credentials=settings.model.secret_encoder_auth,
        )

    return SearchService(store, load, max_pixels or settings.indexing.max_pixels)


def _serve(settings: Settings) -> int:
    from milvus.errors import CollectionMissing, StoreUnavailable
    from milvus.index_params import METRIC_TYPE
    from webapp.media import Thumbnails
    from webapp.serving import listen, serve

    accounts = _accounts(settings)
    listener = listen(settings.server)
    store = _store(settings)
    try:
        store.exists()  # a file that cannot be opened is told before the page is
    except CollectionMissing:  # the page says how to index
        pass
    except StoreUnavailable as error:  # a server may come back: the page says so meanwhile
        print(f"{PROGRAM}: {error}", file=sys.stderr)
    # Visitors' pictures come all at once, and their owners' may be larger.
    max_pixels = min(settings.server.max_pixels, settings.indexing.max_pixels)
    service = _service(settings, store, max_pixels)
    still_loading = serve(
        service,
        Thumbnails(settings.thumbnails_dir, settings.indexing.max_pixels),
        listener,
        settings.server,
        _indexing(settings, store, service),
        accounts,
        index_type=lambda: store.index.index_type,  # it may be rebuilt meanwhile
        metric_type=METRIC_TYPE,
        top_k=settings.search.top_k,
        max_query_chars=settings.search.max_query_chars,
        max_upload_bytes=settings.server.max_upload_mb * 1_000_000,
    )
    print("stopped", file=sys.stderr)
    if still_loading:
        store.close()
        leave_now(DONE)
    return DONE


def _indexing(
    settings: Settings, store: "MilvusCollection", service: "SearchService"
) -> "Indexing":
    """What indexes the folders that the operator allows, with the server's own settings."""
    from configs.environment import environment_of
    from milvus.errors import CollectionMissing
    from webapp.allowed_folders import AllowedFolders
    from webapp.indexing import Indexing

    for folder in settings.server.allow_indexing:
        if not folder.is_dir():  # it may come: a drive that is not mounted yet
            print(f"{PROGRAM}: --allow-indexing {folder}: there is no such folder", file=sys.stderr)

    def environment() -> dict[str, str]:
        given = settings
        # The collection's model; the settings' own before anything is indexed.
        with contextlib.suppress(CollectionMissing):
            record = store.model()
            update = {"name": record.name, "pretrained": record.pretrained}
            model = settings.model.model_copy(update=update)
            given = settings.model_copy(update={"model": model})
        return environment_of(given, "model", "milvus", "indexing")

    allowed = AllowedFolders(settings.server.allow_indexing)
    return Indexing(allowed, environment, service.library.facts.refresh)


def _accounts(settings: Settings) -> "Accounts | None":
    """Who may come in; None for everybody. Raises BadAccounts."""
    from webapp.accounts import Accounts
    from webapp.announcing import say

    server = settings.server
    if server.auth is None and server.auth_file is None:
        return None
    return Accounts(server.secret_auth, server.auth_file, say)


def _search(settings: Settings, arguments: argparse.Namespace) -> int:
    from webapp.presenters import result_json, result_text
    from webapp.terminal import query_from

    query = query_from(arguments, settings.search.top_k, settings.search.max_query_chars)
    result = _service(settings, _store(settings)).search(query)
    if arguments.json:
        print(json.dumps(result_json(result), ensure_ascii=False))
        return DONE
    for note in result.notes:
        print(note.text, file=sys.stderr)
    if result.hits:
        print(result_text(result))
    return DONE


def _label(settings: Settings, arguments: argparse.Namespace) -> int:
    from milvus.lock import writing
    from webapp.labelling import TEMPLATES, Classifier, labels_from, write_labels
    from webapp.presenters import labelled_json, labelled_text

    labels = labels_from(arguments.labels)
    store = _store(settings)
    service = _service(settings, store)
    classifier = Classifier(service.encoder(), labels, arguments.template or TEMPLATES)
    if arguments.write:
        # In turn with an indexer: rows are read, changed and written back.
        with writing(store.lock_file(settings.locks_dir), _say_waiting):
            found = list(write_labels(store, classifier, service.indexed(arguments.photos)))
    elif arguments.photos:
        embeddings = service.encode_files(arguments.photos)
        found = classifier.label([str(p) for p in arguments.photos], embeddings, arguments.top)
    else:
        found = list(classifier.label_stored(service.indexed(()), arguments.top))
    if arguments.json:
        print(json.dumps(labelled_json(found), ensure_ascii=False))
    else:
        print(labelled_text(found))
    return DONE


def _export(settings: Settings, path: Path) -> int:
    from webapp.export import check_format, export

    check_format(path)
    store = _store(settings)
    count = export(path, store.entities(), store.model().dim)
    print(f"wrote {count:,} pictures to {path}", file=sys.stderr)
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


def _tune(settings: Settings, arguments: argparse.Namespace) -> int:
    from milvus.lock import writing
    from webapp.announcing import say
    from webapp.tuning import keep, rebuild, tune, tuning_json, tuning_text

    store = _store(settings)
    state = store.index_state()
    # What a file of settings says makes collections; only a person here changes one.
    asked = vars(arguments).get("milvus.index_type")
    with writing(store.lock_file(settings.locks_dir), _say_waiting):
        if arguments.rebuild or state is None or (asked and asked != state.index_type):
            rebuild(store, asked, say)
        tuning = tune(store, arguments.recall, arguments.queries, say)
        print(json.dumps(tuning_json(tuning)) if arguments.json else tuning_text(tuning))
        keep(store, tuning)
    return DONE


def _doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    from milvus.entities import ModelRecord
    from webapp.doctor import Places, check_text, checks_json, examine, is_well

    store = _store(settings)

    def load() -> ModelRecord:
        record, encoder = store.model(), _service(settings, store).encoder()
        return ModelRecord(encoder.model_id, encoder.dim, record.name, record.pretrained)

    places = Places(settings.data_dir, settings.models_dir, settings.thumbnails_dir)
    checks = []
    for check in examine(store, places, load if arguments.load_model else None):
        checks.append(check)
        if not arguments.json:
            print(check_text(check), flush=True)
    if arguments.json:
        print(json.dumps(checks_json(checks), ensure_ascii=False))
    return DONE if is_well(checks) else FAILED


def _drop(settings: Settings, library: Path | None, yes: bool) -> int:
    from embeddings.leftovers import Leftovers
    from embeddings.thumbnails import ThumbnailFolder
    from milvus.lock import writing
    from webapp.dropping import drop

    store = _store(settings)
    name = str(library.resolve()) if library else None
    count = sum(1 for _ in store.rows(name)) if name else store.count()
    if name and not count and name not in store.last_runs():
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
    leftovers = Leftovers(ThumbnailFolder(settings.thumbnails_dir), f"{store.address} {store.name}")
    # In turn with an indexer, which would otherwise note as stored what is removed here.
    with writing(store.lock_file(settings.locks_dir), _say_waiting):
        try:
            drop(store, name, leftovers)
        except OSError as error:
            print(f"{PROGRAM}: thumbnails could not be deleted: {error}", file=sys.stderr)
    print(f"removed {count:,} pictures from the index; the files stay", file=sys.stderr)
    return DONE


def _copy(settings: Settings, merge: bool, as_json: bool) -> int:
    from milvus.collection import MilvusCollection
    from milvus.connection import Connection
    from milvus.errors import StoreError
    from milvus.lock import writing
    from milvus.patience import Patience
    from milvus.tls import Tls
    from webapp.bulk_copying import bulk_copy, worth_it
    from webapp.copy_progress import CopyProgress
    from webapp.copying import copy

    to = settings.to
    if to.address is None:
        print(f"{PROGRAM}: say where to: image-search copy --to URI", file=sys.stderr)
        return WRONG_USAGE
    place = _bulk_place(settings)
    if place is not None and merge:
        print(f"{PROGRAM}: --merge and a bulk import do not go together", file=sys.stderr)
        return WRONG_USAGE
    patience = Patience(settings.milvus.retry_seconds, _say)
    connection = Connection(
        to.address,
        token=to.secret_token,
        db_name=to.db_name,
        timeout=settings.milvus.timeout,
        tls=Tls(**to.tls),
        patience=patience,
    )
    source = _store(settings, patience)
    collection = to.collection or settings.milvus.collection
    target = MilvusCollection(connection, collection, settings.milvus.index_type)
    locks = sorted({store.lock_file(settings.locks_dir) for store in (source, target)})
    try:
        source.model()  # before the other store is made
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(writing(lock, _say_waiting))
            if place is None and worth_it(source, target):
                _say(
                    f"{source.count():,} pictures: they can go there by bulk import, too; see "
                    "--bulk-folder and --bulk-endpoint"
                )
            progress = stack.enter_context(CopyProgress(bulk=place is not None))
            if place is None:
                copied = copy(source, target, merge=merge, on_progress=progress)
            else:
                copied = bulk_copy(
                    source, target, place, on_progress=progress, on_import=progress.importing
                )
    except StoreError as error:
        if to.address not in str(error) or to.address == settings.milvus_uri:
            raise
        words = str(error).replace("--milvus-uri", "--to").replace("--milvus-", "--to-")
        raise type(error)(words) from error
    finally:
        target.close()
        source.close()
    if as_json:
        print(json.dumps(copied.as_json(), ensure_ascii=False))
    print(copied.as_text(), file=sys.stderr)
    return DONE


def _bulk_place(settings: Settings) -> "BulkPlace | None":
    """Where the files of a bulk import go; None where none was asked for."""
    from milvus.bulk import BulkBucket, BulkFolder

    bulk = settings.bulk
    if bulk.folder is not None:
        return BulkFolder(bulk.folder)
    if bulk.endpoint is not None:
        return BulkBucket(
            bulk.endpoint, bulk.bucket, bulk.access_key, bulk.plain_secret_key, bulk.secure
        )
    return None


def _switch(settings: Settings, collection: str, keep_as: str | None) -> int:
    from milvus.aliases import Aliases

    alias = settings.milvus.collection
    new = _store(settings, name=collection)
    record = new.model()  # a collection that is not ours is refused
    before = Aliases(new.connection).point(alias, collection, keep_as)
    if before is None:
        print(f"{alias} is {collection} already ({record.name})", file=sys.stderr)
        return DONE
    print(f"{alias} is {collection} from now on ({record.name})", file=sys.stderr)
    if before:
        print(
            f"{before} is still there; image-search drop --milvus-collection {before} removes it",
            file=sys.stderr,
        )
    return DONE


def _say(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr)


def _encoder(settings: Settings) -> int:
    import os
    from concurrent.futures import Future

    from embeddings.load import load_encoder
    from embeddings.models import settled
    from embeddings.service import Limits, Vectorizer, build_service
    from webapp.encoding import serve_encoder
    from webapp.serving import listen

    model, service, accounts = settings.model, settings.service, _accounts(settings)

    def load() -> Vectorizer:
        encoder = load_encoder(
            model.name,
            model.pretrained,
            models_dir=settings.models_dir,
            device=model.device,
            precision=model.precision,
            batch_size=model.batch_size,
        )
        return Vectorizer(
            encoder,
            max_pixels=settings.indexing.max_pixels,
            decode_threads=settings.indexing.decode_threads or os.cpu_count() or 2,
        )

    loading: Future[Vectorizer] = Future()
    app = build_service(
        loading,
        model=model.name,
        pretrained=settled(model.pretrained),
        limits=Limits(service.max_body_mb * 1_000_000, service.max_items),
    )
    listener = listen(settings.server.model_copy(update={"port": service.port, "lan": False}))
    serve_encoder(app, loading, load, listener, accounts)
    print("stopped", file=sys.stderr)
    leave_now(DONE)  # nothing is lost with a batch that nobody waits for


def _say_waiting(holder: str) -> None:
    print(f"{holder} is indexing; waiting for it to finish (Ctrl+C gives up) …", file=sys.stderr)


def _password(user: str) -> int:
    from getpass import getpass

    from webapp.accounts import account_line

    if sys.stdin.isatty():
        try:
            password, again = getpass(f"password for {user}: "), getpass("the same again: ")
        except EOFError:
            password = again = ""
        if again != password:
            print(f"{PROGRAM}: the two passwords are not the same", file=sys.stderr)
            return FAILED
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        print(f"{PROGRAM}: an empty password guards nothing", file=sys.stderr)
        return FAILED
    print(account_line(user, password))
    return DONE


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
