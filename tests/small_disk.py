"""Disks that are full or only read: a small one mounted for a test where that is allowed, or else
the system's limit on the size of files."""

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


class SmallDisk:
    """A disk in memory, mounted at a folder."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        folder.mkdir(parents=True, exist_ok=True)
        size = f"size={mebibytes}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)

    def leave(self, count: int) -> None:
        """Fill it up to that many bytes."""
        self._filler.unlink(missing_ok=True)
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.folder).free - count)

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def only_read(self, yes: bool) -> None:
        """Refuse every change, root's too; or allow them again."""
        mode = "remount,ro" if yes else "remount,rw"
        subprocess.run(["mount", "-o", mode, self.folder], check=True)

    def unmount(self) -> None:
        """Take it away, whoever still looks at it."""
        subprocess.run(["umount", "--lazy", self.folder], check=True)


def _can_mount() -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            SmallDisk(Path(folder), 1).unmount()
        except (OSError, subprocess.CalledProcessError):  # a container without that right
            return False
        return True


CAN_MOUNT = _can_mount()


@contextlib.contextmanager
def files_up_to(count: int) -> Iterator[None]:
    """In this process and those that it starts, no file grows beyond that many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
