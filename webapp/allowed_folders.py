"""Which folders visitors may index: those that the operator named, and what is below them.

A name from outside never leads the program's look elsewhere: it must lie below a named folder as
it is written, ``..`` is refused, and each step is followed through links and must stay inside. So
no answer tells whether something outside exists.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

from webapp.errors import BadFolder, NotAllowed

MAX_LISTED = 500
# A folder of a million pictures takes a second to list, and holds no more folders for that.
MAX_LOOKED_AT = 20_000

NONE_ALLOWED = "this server indexes no folder from the page; start it with --allow-indexing FOLDER"
OUTSIDE = "only the folders that --allow-indexing named, and those below them, can be indexed here"


@dataclass(frozen=True)
class Listing:
    """Folders that can be chosen."""

    below: Path | None
    """None where these are the named ones themselves."""
    folders: list[tuple[str, Path]]
    """Name and absolute path, by name."""
    more: bool = False
    """Whether there are others that are not listed."""


class AllowedFolders:
    """The operator's folders, as absolute paths; with none of them nothing is allowed."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self.folders = tuple(dict.fromkeys(folders))

    def find(self, name: str) -> Path:
        """The folder of an absolute path, or of one that is relative to a named folder, with
        links resolved. Raises NotAllowed or BadFolder.
        """
        if not self.folders:
            raise NotAllowed(NONE_ALLOWED)
        places = self._places(name)
        folder = next((place for place in places if _is_folder(place)), None)
        if folder is None:
            raise BadFolder(f"{name} is no folder, or may not be read")
        return folder

    def listing(self, below: str = "") -> Listing:
        """The named folders, or the folders in one of them or below, but for hidden ones.

        Raises NotAllowed or BadFolder.
        """
        if not below:
            if not self.folders:
                raise NotAllowed(NONE_ALLOWED)
            return Listing(None, [(str(f), f) for f in self.folders if _is_folder(f)])
        folder = self.find(below)
        try:
            with os.scandir(folder) as entries:
                looked_at = list(islice(entries, MAX_LOOKED_AT + 1))
        except OSError as error:
            raise BadFolder(f"{below} cannot be listed: {error.strerror}") from error
        names = sorted(entry.name for entry in looked_at if self._is_choice(entry))
        more = len(looked_at) > MAX_LOOKED_AT or len(names) > MAX_LISTED
        return Listing(folder, [(name, folder / name) for name in names[:MAX_LISTED]], more)

    def _places(self, name: str) -> list[Path]:
        """Where a name may lead to."""
        if not name or "\0" in name or not _is_unicode(name):
            raise BadFolder("that is no folder's name")
        path = PurePath(name)
        if ".." in path.parts:
            raise NotAllowed(OUTSIDE)
        if not path.is_absolute():
            return [self._inside(folder, path.parts) for folder in self.folders]
        # As the operator wrote it, or as this program shows it.
        for root in (*self.folders, *self._roots()):
            if path.is_relative_to(root):
                return [self._inside(root, path.relative_to(root).parts)]
        raise NotAllowed(OUTSIDE)

    def _inside(self, root: Path, parts: Sequence[str]) -> Path:
        """Follow ``parts`` from ``root`` through links. Raises NotAllowed where they lead out."""
        roots = self._roots()
        here = root.resolve()
        for part in parts:
            try:
                here = (here / part).resolve()
            except (OSError, RuntimeError):  # links in a circle
                raise NotAllowed(OUTSIDE) from None
            if not any(here.is_relative_to(allowed) for allowed in roots):
                raise NotAllowed(OUTSIDE)
        return here

    def _roots(self) -> list[Path]:
        # Each time anew: a drive may be mounted, or a link changed, while the server runs.
        return [folder.resolve() for folder in self.folders]

    def _is_choice(self, entry: os.DirEntry[str]) -> bool:
        if entry.name.startswith(".") or not _is_unicode(entry.name):
            return False
        try:
            if not entry.is_dir():
                return False
            if entry.is_symlink():
                self._inside(Path(entry.path).parent, [entry.name])
        except (OSError, NotAllowed):
            return False
        return True


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir() and os.access(path, os.R_OK | os.X_OK)
    except (OSError, ValueError):  # such as a name that is too long
        return False


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
