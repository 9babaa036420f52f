"""Every kind of query, on colours whose geometry is known."""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from PIL import Image

from milvus.entities import ImageRow
from milvus.filters import ImageFilter
from webapp.errors import BadQuery, ImageGone
from webapp.mixing import mix, moved_away, moved_towards
from webapp.query import Move, Query, SearchResult, Term, least_score, text_query
from webapp.search import SearchService

RED, GREEN, BLUE = 1, 2, 3
UNIT = np.eye(4, dtype=np.float32)


def texts(result: SearchResult) -> tuple[str, ...]:
    return tuple(note.text for note in result.notes)


def held(key: int, category: str, vector: Sequence[float], **changes: Any) -> Any:
    row = ImageRow(key, f"/l/{category}/{key}.png", "/l", category, 0, 9, f"h{key}", 8, 8)
    unit = np.array(vector, dtype=np.float32)
    return replace(row, **changes), unit / np.linalg.norm(unit)


@pytest.fixture
def service(store: MemoryStore, encoder: FakeEncoder) -> SearchService:
    pictures = [
        held(RED, "red", UNIT[0]),
        held(GREEN, "green", UNIT[1]),
        held(BLUE, "blue", UNIT[2]),
    ]
    store.upsert([row for row, _ in pictures], [vector for _, vector in pictures])
    return SearchService(store, lambda record: encoder)


def names(service: SearchService, *terms: Term, **options: Any) -> list[str]:
    return [hit.category for hit in service.search(Query(terms, **options)).hits]


def png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(file, "PNG")
    return file.getvalue()


def test_a_mix_of_words_a_picture_and_an_indexed_picture(service: SearchService) -> None:
    assert names(service, Term("red"), Term("blue", weight=0.5))[:2] == ["red", "blue"]
    assert names(service, Term("red", weight=0.5), Term(image=png("blue")))[:2] == ["blue", "red"]
    assert names(service, Term("red green"), Term("red", weight=-0.5))[0] == "green"


def test_similar_to_an_indexed_picture_leaves_it_out(service: SearchService) -> None:
    assert set(names(service, Term(id=RED))) == {"green", "blue"}
    assert names(service, Term(id=RED), Term("blue")) == ["blue", "green"]


def test_moves_follow_the_formula(service: SearchService) -> None:
    red, blue = UNIT[0], UNIT[2:3]
    np.testing.assert_allclose(moved_towards(red, blue, 0.5), [0.5**0.5, 0, 0.5**0.5, 0], atol=1e-6)
    away = np.array([1.25, 0, -0.25, 0]) / np.hypot(1.25, 0.25)
    np.testing.assert_allclose(moved_away(red, blue, 0.5), away, atol=1e-6)
    np.testing.assert_allclose(moved_towards(red, blue, 0), red, atol=1e-6)
    np.testing.assert_allclose(moved_away(red, blue, 0), red, atol=1e-6)
    two = moved_towards(red, UNIT[1:3], 1)
    np.testing.assert_allclose(two, [0, 0.5**0.5, 0.5**0.5, 0], atol=1e-6)
    assert names(service, Term("red"), move_to=Move(0.9, ["blue"]))[0] == "blue"
    assert names(service, Term("red"), move_to=Move(0.9, (), [RED])) == ["green", "blue"]
    ranks = names(service, Term("red"), move_away_from=Move(1, ["blue"]))
    assert ranks == ["red", "green", "blue"]


def test_a_mix_is_the_normalised_weighted_sum() -> None:
    np.testing.assert_allclose(mix(UNIT[:2], [3, 4]), [0.6, 0.8, 0, 0], atol=1e-6)
    np.testing.assert_allclose(mix(UNIT[:2], [1, -1])[:2], [0.5**0.5, -(0.5**0.5)], atol=1e-6)
    with pytest.raises(BadQuery, match="cancel each other out"):
        mix(UNIT[[0, 0]], [1, -1])


def test_thresholds_are_one_cosine() -> None:
    assert least_score() is None
    assert least_score(min_score=0.3) == 0.3
    assert least_score(certainty=0.75) == pytest.approx(0.5)
    assert least_score(distance=0.8) == pytest.approx(0.2)
    for given in ({"certainty": 1.1}, {"distance": -0.1}, {"min_score": 0.1, "distance": 0.2}):
        with pytest.raises(BadQuery):
            least_score(**given)


def test_a_threshold_cuts_and_says_when_nothing_meets_it(service: SearchService) -> None:
    assert names(service, Term("red"), min_score=0.9) == ["red"]
    result = service.search(text_query("red green", min_score=0.99))
    assert result.hits == []
    assert texts(result) == ("no picture scores 0.990 or more; the best has 0.707",)
    assert not result.more


def test_pages_follow_each_other(service: SearchService) -> None:
    pages = [service.search(text_query("red", top_k=2, offset=n)) for n in (0, 2, 4)]
    assert [len(page.hits) for page in pages] == [2, 1, 0]
    assert [page.more for page in pages] == [True, False, False]
    assert len({hit.id for page in pages for hit in page.hits}) == 3
    assert texts(pages[2]) == ("there are only 3 results; ask for an earlier page",)


