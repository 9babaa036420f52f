import numpy as np
import pytest
from fakes import RECORD, FakeEncoder, MemoryStore

from milvus.entities import Embedding, ImageRow, Match, ModelRecord
from milvus.errors import CollectionMissing, ModelMismatch
from milvus.filters import ImageFilter
from webapp.errors import BadQuery, ImageGone
from webapp.presenters import result_json, result_text, stats_json, stats_text
from webapp.query import MAX_SIMILAR, Hit, SearchResult, text_query
from webapp.search import SPARE, SearchService


def fill(store: MemoryStore) -> None:
    for number, (category, vector) in enumerate(
        [("red", (1, 0, 0, 0)), ("green", (0, 1, 0, 0)), ("", (0, 0, 1, 0))]
    ):
        path = f"/l/{category}/{number}.png"
        row = ImageRow(number, path, "/l", category, 1, 2, f"h{number}", 3, 4)
        store.upsert([row], [np.array(vector, dtype=np.float32)])


@pytest.fixture
def service(store: MemoryStore, encoder: FakeEncoder) -> SearchService:
    fill(store)
    return SearchService(store, lambda record: encoder)


def test_the_best_picture_comes_first(service: SearchService) -> None:
    hits = service.search(text_query("something green", top_k=2)).hits
    assert hits[0].category == "green"
    assert len(hits) == 2
    assert hits[0].score > 0.99 > hits[1].score


def test_categories_restrict(service: SearchService) -> None:
    query = text_query("green", filter=ImageFilter(categories=["red"]))
    assert [hit.category for hit in service.search(query).hits] == ["red"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"text": ""}, "type a few words"),
        ({"text": " \n\t "}, "type a few words"),
        ({"text": "x" * 5000}, "5,000 characters, and at most 1,000"),
        ({"text": "\udcff"}, "not valid Unicode"),
        ({"text": "a", "filter": ImageFilter(categories=["\udcff"])}, "not valid Unicode"),
        ({"text": "a", "top_k": 0}, "top_k must be between 1 and 1000, not 0"),
        ({"text": "a", "top_k": 1001}, "top_k must be between"),
    ],
)
def test_bad_queries_have_a_reason(query: dict[str, object], reason: str) -> None:
    with pytest.raises(BadQuery, match=reason):
        text_query(**query)  # type: ignore[arg-type]


def test_the_model_is_loaded_once_and_again_when_it_changes(store: MemoryStore) -> None:
    fill(store)
    loaded: list[str] = []

    def load(record: ModelRecord) -> FakeEncoder:
        loaded.append(record.model_id)
        encoder = FakeEncoder()
        encoder.model_id = record.model_id
        return encoder

    service = SearchService(store, load)
    service.search(text_query("red"))
    service.search(text_query("green"))
    assert loaded == [RECORD.model_id]
    store.record = ModelRecord("other/2", 4, "other", None)
    service.search(text_query("red"))
    assert loaded == [RECORD.model_id, "other/2"]


def test_other_weights_under_the_same_name_are_refused(store: MemoryStore) -> None:
    store.record = ModelRecord("fake/0", 4, "fake", None)
    with pytest.raises(ModelMismatch, match=r"indexed with fake/0, and fake is now fake/1"):
        SearchService(store, lambda record: FakeEncoder()).search(text_query("red"))


def test_nothing_indexed_is_told(store: MemoryStore, encoder: FakeEncoder) -> None:
    store.record = None
    with pytest.raises(CollectionMissing, match="run: index-folder FOLDER"):
        SearchService(store, lambda record: encoder).search(text_query("red"))


def test_however_alike_all_are_so_many_are_compared_and_no_more(encoder: FakeEncoder) -> None:
    asked: list[int] = []

    class Alike(MemoryStore):
        def search(self, embedding: Embedding, top_k: int, *_: object, **__: object) -> list[Match]:
            asked.append(top_k)
            vector = np.array([1, 0, 0, 0], dtype=np.float32)
            rows = (ImageRow(n, f"/l/{n}.png", "/l", "", 1, 2, f"h{n}", 3, 4) for n in range(top_k))
            return [Match(row, 0.5, vector) for row in rows]

    store = Alike()
    store.record = RECORD
    found = SearchService(store, lambda record: encoder).search(text_query("red", fold=0.1))
    assert len(found.hits) == 1
    assert asked[-1] == max(asked) == MAX_SIMILAR + SPARE


def test_pictures_by_id(service: SearchService) -> None:
    assert service.image(1).category == "green"
    with pytest.raises(ImageGone, match="no picture has the id 99"):
        service.image(99)


def test_stats(service: SearchService) -> None:
    stats = service.stats()
    assert stats_json(stats, "IVF_FLAT", "IP") == {
        "images": 3,
        "categories": {"": 1, "green": 1, "red": 1},
        "libraries": {"/l": 3},
        "model_id": "fake/1",
        "dim": 4,
        "index_type": "IVF_FLAT",
        "metric_type": "IP",
    }
    assert "3 pictures, fake/1, 4 dimensions, IVF_FLAT, IP" in stats_text(stats, "IVF_FLAT", "IP")


HIT = Hit(2**62 + 1, '/l/a"<b>/x.png', '<script>"', 0.25, 3, 4, "a <b> caption")


def test_json_keeps_ids_whole() -> None:
    (hit,) = result_json(SearchResult([HIT], 1.234))["hits"]
    assert hit["id"] == "4611686018427387905"
    assert hit["thumbnail_url"] == "/media/4611686018427387905/thumbnail"
    assert hit["image_url"] == "/media/4611686018427387905/image"


def test_text_lines_keep_names_from_driving_the_terminal() -> None:
    hit = Hit(1, "/l/a\n\x1b[31m.png", "c\x07", 0.5, 3, 4)
    assert result_text(SearchResult([hit], 1.0)) == " 0.500  c\\x07  /l/a\\n\\x1b[31m.png"


def test_text_lines() -> None:
    assert (
        result_text(SearchResult([HIT], 1.0)) == ' 0.250  <script>"  /l/a"<b>/x.png  a <b> caption'
    )
