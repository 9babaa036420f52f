"""The encoder service, and the encoder that uses it."""

import base64
import io
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from fakes import MOST_WORDS, FakeEncoder
from fastapi.testclient import TestClient
from PIL import Image

from embeddings.encoder import Embeddings
from embeddings.errors import EncoderUnavailable, EncoderUnsuitable, WeightsNotFound
from embeddings.remote import RemoteEncoder
from embeddings.service import Limits, Vectorizer, build_service
from embeddings.wire import MAX_TEXT_CHARS
from webapp.accounts import Accounts
from webapp.auth import BasicAuth
from webapp.bodies import BodyLimit
from webapp.checking import PasswordChecks

LIMITS = Limits(body_bytes=100_000, items=8)


def picture(colour: str = "red", size: tuple[int, int] = (60, 40), kind: str = "png") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def service(encoder: FakeEncoder, limits: Limits = LIMITS) -> TestClient:
    loading: Future[Vectorizer] = Future()
    loading.set_result(Vectorizer(encoder, max_pixels=1_000_000))
    app = build_service(loading, model="fake", limits=limits)
    return TestClient(BodyLimit(app, limits.body_bytes), raise_server_exceptions=False)


def to(client: TestClient) -> httpx.MockTransport:
    """httpx's requests, handed to an application."""

    def hand_on(request: httpx.Request) -> httpx.Response:
        answer = client.request(
            request.method, request.url.path, content=request.content, headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, content=answer.content)

    return httpx.MockTransport(hand_on)


def remote(transport: httpx.BaseTransport, credentials: str | None = None) -> RemoteEncoder:
    return RemoteEncoder(
        "http://gpu-box:8000", credentials=credentials, transport=transport, pauses=(0, 0)
    )


@pytest.fixture
def client(encoder: FakeEncoder) -> TestClient:
    return service(encoder)


def test_it_answers_as_weaviates_container(client: TestClient, encoder: FakeEncoder) -> None:
    assert client.get("/.well-known/live").status_code == 204
    assert client.get("/.well-known/ready").status_code == 204
    asked = {"texts": ["red", "green"], "images": [picture("blue")], "taskType": "passage"}
    answer = client.post("/vectorize", json=asked)
    assert answer.status_code == 200
    np.testing.assert_allclose(answer.json()["textVectors"], encoder.encode_texts(asked["texts"]))
    expected = encoder.encode_images([Image.new("RGB", (60, 40), "blue")])
    np.testing.assert_allclose(answer.json()["imageVectors"], expected)


@pytest.mark.parametrize("asked", [{"texts": None, "images": None}, {}, {"texts": []}])
def test_nothing_asked_gives_nothing(client: TestClient, asked: dict[str, object]) -> None:
    answer = client.post("/vectorize", json=asked)
    assert (answer.status_code, answer.json()) == (
        200,
        {"textVectors": [], "imageVectors": [], "textsCut": [], "modelId": "fake/1"},
    )


def test_meta_tells_all_that_a_client_needs(client: TestClient) -> None:
    assert client.get("/meta").json() == {
        "model_id": "fake/1",
        "model": "fake",
        "pretrained": None,
        "dim": 4,
        "batch_size": 4,
        "logit_scale": 10.0,
        "image_transform": {
            "size": [8, 8], "interpolation": "bicubic", "resize_mode": "shortest", "fill": 0
        },
        "max_body_bytes": 100_000,
        "max_items": 8,
    }  # fmt: skip


def test_until_the_model_is_loaded_it_is_live_and_not_ready(encoder: FakeEncoder) -> None:
    loading: Future[Vectorizer] = Future()
    client = TestClient(build_service(loading, model="fake"))
    assert client.get("/.well-known/live").status_code == 204
    for answer in (
        client.get("/.well-known/ready"),
        client.get("/meta"),
        client.post("/vectorize", json={"texts": ["red"]}),
    ):
        assert (answer.status_code, "still being loaded" in answer.json()["error"]) == (503, True)
    with pytest.raises(EncoderUnavailable, match="503: the model is still being loaded"):
        remote(to(client))
    loading.set_result(Vectorizer(encoder))
    assert client.get("/.well-known/ready").status_code == 204


