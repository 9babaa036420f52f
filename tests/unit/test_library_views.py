"""Montages and the map: what is chosen, where it lies, and how it is answered."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from fastapi.testclient import TestClient
from small_api import small_api

from milvus.entities import ImageRow, image_id
from milvus.runs import LastRun
from webapp.library import MAP_OF
from webapp.montage import representatives
from webapp.presenters import thumbnail_url
from webapp.projection import project, shares

HOSTILE = ['say "hi"', "it's", "\\", "🍋", "", "a, b or category != ''", "<script>", "x" * 255]
HOUR_NS = 3_600_000_000_000


def unit(rows: object) -> np.ndarray:
    array = np.asarray(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def scattered(n: int, seed: int, towards: tuple[float, ...] = (0, 0, 0, 0)) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, 4)) * 0.1 + towards)


def put(store: MemoryStore, category: str, embeddings: np.ndarray, library: str = "/l") -> None:
    rows = []
    for n in range(len(embeddings)):
        key = image_id(library, f"{category}/{n}")
        path = f"{library}/{category}/{n}.jpg"
        rows.append(ImageRow(key, path, library, category, HOUR_NS, 10, f"{category}{n}", 40, 30))
    store.upsert(rows, list(embeddings))


@pytest.fixture
def client(store: MemoryStore, encoder: FakeEncoder, tmp_path: Path) -> TestClient:
    app = small_api(store, encoder, tmp_path / "thumbnails", allowed=[tmp_path])
    return TestClient(app)


def test_a_montage_has_a_picture_of_each_kind_the_commonest_first() -> None:
    kinds = [(0, 0, 1, 0), (1, 0, 0, 0), (0, 1, 0, 0)]
    sizes = (5, 40, 15)
    embeddings = np.concatenate([scattered(n, n, k) for n, k in zip(sizes, kinds, strict=True)])
    kind = np.repeat([0, 1, 2], sizes)
    chosen = representatives(embeddings, 3)
    assert kind[chosen].tolist() == [1, 2, 0]
    assert representatives(embeddings.copy(), 3) == chosen


def test_a_montage_shows_the_typical_picture_of_a_kind() -> None:
    embeddings = np.concatenate([scattered(50, 1, (1, 0, 0, 0)), unit([[0.6, 0.8, 0, 0]])])
    (chosen,) = representatives(embeddings, 1)
    assert chosen != 50
    assert embeddings[chosen] @ embeddings.mean(axis=0) >= np.median(
        embeddings @ embeddings.mean(axis=0)
    )


def test_copies_are_one_picture_in_a_montage() -> None:
    embeddings = np.repeat(unit([[1, 0, 0, 0], [0, 1, 0, 0]]), [6, 3], axis=0)
    chosen = representatives(embeddings, 9)
    assert sorted(embeddings[chosen].argmax(axis=1)) == [0, 1]


def test_a_small_category_is_shown_whole() -> None:
    assert sorted(representatives(scattered(4, 3), 9)) == [0, 1, 2, 3]
    assert representatives(scattered(1, 3), 9) == [0]


def test_a_sample_is_in_proportion_with_a_few_of_each() -> None:
    counts = {"many": 9000, "some": 900, "few": 99, "one": 1}
    sample = shares(counts, 1000, 5)
    assert sum(sample.values()) == 1000
    assert sample["one"] == 1
    assert 10 <= sample["few"] <= 16
    assert sample["many"] / sample["some"] == pytest.approx(10, rel=0.1)
    assert shares({"a": 3, "b": 4}, 1000, 5) == {"a": 3, "b": 4}


def test_a_sample_of_very_many_categories_takes_the_largest() -> None:
    counts = {f"c{n:04}": 1 + n for n in range(50)}
    sample = shares(counts, 10, 5)
    assert sample == {f"c{n:04}": 1 for n in range(40, 50)}
    assert sum(shares(counts, 120, 5).values()) == 120


def test_the_map_shows_the_widest_directions_in_one_scale() -> None:
    chance = np.random.default_rng(1)
    flat = chance.normal(size=(200, 2)) * (4, 1)
    turned, _ = np.linalg.qr(chance.normal(size=(8, 8)))
    embeddings = (np.pad(flat, [(0, 0), (0, 6)]) @ turned + 3).astype(np.float32)
    points, explained = project(embeddings)
    assert np.abs(points).max() == pytest.approx(1)
    assert points.std(axis=0)[0] / points.std(axis=0)[1] == pytest.approx(4, rel=0.2)
    assert sum(explained) == pytest.approx(1, abs=1e-5)
    assert explained[0] > 0.9
    between = np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[2] - flat[3])
    shown = np.linalg.norm(points[0] - points[1]) / np.linalg.norm(points[2] - points[3])
    assert shown == pytest.approx(between, rel=1e-3)
    order = chance.permutation(200)
    np.testing.assert_allclose(project(embeddings[order])[0], points[order], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_map_of_few_or_equal_pictures(n: int) -> None:
    points, explained = project(np.ones((n, 4), dtype=np.float32))
    assert (points.tolist(), explained) == ([[0, 0]] * n, (0, 0))
    points, explained = project(scattered(n, 5))
    assert points.shape == (n, 2)
    assert np.abs(points).max() == pytest.approx(0 if n == 1 else 1)
    if n == 1:
        assert explained == (0, 0)
    if n == 2:
        assert explained == pytest.approx((1, 0))


def test_the_library_is_told(store: MemoryStore, client: TestClient, tmp_path: Path) -> None:
    put(store, "kiwi", scattered(2, 1))
    put(store, "apple", scattered(2, 2))
    put(store, "lime", scattered(3, 3), "/other")
    run = LastRun(
        "2026-11-21T12:00:00+00:00", 1.5, 5, 4, 0, 0, 0, 0, 1,
        (("/l/bad.jpg", "damaged"),), False, "fake/1",
    )  # fmt: skip
    store.runs = {"/l": run, "/all skipped": run}
    answer = client.get("/api/library").json()
    told = {
        "finished_at": "2026-11-21T12:00:00+00:00", "seconds": 1.5, "found": 5, "added": 4,
        "updated": 0, "moved": 0, "removed": 0, "unchanged": 0, "skipped_count": 1,
        "skipped": [{"path": "/l/bad.jpg", "reason": "damaged"}], "interrupted": False,
        "model_id": "fake/1",
    }  # fmt: skip
    assert answer == {
        "images": 7,
        "bytes": 70,
        "oldest": "1970-01-01T01:00:00+00:00",
        "newest": "1970-01-01T01:00:00+00:00",
        "categories": [
            {"name": "lime", "count": 3},
            {"name": "apple", "count": 2},
            {"name": "kiwi", "count": 2},
        ],
        "libraries": [
            {"path": "/all skipped", "count": 0, "last_run": told},
            {"path": "/l", "count": 4, "last_run": told},
            {"path": "/other", "count": 3, "last_run": None},
        ],
        "model": {"id": "fake/1", "name": "fake", "dim": 4},
        "index_type": "IVF_FLAT",
        "metric_type": "IP",
        "indexing": {"allowed": True, "folders": [str(tmp_path)]},
        "move_to_server": None,
        "stale": False,
    }


@pytest.mark.parametrize("place", ["", "/montage?category=apple", "/map"])
def test_nothing_indexed_is_503(store: MemoryStore, client: TestClient, place: str) -> None:
    store.record = None
    answer = client.get(f"/api/library{place}")
    assert answer.status_code == 503
    assert "index-folder FOLDER" in answer.json()["error"]


def test_montages_of_categories_with_any_name(store: MemoryStore, client: TestClient) -> None:
    for seed, category in enumerate(HOSTILE):
        put(store, category, scattered(20, seed))
    for category in HOSTILE:
        params = {"category": category, "count": "4"}
        answer = client.get("/api/library/montage", params=params).json()
        assert (answer["category"], answer["count"]) == (category, 20)
        assert len(answer["pictures"]) == 4
        for picture in answer["pictures"]:
            row, _ = store.held[int(picture["id"])]
            assert row.category == category
            assert picture == {
                "id": str(row.m_id),
                "path": row.path,
                "thumbnail_url": "/" + thumbnail_url(row.m_id, row.content_hash),
                "width": 40,
                "height": 30,
            }


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"category": "no such"}, 404),
        ({}, 400),
        ({"category": "apple", "count": "0"}, 400),
        ({"category": "apple", "count": "many"}, 400),
    ],
)
def test_montages_that_cannot_be_made(
    store: MemoryStore, client: TestClient, params: dict[str, str], status: int
) -> None:
    put(store, "apple", scattered(3, 1))
    answer = client.get("/api/library/montage", params=params)
    assert (answer.status_code, list(answer.json())) == (status, ["error", "kind"])


def test_a_montage_follows_the_collection(store: MemoryStore, client: TestClient) -> None:
    put(store, "apple", scattered(3, 1))
    params = {"category": "apple"}
    first = client.get("/api/library/montage", params=params).json()
    assert client.get("/api/library/montage", params=params).json() == first
    put(store, "apple", scattered(5, 2))
    assert client.get("/api/stats").json()["images"] == 5  # sees the change, whatever was checked
    assert len(client.get("/api/library/montage", params=params).json()["pictures"]) == 5


def test_the_map_is_a_sample_that_stays(store: MemoryStore, client: TestClient) -> None:
    put(store, "many", scattered(MAP_OF + 500, 1, (1, 0, 0, 0)))
    put(store, "rare", scattered(3, 2, (0, 1, 0, 0)))
    first = client.get("/api/library/map").json()
    assert (first["sampled"], first["of"]) == (MAP_OF, MAP_OF + 503)
    assert len(first["points"]) == MAP_OF
    assert sum(point["category"] == "rare" for point in first["points"]) == 3
    assert all(-1 <= point["x"] <= 1 and -1 <= point["y"] <= 1 for point in first["points"])
    assert set(first["points"][0]) == {"id", "x", "y", "category", "thumbnail_url", "path"}
    assert 1 >= first["explained"][0] >= first["explained"][1] > 0
    # One more picture of thousands does not make another map.
    put(store, "new", scattered(1, 3, (0, 0, 1, 0)))
    client.get("/api/stats")
    second = client.get("/api/library/map").json()
    assert second["of"] == MAP_OF + 504
    both = {point["id"] for point in first["points"]} & {p["id"] for p in second["points"]}
    assert len(both) >= MAP_OF - 5


def test_the_map_reads_no_more_than_its_sample(
    store: MemoryStore, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "many", scattered(MAP_OF + 500, 1))
    asked: list[int] = []
    embeddings: Callable[..., object] = store.embeddings

    def counted(ids: list[int]) -> object:
        asked.append(len(ids))
        return embeddings(ids)

    monkeypatch.setattr(store, "embeddings", counted)
    client.get("/api/library/map")
    client.get("/api/library/map")
    assert sum(asked) == MAP_OF
    assert max(asked) <= 500


def test_an_empty_collection_has_an_empty_map(client: TestClient) -> None:
    answer = client.get("/api/library/map").json()
    assert answer == {"points": [], "sampled": 0, "of": 0, "explained": [0, 0]}


def test_addresses_begin_with_the_root_path(
    store: MemoryStore, encoder: FakeEncoder, client: TestClient
) -> None:
    put(store, "apple", scattered(1, 1))
    behind = TestClient(client.app, root_path="/pictures")
    (point,) = behind.get("/api/library/map").json()["points"]
    assert point["thumbnail_url"].startswith(f"/pictures/media/{point['id']}/thumbnail?v=")
