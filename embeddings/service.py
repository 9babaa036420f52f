"""The encoder over HTTP, in the words of Weaviate's multi2vec-clip inference container."""

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from embeddings.decoding.decode import decode_square
from embeddings.encoder import Embeddings, Encoder
from embeddings.errors import EncoderError, ImageError, first_line
from embeddings.images import DEFAULT_MAX_PIXELS
from embeddings.together import Together
from embeddings.wire import (
    LIVE,
    MAX_TEXT_CHARS,
    META,
    READY,
    VECTORIZE,
    Meta,
    VectorizeAnswer,
    VectorizeRequest,
)

T = TypeVar("T")


class Refused(Exception):
    """A request that is not answered with embeddings; the message is the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """How much one request may ask for."""

    body_bytes: int = 64_000_000
    """Told to clients; bodies are counted before they come to this application."""
    items: int = 512
    """Of texts, and of images."""


class Vectorizer:
    """Encodes texts and picture files for many requests at once. Safe in several threads."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        decode_threads: int = 2,
    ) -> None:
        """Encodes one of each, so that no request waits for what is done only once."""
        self.encoder = encoder
        self._max_pixels = max_pixels
        self._texts = Together(encoder.encode_texts)
        self._images = Together(encoder.encode_images, most=encoder.batch_size)
        self._decoding = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")
        height, width = encoder.image_transform.size
        encoder.encode_images([Image.new("RGB", (width, height))])
        encoder.encode_texts(["a photo"])

    def __call__(self, texts: Sequence[str], images: Sequence[str]) -> VectorizeAnswer:
        """Embeddings of texts and of pictures in base64. Raises Refused or EncoderError."""
        # A bad picture is found here, before others' pictures come into it.
        opened = self._opened(images)
        shortened = {text: text[:MAX_TEXT_CHARS] for text in texts}
        cut = {text: text != s or self.encoder.is_cut(s) for text, s in shortened.items()}
        return VectorizeAnswer(
            text_vectors=_vectors(self._texts, shortened, texts),
            image_vectors=_vectors(self._images, opened, images),
            texts_cut=[cut[text] for text in texts],
            model_id=self.encoder.model_id,
        )

    def _opened(self, images: Sequence[str]) -> dict[str, Image.Image]:
        """Each different picture, as the model's square."""
        different = list(dict.fromkeys(images))
        squares = self._decoding.map(self._open, different, map(images.index, different))
        return dict(zip(different, squares, strict=True))

    def _open(self, encoded: str, position: int) -> Image.Image:
        transform = self.encoder.image_transform
        try:
            return decode_square(_from_base64(encoded), transform, self._max_pixels)
        except ImageError as error:
            raise Refused(422, f"images[{position}]: {first_line(error)}") from error


def build_service(
    loading: "Future[Vectorizer]",
    *,
    model: str,
    pretrained: str | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """The application; it answers 503 until ``loading`` is done.

    ``model`` and ``pretrained`` are the words that the model was loaded with. Every error is
    ``{"error": "the reason"}``.
    """
    limits = limits or Limits()
    app = FastAPI(
        title="text-image-search encoder", openapi_url=None, docs_url=None, redoc_url=None
    )
    _answer_errors_as_json(app)

    @app.get(LIVE)
    async def live() -> Response:
        """Whether the server answers at all."""
        return Response(status_code=204)

    @app.get(READY)
    async def ready() -> Response:
        """Whether the model is loaded."""
        _loaded(loading)
        return Response(status_code=204)

    @app.get(META)
    async def meta() -> Meta:
        """Model and limits."""
        encoder = _loaded(loading).encoder
        return Meta(
            model_id=encoder.model_id,
            model=model,
            pretrained=pretrained,
            dim=encoder.dim,
            batch_size=encoder.batch_size,
            logit_scale=encoder.logit_scale,
            image_transform=encoder.image_transform,
            max_body_bytes=limits.body_bytes,
            max_items=limits.items,
        )

    @app.post(VECTORIZE)
    async def vectorize(request: Request) -> Response:
        """Embeddings of texts and images."""
        vectorizer = _loaded(loading)
        body = await request.body()

        def answer() -> str:
            asked = _parsed(body, limits.items)
            return vectorizer(asked.texts, asked.images).model_dump_json(by_alias=True)

        return Response(await run_in_threadpool(answer), media_type="application/json")

    return app


def _loaded(loading: "Future[Vectorizer]") -> Vectorizer:
    if not loading.done():
        raise Refused(503, "the model is still being loaded; try again in a moment")
    return loading.result()


def _parsed(body: bytes, most: int) -> VectorizeRequest:
    # Each text's characters may be commas; what has more takes many times its bytes to read.
    if body.count(b",") > 2 * most * MAX_TEXT_CHARS:
        raise Refused(413, "the request holds too many things; send less at once")
    try:
        asked = VectorizeRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(400, f"{where or 'the request'}: {first['msg']}") from error
    for name, items in (("texts", asked.texts), ("images", asked.images)):
        if len(items) > most:
            raise Refused(413, f"{len(items):,} {name}, and at most {most:,} at once")
    return asked


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        raise ImageError("not base64") from None


def _vectors(
    encode: Callable[[Sequence[T]], Embeddings], different: Mapping[str, T], asked: Sequence[str]
) -> list[list[float]]:
    """One vector for each of ``asked``; equal ones are encoded once, and get equal vectors."""
    if not asked:
        return []
    vectors = encode(list(different.values())).tolist()
    by_key = dict(zip(different, vectors, strict=True))
    return [by_key[key] for key in asked]


def _answer_errors_as_json(app: FastAPI) -> None:
    def answer(request: Request, error: Exception) -> JSONResponse:
        match error:
            case Refused():
                status, reason = error.status, str(error)
            case HTTPException():
                status, reason = error.status_code, error.detail
            case EncoderError():
                status, reason = 503, str(error)
            case ClientDisconnect():
                status, reason = 400, "the request ended early"
            case _:
                status, reason = 500, f"{type(error).__name__}: {first_line(error)}"
        return JSONResponse({"error": reason}, status)

    for kind in (Refused, HTTPException, EncoderError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, answer)
