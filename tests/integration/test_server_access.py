"""A real server that wants a password and speaks TLS, through the real commands."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from milvus_process import MilvusProcess
from PIL import Image
from support import Ran, run

from milvus.tls import Tls

TOKEN = "root:Milvus"  # the first user of every Milvus server


def _certificates(folder: Path) -> None:
    """An authority (ca), another one (other), and a server's and a client's certificate."""
    for name in ("ca", "other"):
        _openssl(folder, "req", "-x509", "-subj", f"/CN={name}", *_key(name), "-out", f"{name}.pem")
    (folder / "names").write_text("subjectAltName=DNS:milvus.example,IP:127.0.0.1\n")
    for name in ("server", "client"):
        _openssl(folder, "req", "-subj", f"/CN={name}", *_key(name), "-out", f"{name}.csr")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")


def _key(name: str) -> tuple[str, ...]:
    return ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key")


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pem")
    _certificates(folder)
    return folder


def _guarded(folder: Path, pem: Path, mode: int) -> MilvusProcess:
    return MilvusProcess(
        folder,
        "--authorization-enabled=True",
        f"--tls-mode={mode}",
        f"--server-pem-path={pem / 'server.pem'}",
        f"--server-key-path={pem / 'server.key'}",
        f"--ca-pem-path={pem / 'ca.pem'}",
        token=TOKEN,
        tls=Tls(pem / "ca.pem", pem / "client.pem", pem / "client.key"),
    )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, pem: Path) -> Iterator[str]:
    """A server that asks for a password, and shows a certificate."""
    folder = tmp_path_factory.mktemp("guarded") / "data"
    with _guarded(folder, pem, mode=1).running() as server:
        yield server.address


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, pem: Path) -> Iterator[str]:
    """A server that asks for a password, and for a certificate."""
    folder = tmp_path_factory.mktemp("mutual") / "data"
    with _guarded(folder, pem, mode=2).running() as server:
        yield server.address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("a.png", "red"), ("b.png", "green")):
        (tmp_path / "few").mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), colour).save(tmp_path / "few" / name)
    return tmp_path / "few"


def stats(uri: str, tmp_path: Path, *options: object, token: str | None = TOKEN) -> Ran:
    environment = {"IMAGE_SEARCH_MILVUS__TOKEN": token} if token else {}
    return run(
        *("image-search", "stats", "--json", "--milvus-uri", uri, *options),
        data=tmp_path / "data",
        **environment,
    )


def test_the_right_token_a_wrong_one_and_none(
    guarded: str, pem: Path, folder: Path, tmp_path: Path
) -> None:
    known = ("--milvus-ca-file", pem / "ca.pem")
    ran = run(
        *("index-folder", folder, "--model", "sample", "--milvus-uri", guarded, *known),
        data=tmp_path / "data",
        IMAGE_SEARCH_MILVUS__TOKEN=TOKEN,
    )
    assert ran.code == 0, ran.err
    ran = stats(guarded, tmp_path, *known)
    assert (ran.code, json.loads(ran.out)["images"]) == (0, 2)
    for token in ("root:wrong", "nobody:Milvus", None):
        ran = stats(guarded, tmp_path, *known, token=token)
        assert ran.code == 1
        assert "does not let us in" in ran.line
        assert "check --milvus-token" in ran.line
        assert "wrong" not in ran.line  # a password is in no message


def test_a_database_is_made_by_who_writes_alone(
    guarded: str, pem: Path, folder: Path, tmp_path: Path
) -> None:
    there = ("--milvus-uri", guarded, "--milvus-ca-file", pem / "ca.pem", "--milvus-db", "holidays")
    ran = stats(guarded, tmp_path, *there[2:])
    assert ran.code == 1
    assert "nothing is indexed in" in ran.line
    assert "(database holidays)" in ran.line
    indexing = ("index-folder", folder, "--model", "sample", "--json", *there)
    ran = run(*indexing, data=tmp_path / "data", IMAGE_SEARCH_MILVUS__TOKEN=TOKEN)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["added"] == 2
    ran = stats(guarded, tmp_path, *there[2:])
    assert (ran.code, json.loads(ran.out)["images"]) == (0, 2)


def test_certificates_that_do_not_fit(guarded: str, pem: Path, tmp_path: Path) -> None:
    known = ("--milvus-ca-file", pem / "ca.pem")
    plain = guarded.replace("https:", "http:")
    named = "--milvus-server-name"
    for uri, options, words in (
        (guarded, (), "certificate is not trusted"),
        (guarded, ("--milvus-ca-file", pem / "other.pem"), "certificate is not trusted"),
        (guarded, (*known, named, "other.example"), "--milvus-server-name"),
        (plain, (), f"it speaks TLS; write {guarded}"),
        (plain, known, "certificates are for https:// addresses alone"),
        (guarded, ("--milvus-ca-file", pem / "none.pem"), "No such file"),
    ):
        ran = stats(uri, tmp_path, *options)
        assert ran.code == 1
        assert words in ran.line
    ran = stats(guarded, tmp_path, *known, named, "milvus.example")
    assert "index-folder" in ran.err or ran.code == 0  # let in


def test_a_server_without_tls(milvus_server: str, tmp_path: Path) -> None:
    secure = milvus_server.replace("http:", "https:")
    ran = stats(secure, tmp_path)
    assert ran.code == 1
    assert f"it does not speak TLS; write {milvus_server}" in ran.line


def test_a_server_that_asks_for_a_certificate(
    mutual: str, pem: Path, folder: Path, tmp_path: Path
) -> None:
    known = ("--milvus-ca-file", pem / "ca.pem")
    shown = ("--milvus-client-cert", pem / "client.pem", "--milvus-client-key", pem / "client.key")
    indexing = ("index-folder", folder, "--model", "sample", "--milvus-uri", mutual)
    ran = run(*indexing, *known, *shown, data=tmp_path / "d", IMAGE_SEARCH_MILVUS__TOKEN=TOKEN)
    assert ran.code == 0, ran.err
    ran = stats(mutual, tmp_path, *known, *shown)
    assert (ran.code, json.loads(ran.out)["images"]) == (0, 2)
    ran = stats(mutual, tmp_path, *known)
    assert ran.code == 1
    assert "check --milvus-client-cert and --milvus-client-key" in ran.line
    ran = stats(mutual, tmp_path, *shown)
    assert (ran.code, "--milvus-ca-file" in ran.line) == (1, True)
