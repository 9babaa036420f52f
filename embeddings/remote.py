"""RemoteEncoder: the Encoder that asks an encoder service (``service.py``) on another machine."""

import base64
import io
import json
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import httpx
import numpy as np
from PIL import Image
from pydantic import ValidationError

from embeddings.encoder import Embeddings
from embeddings.errors import EncoderUnavailable, EncoderUnsuitable, first_line
from embeddings.wire import (
    MAX_TEXT_CHARS,
    META,
    VECTORIZE,
    Meta,
    VectorizeAnswer,
    VectorizeRequest,
)

T = TypeVar("T")
# Seconds before each further try, where a service restarts or the network stumbles.
PAUSES = (0.2, 0.5, 1.0, 2.0)
# A service without a GPU may have many pictures before ours.
TIMEOUT = httpx.Timeout(300, connect=5)
# A call's pictures travel in requests of so many, several at once: while some are on their way,
# the service encodes others, and it puts those that arrive together into one batch.
IMAGES_IN_REQUEST = 16
REQUESTS_AT_ONCE = 16
TEXTS_IN_REQUEST = 64
REMEMBERED = 4096
# What a service's longest answers are: of /meta, or a reason; and of a vector, as JSON writes it.
MAX_ANSWER_BYTES = 1_000_000
BYTES_A_NUMBER = 32
# How far a normalised vector's length may be from 1 after a service has rounded it.
UNIT = 0.01
START_ONE = "start one there with: image-search encoder"


class _Passing(EncoderUnavailable):
    """A failure that another try may not meet."""


