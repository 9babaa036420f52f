"""Texts that arrive together are encoded together, and repeated ones not at all."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fakes import FakeEncoder

from embeddings.encoder import Embeddings
from embeddings.texts import TextEmbeddings
from embeddings.together import Together


class Slow(FakeEncoder):
    """Encodes when it is let, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        self.calls.append(list(texts))
        self.begun.set()
        assert self.go_on.wait(10)
        if "bad" in texts:
            raise ValueError("a bad text")
        return super().encode_texts(texts)


def wait_for(count: int, together: "Together[str]") -> None:
    while len(together._waiting) < count:
        threading.Event().wait(0.01)


def test_calls_that_come_meanwhile_become_one_batch() -> None:
    encoder = Slow()
    together = Together(encoder.encode_texts, most=4)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together, ["red"])
        assert encoder.begun.wait(10)
        later = [
            pool.submit(together, [text]) for text in ("green", "blue", "red", "green", "blue")
        ]
        wait_for(5, together)
        encoder.go_on.set()
        plain = FakeEncoder()
        np.testing.assert_array_equal(first.result(10), plain.encode_texts(["red"]))
        for text, future in zip(("green", "blue", "red", "green", "blue"), later, strict=True):
            np.testing.assert_allclose(future.result(10), plain.encode_texts([text]))
    assert [len(call) for call in encoder.calls] == [1, 4, 1]


def test_one_that_fails_hurts_no_other() -> None:
    encoder = Slow()
    together = Together(encoder.encode_texts)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together, ["red"])
        assert encoder.begun.wait(10)
        good, bad = pool.submit(together, ["green"]), pool.submit(together, ["bad"])
        wait_for(2, together)
        encoder.go_on.set()
        assert len(first.result(10)) == len(good.result(10)) == 1
        with pytest.raises(ValueError, match="a bad text"):
            bad.result(10)


def test_repeated_texts_come_from_a_bounded_cache() -> None:
    encoder = Slow()
    encoder.go_on.set()
    texts = TextEmbeddings(encoder, most=2)
    plain = FakeEncoder().encode_texts(["red", "blue", "red"])
    np.testing.assert_array_equal(texts(["red", "blue", "red"]), plain)
    np.testing.assert_array_equal(texts(["red"]), plain[:1])
    assert encoder.calls == [["red", "blue"]]
    texts(["green"])  # the least recently used, blue, makes room
    texts(["red"])
    texts(["blue"])
    assert encoder.calls == [["red", "blue"], ["green"], ["blue"]]
    assert texts([]).shape == (0, 4)