def test_what_a_query_names_by_id_is_no_result_of_it(service: SearchService) -> None:
    assert GREEN not in {
        hit.id for hit in service.search(Query([Term("red")], move_to=Move(1, (), [GREEN]))).hits
    }
    result = service.search(Query([Term(id=RED)], min_score=0.9))
    assert texts(result) == ("no picture scores 0.900 or more; the best has 0.000",)


def test_copies_are_one_result(service: SearchService, store: MemoryStore) -> None:
    copies = [held(10 + n, "red", UNIT[0], content_hash="h1") for n in range(50)]
    near = [held(90, "red", [1, 0.05, 0, 0])]
    store.upsert([row for row, _ in copies + near], [vector for _, vector in copies + near])
    hits = service.search(text_query("red", top_k=3)).hits
    assert [hit.category for hit in hits] == ["red", "red", "green"]
    assert len(hits[0].copies) == 50
    folded = service.search(text_query("red", top_k=3, fold=0.99)).hits
    assert [hit.category for hit in folded] == ["red", "green", "blue"]
    assert len(folded[0].copies) == 51
    assert len(service.search(text_query("red", top_k=100, fold=None)).hits) == 54


def test_a_result_says_why_it_is_there(service: SearchService, store: MemoryStore) -> None:
    row, vector = held(RED, "red", UNIT[0], extras={"caption": "a red one", "label": "red"})
    store.upsert([row], [vector])
    hit = service.search(text_query("red", top_k=1)).hits[0]
    assert (hit.library, hit.category, hit.caption, hit.label) == ("/l", "red", "a red one", "red")
    assert hit.score == pytest.approx(1, abs=1e-3)


def test_a_text_that_is_cut_is_told(service: SearchService) -> None:
    assert texts(service.search(text_query("red " * 20))) == ()
    for query in (
        text_query("red " * 21),
        Query([Term("red")], move_to=Move(0.5, ["blue " * 21])),
    ):
        assert texts(service.search(query)) == (
            "the text is longer than the model reads; its end was left out",
        )


def test_a_filter_that_nothing_passes_is_told(service: SearchService) -> None:
    result = service.search(text_query("red", filter=ImageFilter(categories=["pink"])))
    assert (result.hits, texts(result)) == ([], ("no picture passes the filter",))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Query([]), "type a few words"),
        (lambda: Query([Term("red", weight=-1)]), "only what to leave out"),
        (lambda: Term(), "type a few words"),
        (lambda: Term("red", id=1), "one of them"),
        (lambda: Term("red", weight=float("nan")), "a weight is a number"),
        (lambda: Term("red", weight=float("inf")), "a weight is a number"),
        (lambda: Term("red", weight=0), "a weight is a number"),
        (lambda: Term("red", weight=1e9), "a weight is a number"),
        (lambda: Move(1.5, ["red"]), "force is between 0 and 1"),
        (lambda: Move(float("nan"), ["red"]), "force is between 0 and 1"),
        (lambda: Move(0.5), "needs concepts"),
        (lambda: Move(0.5, [" "]), "concept is empty"),
        (lambda: text_query("red", offset=-1), "offset must be between"),
        (lambda: text_query("red", offset=10**9), "offset must be between"),
        (lambda: text_query("red", min_score=float("nan")), "min_score is a cosine"),
        (lambda: text_query("red", fold=1.5), "fold is a cosine"),
        (lambda: text_query("red", fold=0.9, offset=1990), "reach 2,000 results together"),
        (lambda: Query([Term(image=b"")] * 9), "at most 8 pictures"),
        (lambda: text_query("red", filter=ImageFilter(categories=["a"] * 2000)), "at most 1,000"),
        (lambda: text_query("red", filter=ImageFilter(path_prefix="a" * 5000)), "at most 4,096"),
        (lambda: text_query("red", filter=ImageFilter(min_width=2**70)), "number of pixels"),
        (lambda: text_query("red", filter=ImageFilter(max_height=-1)), "number of pixels"),
        (lambda: Query([Term("red")] * 100), "at most 64 parts"),
        (lambda: Query([Term("red")], move_to=Move(1, ["x" * 2000])), "2,000 characters"),
        (lambda: Query([Term("red")], move_to=Move(1, ["\udc80"])), "not valid Unicode"),
    ],
)
def test_what_cannot_be_asked_has_a_reason(make: Any, reason: str) -> None:
    with pytest.raises(BadQuery, match=reason):
        make()


def test_pictures_that_are_not_there_or_none(service: SearchService) -> None:
    with pytest.raises(ImageGone, match="no picture has the id 99"):
        service.search(Query([Term(id=99)]))
    with pytest.raises(ImageGone, match="no picture has the id 99"):
        service.search(Query([Term("red")], move_to=Move(0.5, (), [99])))
    with pytest.raises(BadQuery, match="picture cannot be used: not a picture"):
        service.search(Query([Term(image=b"rubbish")]))