class RemoteEncoder:
    """An Encoder that has the work done elsewhere. Safe to call from several threads.

    Pictures are shrunk to the model's square here, and sent as lossless PNG: some 200 KB each at
    336 pixels. ``model`` and ``pretrained`` are the words that the service was started with.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: str | None = None,
        transport: httpx.BaseTransport | None = None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """Ask the service what it is; ``credentials`` is ``user:password``.

        Raises EncoderUnavailable or EncoderUnsuitable.
        """
        user, _, password = (credentials or "").partition(":")
        try:
            self.address = str(httpx.URL(url).copy_with(userinfo=b"")).rstrip("/")
            self._client = httpx.Client(
                base_url=url,
                auth=(user, password) if credentials else None,
                timeout=TIMEOUT,
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise EncoderUnsuitable(f"{url} is no address: {first_line(error)}") from error
        weakref.finalize(self, self._client.close)
        self._pauses = pauses
        self._pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="encoder-request")
        self._cut: dict[str, bool] = {}
        meta = self._meta()
        self.model = meta.model
        self.pretrained = meta.pretrained
        self.model_id = meta.model_id
        self.dim = meta.dim
        self.logit_scale = meta.logit_scale
        self.image_transform = meta.image_transform
        self._texts_in_request = min(TEXTS_IN_REQUEST, meta.max_items)
        self._images_in_request = _images_in_request(meta)
        # While the service encodes one batch, the next is on its way.
        self.batch_size = 2 * meta.batch_size
        self.batches_at_once = 1

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Embeddings of shape ``(len(images), dim)``."""
        runs = _runs(images, self._images_in_request)
        return self._joined(self._pool.map(self._encode_run, runs))

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of shape ``(len(texts), dim)``; the service cuts what is too long."""
        answers = [self._vectorize(texts=run) for run in _runs(texts, self._texts_in_request)]
        if len(self._cut) + len(texts) > REMEMBERED:
            self._cut.clear()
        for text, cut in zip(texts, [c for a in answers for c in a.texts_cut], strict=True):
            self._cut[text] = cut
        return self._joined(self._rows(answer.text_vectors) for answer in answers)

    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than the model reads; asks where it was not encoded lately."""
        known = self._cut.get(text)
        return self._vectorize(texts=[text]).texts_cut[0] if known is None else known

    def _encode_run(self, images: Sequence[Image.Image]) -> Embeddings:
        encoded = [_as_png(self.image_transform(image)) for image in images]
        return self._rows(self._vectorize(images=encoded).image_vectors)

    def _vectorize(self, texts: Sequence[str] = (), images: Sequence[str] = ()) -> VectorizeAnswer:
        # One character more than the service reads tells it that there was more.
        shortened = [text[: MAX_TEXT_CHARS + 1] for text in texts]
        request = VectorizeRequest(texts=shortened, images=list(images))
        most = MAX_ANSWER_BYTES + BYTES_A_NUMBER * self.dim * (len(texts) + len(images))
        content = self._ask("POST", VECTORIZE, request.model_dump_json(), most)
        try:
            answer = VectorizeAnswer.model_validate_json(content)
        except ValidationError as error:
            raise self._lacking(VECTORIZE, error) from error
        if answer.model_id != self.model_id:
            raise EncoderUnsuitable(
                f"the encoder service at {self.address} serves {answer.model_id} now, not "
                f"{self.model_id} as before; run this again"
            )
        counts = (len(answer.text_vectors), len(answer.texts_cut), len(answer.image_vectors))
        if counts != (len(texts), len(texts), len(images)):
            raise EncoderUnsuitable(f"{self.address} answered with another number of vectors")
        return answer

    def _meta(self) -> Meta:
        try:
            return Meta.model_validate_json(self._ask("GET", META))
        except ValidationError as error:
            raise self._lacking(META, error) from error

    def _lacking(self, path: str, error: ValidationError) -> EncoderUnsuitable:
        fields = [".".join(map(str, e["loc"])) for e in error.errors() if e["type"] == "missing"]
        first = error.errors()[0]
        wrong = ".".join(map(str, first["loc"]))
        said = f"lacks {', '.join(fields)}" if fields else f"is not as expected ({wrong or 'JSON'})"
        return EncoderUnsuitable(
            f"{self.address} is no encoder service that works here, its {path} {said}; {START_ONE}"
        )

    def _ask(
        self, method: str, path: str, content: str | None = None, most: int = MAX_ANSWER_BYTES
    ) -> bytes:
        """The content of a good answer of at most so many bytes, after as many tries as there are
        pauses, and one."""
        for pause in self._pauses:
            try:
                return self._ask_once(method, path, content, most)
            except _Passing:
                time.sleep(pause)
        return self._ask_once(method, path, content, most)

    def _ask_once(self, method: str, path: str, content: str | None, most: int) -> bytes:
        headers = {"Accept-Encoding": "identity"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            with self._client.stream(method, path, content=content, headers=headers) as response:
                answer = self._read(response, path, most)
        except httpx.RequestError as error:
            slow = isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout)
            raise (EncoderUnavailable if slow else _Passing)(
                f"no answer from the encoder service at {self.address} ({first_line(error)}); "
                + ("it has too much to do" if slow else START_ONE)
            ) from error
        if response.is_success:
            return answer
        if response.status_code == 401:
            raise EncoderUnavailable(
                f"the encoder service at {self.address} asks for another password; "
                "give --encoder-auth user:password"
            )
        if response.status_code in (301, 302, 307, 308, 404, 405):
            raise EncoderUnsuitable(
                f"{self.address} is no encoder service: it answers {path} with status "
                f"{response.status_code}; {START_ONE}"
            )
        passing = response.status_code >= 500
        raise (_Passing if passing else EncoderUnavailable)(
            f"the encoder service at {self.address} answered with status "
            f"{response.status_code}: {_reason(response, answer)}"
        )

    def _read(self, response: httpx.Response, path: str, most: int) -> bytes:
        wrong = f"{self.address} is no encoder service that works here, its answer to {path} is"
        # A few packed bytes unpack to any number; none were asked for.
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise EncoderUnsuitable(f"{wrong} compressed; {START_ONE}")
        answer = bytearray()
        for part in response.iter_bytes():
            answer += part
            if len(answer) > most:
                raise EncoderUnsuitable(f"{wrong} larger than {most:,} bytes; {START_ONE}")
        return bytes(answer)

    def _rows(self, vectors: list[list[float]]) -> Embeddings:
        try:
            with np.errstate(over="ignore"):
                rows = np.array(vectors, dtype=np.float32).reshape(len(vectors), self.dim)
        except ValueError as error:
            raise EncoderUnsuitable(
                f"{self.address} answered with vectors that have not {self.dim} dimensions"
            ) from error
        # Written so that NaN is no unit either; with squares of float64, which no number overflows.
        if not np.all(np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1) < UNIT):
            raise EncoderUnsuitable(f"{self.address} answered with vectors that are not normalised")
        return rows

    def _joined(self, parts: Iterator[Embeddings]) -> Embeddings:
        return np.concatenate([np.empty((0, self.dim), dtype=np.float32), *parts])


def _images_in_request(meta: Meta) -> int:
    height, width = meta.image_transform.size
    largest = 2 * 3 * height * width  # more than a PNG of noise in base64
    return max(1, min(IMAGES_IN_REQUEST, meta.max_items, meta.max_body_bytes // largest))


def _as_png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    # A tenth larger than at the default level, in a quarter of the time.
    image.save(buffer, "png", compress_level=1)
    return base64.b64encode(buffer.getbuffer()).decode()


def _reason(response: httpx.Response, answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])[:300]
    except (ValueError, LookupError, TypeError, RecursionError):
        return response.reason_phrase or "no reason given"


def _runs(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
