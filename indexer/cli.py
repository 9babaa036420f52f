"""The command ``index-folder``: reads settings, builds the parts, runs, prints, exits."""

import json
import signal
import sys
from collections.abc import Sequence

from configs.commandline import (
    DONE,
    FAILED,
    leave_now,
    one_line_errors,
    quiet_libraries,
    settings_from,
)
from configs.hiding import hide_secrets
from configs.sources import SettingsError
from indexer.command.options import PROGRAM, parser
from indexer.command.parts import say, sources_of
from indexer.command.running import index


def main(argv: Sequence[str] | None = None) -> int:
    """Index folders and manifests; the process's exit code."""
    command_line = parser()
    arguments = command_line.parse_args(argv)
    if not (arguments.folders or arguments.manifest):
        command_line.error("the following arguments are required: FOLDER, or --manifest FILE")
    if arguments.watch and arguments.manifest:
        command_line.error("--watch follows folders; leave it out beside --manifest")
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
        sources = sources_of(arguments.folders, arguments.manifest, settings)
        outcome = index(sources, settings, arguments.watch, arguments.progress_json)
        report = outcome.whole
        if arguments.json:
            print(json.dumps(report.as_json(), ensure_ascii=False))
        if report.found or not outcome.empty:
            say(report.as_text())
        if report.interrupted:
            leave_now(FAILED)
        return FAILED if outcome.empty else DONE


if __name__ == "__main__":
    sys.exit(main())
