"""``image-search tune``, ``doctor`` and ``drop``: what looks after the index."""

import argparse
import json
import sys
from pathlib import Path

from configs.commandline import DONE, FAILED, WRONG_USAGE
from configs.settings import Settings
from webapp.commands.parts import PROGRAM, say_waiting, service_of, store_of


def tune(settings: Settings, arguments: argparse.Namespace) -> int:
    """Measure searches, and keep the cheapest that are exact enough."""
    from milvus.lock import writing
    from webapp.announcing import say
    from webapp.tuning import keep, rebuild, tune, tuning_json, tuning_text

    store = store_of(settings)
    state = store.index_state()
    # What a file of settings says makes collections; only a person here changes one.
    asked = vars(arguments).get("milvus.index_type")
    with writing(store.lock_file(settings.locks_dir), say_waiting):
        if arguments.rebuild or state is None or (asked and asked != state.index_type):
            rebuild(store, asked, say)
        tuning = tune(store, arguments.recall, arguments.queries, say)
        print(json.dumps(tuning_json(tuning)) if arguments.json else tuning_text(tuning))
        keep(store, tuning)
    return DONE


def doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    """Check that all is well."""
    from milvus.entities import ModelRecord
    from webapp.doctor import Places, check_text, checks_json, examine, is_well

    store = store_of(settings)

    def load() -> ModelRecord:
        record, encoder = store.model(), service_of(settings, store).encoder()
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


def drop(settings: Settings, library: Path | None, yes: bool) -> int:
    """Remove the index, or a library of it."""
    from embeddings.leftovers import Leftovers
    from embeddings.thumbnails import ThumbnailFolder
    from milvus.lock import writing
    from webapp.dropping import drop

    store = store_of(settings)
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
    with writing(store.lock_file(settings.locks_dir), say_waiting):
        try:
            drop(store, name, leftovers)
        except OSError as error:
            print(f"{PROGRAM}: thumbnails could not be deleted: {error}", file=sys.stderr)
    print(f"removed {count:,} pictures from the index; the files stay", file=sys.stderr)
    return DONE
