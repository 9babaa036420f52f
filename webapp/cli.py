"""The command ``image-search``: reads settings, runs a subcommand, turns errors into one line."""

import sys
from collections.abc import Sequence

from configs.commandline import one_line_errors, quiet_libraries, settings_from
from configs.heaps import share_heaps
from configs.hiding import hide_secrets
from configs.sources import SettingsError
from webapp.commands import asking, moving, plain, servers, upkeep
from webapp.commands.options import parser
from webapp.commands.parts import PROGRAM


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; the process's exit code."""
    arguments = parser().parse_args(argv)
    with one_line_errors(PROGRAM, (SettingsError,), ()):
        settings = settings_from(arguments)
    if argv is None:
        hide_secrets(arguments, settings)
    if arguments.command == "models":  # needs nothing heavy
        with one_line_errors(PROGRAM, (), ()):
            return plain.models(arguments.json)
    if arguments.command == "password":
        with one_line_errors(PROGRAM, (), ()):
            return plain.password(arguments.user)
    if argv is None and arguments.command in ("serve", "encoder"):
        share_heaps()
    quiet_libraries()
    # Imported only now: --help and a wrong option should answer at once.
    from embeddings.errors import EncoderError
    from milvus.errors import StoreError
    from webapp.errors import BadAccounts, CannotListen, CannotWrite, CopyDiffers, RequestError

    failures = (StoreError, EncoderError, CannotListen, CannotWrite, CopyDiffers)
    with one_line_errors(PROGRAM, (RequestError, BadAccounts), failures):
        match arguments.command:
            case "serve":
                return servers.serve(settings)
            case "search":
                return asking.search(settings, arguments)
            case "label":
                return asking.label(settings, arguments)
            case "export":
                return asking.export(settings, arguments.file)
            case "stats":
                return asking.stats(settings, arguments.json)
            case "encoder":
                return servers.encoder(settings)
            case "doctor":
                return upkeep.doctor(settings, arguments)
            case "tune":
                return upkeep.tune(settings, arguments)
            case "copy":
                return moving.copy(settings, arguments.merge, arguments.json)
            case "switch":
                return moving.switch(settings, arguments.new, arguments.keep_as)
            case _:
                return upkeep.drop(settings, arguments.library, arguments.yes)


if __name__ == "__main__":
    sys.exit(main())
