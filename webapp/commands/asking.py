"""``image-search search``, ``label``, ``export`` and ``stats``: what reads the index."""

import argparse
import json
import sys
from pathlib import Path

from configs.commandline import DONE
from configs.settings import Settings
from webapp.commands.parts import say_waiting, service_of, store_of


def search(settings: Settings, arguments: argparse.Namespace) -> int:
    """Results in the terminal."""
    from webapp.presenters import result_json, result_text
    from webapp.terminal import query_from

    query = query_from(arguments, settings.search.top_k, settings.search.max_query_chars)
    result = service_of(settings, store_of(settings)).search(query)
    if arguments.json:
        print(json.dumps(result_json(result), ensure_ascii=False))
        return DONE
    for note in result.notes:
        print(note.text, file=sys.stderr)
    if result.hits:
        print(result_text(result))
    return DONE


def label(settings: Settings, arguments: argparse.Namespace) -> int:
    """Which labels pictures show."""
    from milvus.lock import writing
    from webapp.labelling import TEMPLATES, Classifier, labels_from, write_labels
    from webapp.presenters import labelled_json, labelled_text

    labels = labels_from(arguments.labels)
    store = store_of(settings)
    service = service_of(settings, store)
    classifier = Classifier(service.encoder(), labels, arguments.template or TEMPLATES)
    if arguments.write:
        # In turn with an indexer: rows are read, changed and written back.
        with writing(store.lock_file(settings.locks_dir), say_waiting):
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


def export(settings: Settings, path: Path) -> int:
    """The index as a file."""
    from webapp.export import check_format, export

    check_format(path)
    store = store_of(settings)
    count = export(path, store.entities(), store.model().dim)
    print(f"wrote {count:,} pictures to {path}", file=sys.stderr)
    return DONE


def stats(settings: Settings, as_json: bool) -> int:
    """What is indexed."""
    from milvus.index_params import METRIC_TYPE
    from webapp.presenters import stats_json, stats_text

    store = store_of(settings)
    stats = service_of(settings, store).stats()
    kinds = (store.index.index_type, METRIC_TYPE)
    if as_json:
        print(json.dumps(stats_json(stats, *kinds), ensure_ascii=False))
    else:
        print(stats_text(stats, *kinds))
    return DONE
