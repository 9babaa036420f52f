"""Errors as HTTP answers: a status, a sentence for people, a word for programs."""

from starlette.responses import JSONResponse

from embeddings.errors import EncoderError
from milvus.errors import CollectionMissing, StoreError, StoreUnavailable
from webapp.errors import AlreadyRunning, BadFolder, BadQuery, ImageGone, NotAllowed, TooLarge

# HTTP status and a word for programs; the first class that fits an error counts.
ANSWERS: dict[type[Exception], tuple[int, str]] = {
    BadQuery: (400, "bad_query"),
    TooLarge: (413, "too_large"),
    ImageGone: (404, "image_gone"),
    NotAllowed: (403, "not_allowed"),
    BadFolder: (400, "bad_folder"),
    AlreadyRunning: (409, "already_running"),
    CollectionMissing: (503, "nothing_indexed"),
    StoreUnavailable: (503, "store_away"),
    StoreError: (503, "store_error"),
    EncoderError: (503, "no_model"),
}


def later(status: int, seconds: int, reason: str) -> JSONResponse:
    """The answer to what may be asked again after so many seconds."""
    return JSONResponse({"error": reason}, status, {"Retry-After": str(seconds)})


def status_of(error: Exception) -> int:
    """The HTTP status of an error that ``ANSWERS`` knows."""
    return _answer(error)[0]


def error_json(error: Exception) -> dict[str, str]:
    """An error as the API tells it: a sentence for people, and a word for programs."""
    return {"error": str(error), "kind": _answer(error)[1]}


def _answer(error: Exception) -> tuple[int, str]:
    return next(answer for kind, answer in ANSWERS.items() if isinstance(error, kind))
