"""The command line of ``index-folder``."""

import argparse
from pathlib import Path

from configs.commandline import OneLineParser, add_settings

PROGRAM = "index-folder"


def parser() -> argparse.ArgumentParser:
    """Its options and the settings that it takes."""
    made = OneLineParser(
        PROGRAM,
        description="Index folders of pictures for text-to-image search. The first folder below "
        "each is a picture's category. Run it again at any time: only changes cost work.",
    )
    made.add_argument("folders", metavar="FOLDER", nargs="*", type=Path, help="folder to index")
    made.add_argument(
        "--manifest",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="index the pictures that a table names (.csv, .jsonl, .parquet): a column path or "
        "url, and category, caption and others to be stored; may be given several times",
    )
    made.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    made.add_argument(
        "--progress-json",
        action="store_true",
        help="print the progress on stdout for a program to read, at most five lines a second: "
        'JSON with "library", "done" of "total", "added", "updated", "moved", "removed", '
        '"unchanged", "skipped"; --json then adds the report as the last line',
    )
    made.add_argument(
        "--watch", action="store_true", help="go on, and follow the folders until Ctrl+C"
    )
    add_settings(made, "model", "milvus", "indexing")
    return made
