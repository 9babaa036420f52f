"""The command line of ``image-search``."""

import argparse
from pathlib import Path

from configs.commandline import OneLineParser, add_settings
from webapp.commands.parts import PROGRAM

# Searching takes the model that the collection records; another one could not compare.
RECORDED = ("model.name", "model.pretrained")
# Only what makes a collection, or changes its index, needs to be told which.
MADE_WITH = "milvus.index_type"


def parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
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
