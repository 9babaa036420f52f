"""Waiting for a store that went away, and the certificates for one."""

import signal
import threading
from pathlib import Path

import pytest

from indexer.command.running import end_with_ctrl_c
from milvus import patience
from milvus.connection import Connection
from milvus.errors import StoreError, StoreUnavailable
from milvus.patience import Patience
from milvus.tls import Tls


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.02)


class Flaky:
    """Fails some times, then works."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise StoreUnavailable("away")
        return "there"


def test_it_tries_until_it_works_and_says_so_once() -> None:
    said: list[str] = []
    operation = Flaky(5)
    assert Patience(60, said.append).insist(operation) == "there"
    assert operation.calls == 6
    assert said == ["away; waiting for it, 60 s at most …", "the store answers again; going on"]


def test_without_patience_it_tries_once_and_says_nothing() -> None:
    said: list[str] = []
    operation = Flaky(1)
    with pytest.raises(StoreUnavailable):
        Patience(0, said.append).insist(operation)
    assert (operation.calls, said) == (1, [])


def test_time_is_bounded() -> None:
    operation = Flaky(10_000)
    with pytest.raises(StoreUnavailable):
        Patience(0.2).insist(operation)
    assert 2 < operation.calls < 100


def test_other_errors_are_not_waited_for() -> None:
    def refused() -> None:
        raise StoreError("no")

    with pytest.raises(StoreError, match="no"):
        Patience(60).insist(refused)


def test_an_ended_patience_lets_go_of_those_who_wait() -> None:
    waiting = threading.Event()
    patient = Patience(60, lambda line: waiting.set())
    raised: list[Exception] = []

    def insist() -> None:
        try:
            patient.insist(Flaky(10_000))
        except StoreUnavailable as error:
            raised.append(error)

    thread = threading.Thread(target=insist)
    thread.start()
    assert waiting.wait(30)
    patient.end()
    thread.join(30)
    assert len(raised) == 1


def test_ctrl_c_ends_the_waiting_of_an_indexer() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        patient = Patience(60)
        end_with_ctrl_c(patient)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        operation = Flaky(1)
        with pytest.raises(StoreUnavailable):
            patient.insist(operation)
        assert operation.calls == 1
    finally:
        signal.signal(signal.SIGINT, before)


def test_certificates_in_the_words_of_pymilvus(tmp_path: Path) -> None:
    uri = "https://host:19530"
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "client.pem", "client.key"))
    for file in (ca, cert, key):
        file.write_text("")
    assert Tls().options("http://host:19530") == {}
    assert Tls(ca_file=ca).options(uri) == {"server_pem_path": str(ca)}
    assert Tls(ca, cert, key, "name").options(uri) == {
        "ca_pem_path": str(ca),
        "client_pem_path": str(cert),
        "client_key_path": str(key),
        "server_name": "name",
    }


def test_certificates_that_cannot_work_are_refused_at_once(tmp_path: Path) -> None:
    there = tmp_path / "there.pem"
    there.write_text("")
    for uri, tls, words in (
        ("http://host:19530", Tls(ca_file=there), "for https:// addresses alone"),
        (str(tmp_path / "milvus.db"), Tls(server_name="x"), "for https:// addresses alone"),
        ("https://host", Tls(ca_file=tmp_path / "none"), "No such file"),
        ("https://host", Tls(client_cert=there, client_key=there), "ca-file"),
        ("https://host", Tls(ca_file=there, client_cert=there), "client-key"),
    ):
        with pytest.raises(StoreError, match=words):
            Connection(uri, tls=tls)
