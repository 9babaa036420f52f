"""Answer with a file that is open already."""

import os
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path

from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send


class OpenedFile(FileResponse):
    """Like a FileResponse, for the very file that was looked at: its name may lead elsewhere now.

    Closes the file.
    """

    def __init__(self, file: BufferedReader, path: Path, headers: Mapping[str, str]) -> None:
        """``path`` names it, and is opened again on systems without ``/dev/fd``."""
        self._file = file
        opened = Path(f"/dev/fd/{file.fileno()}")
        super().__init__(
            opened if opened.exists() else path,
            headers=headers,
            filename=path.name,
            stat_result=os.fstat(file.fileno()),
            content_disposition_type="inline",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