def test_a_model_that_cannot_be_loaded_is_told() -> None:
    loading: Future[Vectorizer] = Future()
    loading.set_exception(WeightsNotFound("no weights"))
    answer = TestClient(build_service(loading, model="fake")).get("/.well-known/ready")
    assert (answer.status_code, answer.json()) == (503, {"error": "no weights"})


def test_one_picture_given_twice_is_encoded_once(client: TestClient, encoder: FakeEncoder) -> None:
    encoder.batches.clear()
    one, other = picture("red", kind="jpeg"), picture("blue")
    asked = {"images": [one, other, one], "texts": ["red", "red"]}
    answer = client.post("/vectorize", json=asked).json()
    first, second, third = answer["imageVectors"]
    assert first == third != second
    assert answer["textVectors"][0] == answer["textVectors"][1]
    assert encoder.batches == [2]


def test_texts_that_are_cut_are_told(client: TestClient, encoder: FakeEncoder) -> None:
    texts = ["red", "a " * (MOST_WORDS + 1), "x" * (MAX_TEXT_CHARS + 1)]
    assert client.post("/vectorize", json={"texts": texts}).json()["textsCut"] == [
        False, True, True
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("not base64!", "images[1]: not base64"),
        ("ä", "images[1]: not base64"),
        ("", "images[1]: the file is empty"),
        (base64.b64encode(b"hello").decode(), "images[1]: not a picture in a known format"),
        (picture(size=(2000, 600)), "images[1]: 2000 x 600 pixels are more than the limit"),
        (picture(size=(1, 4000)), "images[1]: 1 x 4000 pixels are too thin a strip"),
        (picture("red", (600, 600), "jpeg")[:400], "images[1]: damaged picture"),
    ],
)
def test_a_bad_picture_is_named_by_its_position(
    client: TestClient, encoder: FakeEncoder, image: str, reason: str
) -> None:
    encoder.batches.clear()
    answer = client.post("/vectorize", json={"images": [picture(), image], "texts": ["red"]})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(reason)
    assert encoder.batches == []


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "the request: Invalid JSON"),
        (b"[]", 400, "the request: Input should be an object"),
        (b'{"texts": [1]}', 400, "texts.0: Input should be a valid string"),
        (b'{"texts": "red"}', 400, "texts: Input should be a valid array"),
        (b'{"texts": ["\\ud800"]}', 400, "the request: Invalid JSON"),
        (b'{"texts": ["%s"]}' % (b"x" * 100_000), 413, "larger than 0.1 MB"),
        (b'{"texts": ["%s"]}' % (b"x" * 900_000), 413, "larger than 0.1 MB"),
        (b'{"texts": [%s1]}' % (b"1," * 40_000), 413, "holds too many things"),
        (b'{"texts": [%s1]}' % (b"1," * 5), 400, "texts.0: Input should be a valid string"),
        (b'{"texts": [%s""]}' % (b'"",' * 8), 413, "9 texts, and at most 8 at once"),
    ],
)
def test_bad_requests(client: TestClient, body: bytes, status: int, reason: str) -> None:
    answer = client.post("/vectorize", content=body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert reason in answer.json()["error"]
    assert client.get("/vectorize").json() == {"error": "Method Not Allowed"}


def test_a_failing_encoder_is_500_with_a_reason(client: TestClient, encoder: FakeEncoder) -> None:
    def fail(images: object) -> Embeddings:
        raise RuntimeError("out of memory\nand more")

    working = encoder.encode_texts
    encoder.is_cut = fail  # type: ignore[method-assign, assignment]
    answer = client.post("/vectorize", json={"texts": ["red"]})
    assert (answer.status_code, answer.json()) == (500, {"error": "RuntimeError: out of memory"})
    del encoder.is_cut
    answer = client.post("/vectorize", json={"texts": ["red"]})
    np.testing.assert_allclose(answer.json()["textVectors"], working(["red"]))


def test_requests_that_arrive_together_are_encoded_together() -> None:
    class SlowEncoder(FakeEncoder):
        def __init__(self) -> None:
            super().__init__(batch_size=16)
            self.may_go_on = threading.Event()
            self.may_go_on.set()

        def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
            found = super().encode_images(images)
            assert self.may_go_on.wait(30)
            return found

    encoder = SlowEncoder()
    client = service(encoder)
    encoder.batches.clear()
    encoder.may_go_on.clear()
    colours = ["red", "blue", "green", "black", "white", "yellow"]

    def ask(colour: str) -> httpx.Response:
        asked = {"images": [picture(colour)]}
        if colour == "green":
            asked["images"].append("bad")
        return client.post("/vectorize", json=asked)

    with ThreadPoolExecutor(len(colours)) as pool:
        answers = [pool.submit(ask, colour) for colour in colours]
        # The bad one is answered while the encoder is busy with another; the rest gathers.
        assert answers[2].result(30).status_code == 422
        threading.Event().wait(0.5)
        encoder.may_go_on.set()
        found = [answer.result(30) for answer in answers]
    assert sum(encoder.batches) == 5
    assert len(encoder.batches) < 5
    for colour, answer in zip(colours, found, strict=True):
        if colour != "green":
            expected = encoder.encode_images([Image.new("RGB", (8, 8), colour)])
            np.testing.assert_allclose(answer.json()["imageVectors"], expected, rtol=1e-6)


def test_a_remote_encoder_is_the_service_s_model(client: TestClient, encoder: FakeEncoder) -> None:
    far = remote(to(client))
    assert (far.model_id, far.dim, far.logit_scale) == ("fake/1", 4, 10.0)
    assert (far.model, far.pretrained) == ("fake", None)
    assert far.image_transform == encoder.image_transform
    images = [Image.effect_noise((30 + n, 20), 90).convert("RGB") for n in range(19)]
    np.testing.assert_array_equal(far.encode_images(images), encoder.encode_images(images))
    texts = [f"red {n} green" for n in range(19)]
    np.testing.assert_array_equal(far.encode_texts(texts), encoder.encode_texts(texts))
    assert far.encode_texts(texts).dtype == np.float32
    assert far.encode_images([]).shape == far.encode_texts([]).shape == (0, 4)


def test_whether_a_text_is_cut_is_known_from_its_encoding(client: TestClient) -> None:
    asked: list[str] = []
    transport = to(client)

    def count(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return transport.handle_request(request)

    far = remote(httpx.MockTransport(count))
    long = "a " * (MOST_WORDS + 1)
    far.encode_texts(["red", long, "x" * 100_000])
    asked.clear()
    assert [far.is_cut(text) for text in ("red", long, "x" * 100_000)] == [False, True, True]
    assert asked == []
    assert not far.is_cut("blue")
    assert asked == ["/vectorize"]


def test_requests_stay_below_the_service_s_limits(encoder: FakeEncoder) -> None:
    far = remote(to(service(encoder, Limits(body_bytes=1_000, items=2))))
    images = [Image.effect_noise((8, 8), 90).convert("RGB") for _ in range(5)]
    np.testing.assert_array_equal(far.encode_images(images), encoder.encode_images(images))
    assert far.encode_texts(["red"] * 5).shape == (5, 4)


def test_a_password(encoder: FakeEncoder) -> None:
    guarded = TestClient(BasicAuth(service(encoder).app, PasswordChecks(Accounts("me:geheim ü"))))
    assert guarded.get("/meta").status_code == 401
    assert remote(to(guarded), "me:geheim ü").dim == 4
    for wrong in (None, "me:other"):
        with pytest.raises(EncoderUnavailable, match="give --encoder-auth"):
            remote(to(guarded), wrong)


def answering(*answers: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[str]]:
    """A transport that gives these answers by turns, the last for ever; and what was asked."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        given = answers[min(len(asked), len(answers)) - 1]
        if isinstance(given, Exception):
            raise given
        return given

    return httpx.MockTransport(answer), asked


def test_what_passes_is_tried_again(client: TestClient) -> None:
    good = httpx.Response(200, content=client.get("/meta").content)
    transport, asked = answering(httpx.ConnectError("refused"), httpx.Response(502), good)
    assert remote(transport).dim == 4
    assert asked == ["/meta"] * 3


@pytest.mark.parametrize(
    ("answer", "kind", "said", "tries"),
    [
        (httpx.ConnectError("refused"), EncoderUnavailable, r"no answer .* \(refused\)", 3),
        (httpx.ConnectTimeout("timed out"), EncoderUnavailable, "image-search encoder$", 3),
        (httpx.ReadTimeout("timed out"), EncoderUnavailable, "too much to do", 1),
        (httpx.Response(500, json={"error": "memory"}), EncoderUnavailable, "500: memory", 3),
        (httpx.Response(500, json=[]), EncoderUnavailable, "500: Internal Server Error", 3),
        (httpx.Response(413, json={"error": "too large"}), EncoderUnavailable, "413: too la", 1),
        (httpx.Response(200, content=b" " * 1_000_001), EncoderUnsuitable, "larger than 1,0", 1),
        (
            httpx.Response(200, content=b"\x1f", headers={"Content-Encoding": "gzip"}),
            EncoderUnsuitable,
            "its answer to /meta is compressed",
            1,
        ),
        (httpx.Response(404), EncoderUnsuitable, "answers /meta with status 404", 1),
        (httpx.Response(200, text="<html>"), EncoderUnsuitable, r"not as expected \(JSON\)", 1),
        (
            httpx.Response(200, json={"model_name": "clip-ViT-B-32", "dim": 512, "model": "x"}),
            EncoderUnsuitable,
            "its /meta lacks model_id, pretrained, batch_size, logit_scale, image_transform, max_",
            1,
        ),
    ],
)
def test_failures_are_one_clear_line(
    answer: httpx.Response | Exception, kind: type[Exception], said: str, tries: int
) -> None:
    transport, asked = answering(answer)
    with pytest.raises(kind, match=said) as error:
        remote(transport)
    assert "http://gpu-box:8000" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(asked) == tries


def test_a_password_in_the_address_is_not_shown() -> None:
    transport, _ = answering(httpx.ConnectError("refused"))
    with pytest.raises(EncoderUnavailable) as error:
        RemoteEncoder("http://me:hunter2@gpu-box:8000/", transport=transport, pauses=())
    assert "http://gpu-box:8000 " in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "said",
    [
        {"dim": 0}, {"dim": 10**9}, {"batch_size": -1}, {"max_items": 0}, {"logit_scale": "NaN"},
        {"image_transform": {"size": [0, 8]}}, {"image_transform": {"size": [10**6, 10**6]}},
    ],
)  # fmt: skip
def test_a_service_that_says_absurd_things_of_itself_is_refused(
    client: TestClient, said: dict[str, object]
) -> None:
    transport, _ = answering(httpx.Response(200, json=client.get("/meta").json() | said))
    with pytest.raises(EncoderUnsuitable, match=f"is not as expected \\({next(iter(said))}"):
        remote(transport)


def test_another_model_at_the_same_address_is_refused(
    client: TestClient, encoder: FakeEncoder
) -> None:
    far = remote(to(client))
    encoder.model_id = "fake/2"
    with pytest.raises(EncoderUnsuitable, match="serves fake/2 now, not fake/1"):
        far.encode_texts(["red"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a | {"textVectors": [[1.0]]}, "have not 4 dimensions"),
        (lambda a: a | {"textVectors": []}, "another number of vectors"),
        (lambda a: a | {"textVectors": [[1.0] * 4]}, "that are not normalised"),
        (lambda a: a | {"textVectors": [[1e300] * 4]}, "that are not normalised"),
        (lambda a: {k: v for k, v in a.items() if k != "modelId"}, "/vectorize lacks modelId"),
    ],
)
def test_answers_that_do_not_fit_are_refused(
    client: TestClient, change: Callable[[dict[str, object]], dict[str, object]], said: str
) -> None:
    meta = httpx.Response(200, content=client.get("/meta").content)
    answer = client.post("/vectorize", json={"texts": ["red"]}).json()
    transport, _ = answering(meta, httpx.Response(200, json=change(answer)))
    with pytest.raises(EncoderUnsuitable, match=said):
        remote(transport).encode_texts(["red"])
