"""Passwords show nowhere: on no command line, in no message, in no log."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import READY
from PIL import Image
from support import BIN, run

PASSWORD = "Zwetschge-7716"


@pytest.fixture
def served(indexed: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A server whose password was given as an option."""
    process = subprocess.Popen(
        [BIN / "image-search", "serve", "--port", "0", "--auth", f"anna:{PASSWORD}"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(indexed)},
    )
    assert process.stderr is not None
    line = next(line for line in process.stderr if READY.search(line))
    found = READY.search(line)
    assert found is not None
    yield process, found[1]
    process.kill()
    process.wait(30)
    process.stderr.close()


def test_a_password_is_on_no_command_line(served: tuple["subprocess.Popen[str]", str]) -> None:
    process, address = served
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    assert b"serve" in words  # it is our process
    assert PASSWORD.encode() not in b" ".join(words)
    assert b"--auth" not in words
    assert httpx.get(f"{address}/healthz").status_code == 401
    assert httpx.get(f"{address}/healthz", auth=("anna", PASSWORD)).status_code == 200


def test_a_decoder_s_process_knows_no_password(
    served: tuple["subprocess.Popen[str]", str], tmp_path: Path
) -> None:
    process, address = served
    Image.new("RGB", (40, 40), "yellow").save(tmp_path / "rare.tiff")
    with (tmp_path / "rare.tiff").open("rb") as file:
        answer = httpx.post(
            f"{address}/api/search", files={"image": file}, auth=("anna", PASSWORD), timeout=120
        )
    assert answer.status_code == 200
    # A thread that has ended hands its children on to another one.
    started = [t.read_text() for t in Path(f"/proc/{process.pid}/task").glob("*/children")]
    environments = [Path(f"/proc/{n}/environ").read_bytes() for n in " ".join(started).split()]
    assert any(b"MALLOC_ARENA_MAX=1" in environment for environment in environments)
    assert PASSWORD.encode() in Path(f"/proc/{process.pid}/environ").read_bytes()
    assert not any(PASSWORD.encode() in environment for environment in environments)


def test_what_a_server_says_names_no_password(served: tuple["subprocess.Popen[str]", str]) -> None:
    process, address = served
    for password in (PASSWORD, f"{PASSWORD}-wrong"):
        httpx.get(f"{address}/api/search?q=lemon", auth=("anna", password), timeout=60)
        httpx.get(f"{address}/nothing/here", auth=("anna", password), timeout=60)
        form = {"user": "anna", "password": password}
        assert password not in httpx.post(f"{address}/sign-in", data=form, timeout=60).text
    process.terminate()
    assert process.stderr is not None
    assert PASSWORD not in process.stderr.read()


@pytest.mark.parametrize(
    "command",
    [
        ("stats", "--milvus-uri", "http://127.0.0.1:9", "--milvus-token", f"root:{PASSWORD}"),
        ("stats", "--milvus-uri", f"http://root:{PASSWORD}@127.0.0.1:9"),
        ("stats", "--milvus-uri", f"root:{PASSWORD}@127.0.0.1:9"),
        ("serve", "--port", "0", "--encoder-url", f"http://anna:{PASSWORD}@127.0.0.1:9"),
        ("serve", "--port", "0", "--auth", f"no-colon-{PASSWORD}"),
        ("serve", "--port", "not-a-port", "--auth", f"anna:{PASSWORD}"),
        ("copy", "--to", "http://127.0.0.1:9", "--to-token", f"root:{PASSWORD}"),
    ],
)
def test_errors_name_no_password(tmp_path: Path, command: tuple[str, ...]) -> None:
    ran = run("image-search", *command, data=tmp_path / "data")
    assert ran.code != 0
    assert ran.err
    assert PASSWORD not in ran.err + ran.out
