"""Answer with a file that is open already."""

import os
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send


class AnswerCut(Exception):
    """A file was written over while it was sent. What was promised cannot be kept: the connection
    has to end, which tells the visitor that something is missing."""


class OpenedFile(FileResponse):
    """Like a FileResponse, for the very file that was looked at: its name may lead elsewhere now.

    Closes the file. Raises AnswerCut.
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
        left = 0

        async def counted(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = int(dict(message["headers"])[b"content-length"])
            elif scope["method"] != "HEAD":
                left -= len(message["body"])
                if left < 0 or (left and not message["more_body"]):
                    raise AnswerCut(f"{self.filename} was written over while it was sent")
            await send(message)

        try:
            await super().__call__(scope, receive, counted)
        finally:
            self._file.close()
