"""The encoder as a service, and the commands that use it in place of a model of their own."""

import base64
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from support import BIN, free_port, run

from embeddings.images import open_image
from embeddings.load import load_encoder

START_S = 120
# Which format "auto" takes may differ from process to process.
EXACT = ["--precision", "fp32"]
START = [BIN / "image-search", "encoder", "--model", "sample", "--port", "0", *EXACT]


@pytest.fixture(scope="module")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start ``image-search encoder`` and wait for its model; its address."""
    processes: list[subprocess.Popen[str]] = []

    def start(*options: str) -> str:
        data = tmp_path_factory.mktemp("service") / "data"
        process = subprocess.Popen(
            [*START, *options],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)},
        )
        processes.append(process)
        timer = threading.Timer(START_S, process.kill)
        timer.start()
        assert process.stderr is not None
        printed = ""
        for line in process.stderr:
            printed += line
            if line.startswith("ready: "):
                timer.cancel()
                found = re.search(r"serving on (http://\S+)", printed)
                assert found
                return found[1]
        raise AssertionError(f"the service did not start: {printed}")

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        assert process.stderr is not None
        assert process.stderr.read() == "stopped\n"
        assert process.wait(30) == 0
        process.stderr.close()


@pytest.fixture(scope="module")
def url(start_service: Callable[..., str]) -> str:
    return start_service()


@pytest.fixture(scope="module")
def pictures(library: Path) -> list[Path]:
    return sorted(library.rglob("*.jpg"))[::5]


def hits(*options: str, data: Path) -> list[tuple[str, float]]:
    ran = run("image-search", "search", "a photo of a lemon", "--json", *options, data=data)
    assert ran.code == 0, ran.err
    return [(Path(hit["path"]).name, hit["score"]) for hit in json.loads(ran.out)["hits"]]


def test_embeddings_are_those_of_the_model_here(
    url: str, pictures: list[Path], tmp_path: Path
) -> None:
    here = load_encoder("sample", None, models_dir=tmp_path, precision="fp32")
    far = load_encoder("whatever", None, models_dir=tmp_path, url=url)
    assert (far.model_id, far.dim, far.image_transform) == (
        here.model_id, here.dim, here.image_transform
    )  # fmt: skip
    assert far.logit_scale == pytest.approx(here.logit_scale)
    images = [open_image(path.read_bytes()).image for path in pictures]
    cosines = (here.encode_images(images) * far.encode_images(images)).sum(axis=1)
    assert cosines.min() >= 0.9999
    texts = ["a photo of a lemon", "word " * 200]
    cosines = (here.encode_texts(texts) * far.encode_texts(texts)).sum(axis=1)
    assert cosines.min() >= 0.9999
    assert [far.is_cut(text) for text in texts] == [here.is_cut(text) for text in texts]


def test_requests_beside_each_other(url: str, pictures: list[Path]) -> None:
    contents = [base64.b64encode(path.read_bytes()).decode() for path in pictures[:12]]
    with httpx.Client(base_url=url, timeout=120) as client:

        def ask(number: int) -> httpx.Response:
            if number % 4 == 3:
                return client.post("/vectorize", json={"images": [contents[number], "bad"]})
            if number % 4 == 2:
                return client.post("/vectorize", content=b"x" * 70_000_000)
            asked = {"texts": ["lemon"], "images": [contents[number]] * 2}
            return client.post("/vectorize", json=asked)

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, range(12)))
        together = client.post("/vectorize", json={"images": contents}).json()["imageVectors"]
    assert [answer.status_code for answer in answers] == [200, 200, 413, 422] * 3
    assert answers[3].json()["error"].startswith("images[1]: not base64")
    for number in (0, 1, 4, 5, 8, 9):
        first, second = answers[number].json()["imageVectors"]
        assert first == second
        assert np.dot(first, together[number]) >= 0.999
        assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)


def test_an_index_made_here_is_searched_through_the_service(url: str, indexed: Path) -> None:
    here, there = hits(*EXACT, data=indexed), hits("--encoder-url", url, data=indexed)
    assert [name for name, _ in here] == [name for name, _ in there]
    np.testing.assert_allclose([s for _, s in here], [s for _, s in there], atol=1e-5)


def test_an_index_made_with_the_service_is_searched_here(
    url: str, library: Path, indexed: Path, data: Path
) -> None:
    options = ["--encoder-url", url, "--json"]
    ran = run("index-folder", library / "lemon", *options, data=data)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["added"] == 30
    names = [name for name, _ in hits(data=data)]
    assert names
    assert set(names) <= {path.name for path in (library / "lemon").iterdir()}
    # The same model, whether it runs here or there: nothing is encoded anew.
    ran = run("index-folder", library / "lemon", "--model", "sample", "--json", data=data)
    assert json.loads(ran.out)["unchanged"] == 30
    ran = run("index-folder", library / "lemon", "--model", "sample", *options, data=data)
    assert json.loads(ran.out)["unchanged"] == 30


def test_another_model_than_the_service_s_is_refused(url: str, library: Path, data: Path) -> None:
    ran = run("index-folder", library, "--model", "RN50", "--encoder-url", url, data=data)
    assert (ran.code, "serves sample, not RN50; leave out --model" in ran.line) == (1, True)


def test_a_service_that_is_away_is_one_line(library: Path, indexed: Path, data: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    for ran in (
        run("index-folder", library, "--encoder-url", away, data=data),
        run("image-search", "search", "lemon", "--encoder-url", away, data=indexed),
    ):
        assert (ran.code, ran.out) == (1, "")
        assert f"no answer from the encoder service at {away}" in ran.line


def test_a_password(start_service: Callable[..., str], indexed: Path) -> None:
    url = start_service("--auth", "me:secret")
    assert httpx.get(f"{url}/meta").status_code == 401
    ran = run("image-search", "search", "lemon", "--encoder-url", url, data=indexed)
    assert (ran.code, "give --encoder-auth user:password" in ran.line) == (1, True)
    assert hits("--encoder-url", url, "--encoder-auth", "me:secret", data=indexed)


def test_a_service_that_cannot_start_says_why(url: str, data: Path) -> None:
    taken = url.rpartition(":")[2]
    ran = run("image-search", "encoder", "--model", "sample", "--port", taken, data=data)
    assert (ran.code, f"cannot listen on 127.0.0.1 port {taken}" in ran.line) == (1, True)
    ran = run("image-search", "encoder", "--model", "nonsense", "--port", "0", data=data)
    assert ran.code == 1
    assert "nonsense" in ran.err.splitlines()[-1]
    assert len(ran.err.splitlines()) == 2


def test_wrong_usage(data: Path) -> None:
    ran = run("image-search", "search", "a", "--encoder-url", "gpu-box:8000", data=data)
    assert (ran.code, ran.line.startswith("image-search: --encoder-url: ")) == (2, True)
