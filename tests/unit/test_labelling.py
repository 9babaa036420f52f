"""Zero-shot labels and export, on a small made collection."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fakes import FakeEncoder, MemoryStore

from milvus.entities import ImageRow
from webapp.errors import BadQuery, CannotWrite
from webapp.export import export
from webapp.labelling import Classifier, labels_from, write_labels

PLAIN = ("a {}",)


@pytest.fixture
def filled(store: MemoryStore, encoder: FakeEncoder) -> MemoryStore:
    colours = ["red", "green", "blue"]
    rows = [
        ImageRow(n, f"/l/{c}/ü{n}.png", "/l", c, 0, 1, f"h{n}", 8, 8, {"caption": f"so {c}"})
        for n, c in enumerate(colours, start=2**60)
    ]
    store.upsert(rows, list(encoder.encode_texts(colours)))
    return store


def test_probabilities_are_the_softmax_of_scaled_cosines(encoder: FakeEncoder) -> None:
    classifier = Classifier(encoder, ["red", "green"], PLAIN)
    vectors = encoder.encode_texts(["red", "red green"])
    shares = classifier.probabilities(vectors)
    cosines = vectors @ encoder.encode_texts(["red", "green"]).T
    expected = np.exp(10 * cosines) / np.exp(10 * cosines).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, expected, rtol=1e-5)
    assert shares[1, 0] == pytest.approx(0.5, abs=1e-6)


def test_templates_are_averaged(encoder: FakeEncoder) -> None:
    # Half of the prompts say blue as well, so that a blue picture is as near to both.
    classifier = Classifier(encoder, ["red", "green"], ("{}", "blue {}"))
    assert classifier.probabilities(encoder.encode_texts(["blue"]))[0, 0] == pytest.approx(0.5)
    with pytest.raises(BadQuery, match=r"one \{\} where the label goes"):
        Classifier(encoder, ["red", "green"], ("no place",))


def test_labels_are_stored_with_their_pictures(filled: MemoryStore, encoder: FakeEncoder) -> None:
    classifier = Classifier(encoder, ["blue", "green"], PLAIN)
    found = list(write_labels(filled, classifier, filled.entities()))
    assert [one.labels[0][0] for one in found][1:] == ["green", "blue"]
    row = filled.get([2**60 + 2])[0]
    assert (row.extras["label"], row.extras["caption"]) == ("blue", "so blue")
    assert row.extras["label_score"] > 0.99
    np.testing.assert_array_equal(
        filled.embeddings([2**60 + 2])[2**60 + 2], encoder.encode_texts(["blue"])[0]
    )
    assert filled.flushes == 1


def test_a_file_of_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes("\ufeff# fruit\nred apple\n\n lemon \nlemon\n".encode())
    assert labels_from(file) == ["red apple", "lemon"]
    file.write_text("one")
    with pytest.raises(BadQuery, match="at least two labels"):
        labels_from(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadQuery, match="not UTF-8"):
        labels_from(file)
    with pytest.raises(BadQuery, match="No such file"):
        labels_from(tmp_path / "nowhere")


def test_export_as_parquet_and_npz(filled: MemoryStore, tmp_path: Path) -> None:
    for name in ("out.parquet", "out.npz"):
        assert export(tmp_path / name, filled.entities(), 4) == 3
    table = pq.read_table(tmp_path / "out.parquet").to_pydict()
    arrays = np.load(tmp_path / "out.npz")
    vectors = [vector for _, vector in filled.entities()]
    np.testing.assert_array_equal(arrays["embedding"], np.stack(vectors))
    np.testing.assert_array_equal(np.array(table["embedding"], dtype=np.float32), np.stack(vectors))
    for column, expected in (
        ("id", [2**60, 2**60 + 1, 2**60 + 2]),
        ("category", ["red", "green", "blue"]),
        ("path", [row.path for row, _ in filled.entities()]),
        ("caption", ["so red", "so green", "so blue"]),
        ("label", ["", "", ""]),
    ):
        assert table[column] == list(arrays[column]) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npz", "out.parquet"]


def test_export_of_nothing(store: MemoryStore, tmp_path: Path) -> None:
    assert export(tmp_path / "out.parquet", store.entities(), 4) == 0
    assert export(tmp_path / "out.npz", store.entities(), 4) == 0
    assert np.load(tmp_path / "out.npz")["embedding"].shape == (0, 4)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_export_to_a_bad_place(filled: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(BadQuery, match=r"must end in \.parquet or \.npz"):
        export(tmp_path / "out.csv", filled.entities(), 4)
    with pytest.raises(CannotWrite, match="No such file or directory"):
        export(tmp_path / "nowhere" / "out.npz", filled.entities(), 4)
