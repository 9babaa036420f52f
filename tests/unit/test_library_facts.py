"""Counts are read once and kept while nothing changes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fakes import MemoryStore

from milvus.entities import ImageRow, image_id
from milvus.errors import CollectionMissing, StoreError, StoreUnavailable
from webapp.library_facts import MAX_AGE_S, REST, LibraryFacts

WAIT_S = 10


class CountingStore(MemoryStore):
    """Counts how often all rows are read; each reading takes a second of the clock, and may be
    held up."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0
        self.now = 100.0
        self.reading = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def clock(self) -> float:
        return self.now

    def rows(self, library: str | None = None) -> Iterator[ImageRow]:
        self.readings += 1
        self.reading.set()
        found = list(super().rows(library))
        assert self.go_on.wait(WAIT_S)
        self.now += 1
        return iter(found)


def put(store: MemoryStore, name: str, category: str, library: str = "/l", hours: int = 1) -> None:
    row = ImageRow(
        image_id(library, name), f"{library}/{name}", library, category,
        hours * 3_600_000_000_000, 1000, f"hash of {name}", 40, 30,
    )  # fmt: skip
    store.upsert([row], [np.array([1, 0, 0, 0], dtype=np.float32)])


@pytest.fixture
def store() -> CountingStore:
    store = CountingStore()
    put(store, "1.jpg", "apple", hours=3)
    put(store, "2.jpg", "apple", hours=2)
    put(store, "3.jpg", "", "/other", hours=9)
    return store


@pytest.fixture
def facts(store: CountingStore) -> Iterator[LibraryFacts]:
    facts = LibraryFacts(store, store.clock)
    yield facts
    store.go_on.set()
    facts.close()


def test_what_is_counted(facts: LibraryFacts, store: CountingStore) -> None:
    found = facts.current()
    assert (found.images, found.bytes) == (3, 3000)
    assert found.categories == {"": 1, "apple": 2}
    assert found.libraries == {"/l": 2, "/other": 1}
    assert (found.oldest_ns, found.newest_ns) == (2 * 3_600_000_000_000, 9 * 3_600_000_000_000)
    assert found.model == store.record
    apples = sorted(image_id("/l", name) for name in ("1.jpg", "2.jpg"))
    assert found.samples["apple"].tolist() == apples


def test_an_empty_collection_has_no_dates() -> None:
    found = LibraryFacts(MemoryStore()).current()
    assert (found.images, found.bytes, found.oldest_ns, found.newest_ns) == (0, 0, None, None)


def test_an_unchanged_collection_is_read_once(facts: LibraryFacts, store: CountingStore) -> None:
    first = facts.current()
    assert facts.current() is first
    assert facts.recent() == (first, False)
    assert store.readings == 1


def test_another_count_is_seen_at_once(facts: LibraryFacts, store: CountingStore) -> None:
    before = facts.current()
    put(store, "4.jpg", "kiwi")
    now = facts.current()
    assert now.categories == {"": 1, "apple": 2, "kiwi": 1}
    assert now.version != before.version


def test_other_pictures_of_the_same_number_are_seen_by_the_token(
    facts: LibraryFacts, store: CountingStore
) -> None:
    store.set_token("/l", "before")
    facts.current()
    store.delete([image_id("/l", "1.jpg")])
    put(store, "4.jpg", "kiwi")
    store.set_token("/l", "after")
    assert facts.current().categories == {"": 1, "apple": 1, "kiwi": 1}


def test_an_equal_collection_read_again_keeps_its_version(
    facts: LibraryFacts, store: CountingStore
) -> None:
    before = facts.current()
    store.set_token("/l", "renewed")
    now = facts.current()
    assert store.readings == 2
    assert now.version == before.version


def test_the_facts_at_hand_are_shown_while_new_ones_are_read(
    facts: LibraryFacts, store: CountingStore
) -> None:
    before = facts.current()
    put(store, "4.jpg", "kiwi")
    store.now += REST + 1
    store.go_on.clear()
    assert facts.recent(patience_s=0.01) == (before, True)
    assert facts.recent(patience_s=0.01) == (before, True)
    store.go_on.set()
    now, stale = facts.recent(patience_s=WAIT_S)
    assert (now.images, stale, store.readings) == (4, False, 2)


def test_while_a_library_grows_the_store_has_time_to_rest(
    facts: LibraryFacts, store: CountingStore
) -> None:
    before = facts.current()  # took a second
    put(store, "4.jpg", "kiwi")
    store.now += REST - 0.5
    assert facts.recent() == (before, True)
    assert store.readings == 1
    store.now += 1
    assert facts.recent()[0].images == 4


def test_old_facts_are_read_anew(facts: LibraryFacts, store: CountingStore) -> None:
    before = facts.current()
    store.held[image_id("/l", "1.jpg")][0].__dict__["category"] = "pear"  # in no way that tells
    store.now += MAX_AGE_S - 1
    assert facts.recent()[0] is before
    store.now += 2
    assert facts.recent()[0].categories == {"": 1, "apple": 1, "pear": 1}


def test_those_who_ask_together_share_one_reading(
    facts: LibraryFacts, store: CountingStore
) -> None:
    store.go_on.clear()
    with ThreadPoolExecutor(8) as visitors:
        asked = [visitors.submit(facts.recent) for _ in range(8)]
        assert store.reading.wait(WAIT_S)
        store.go_on.set()
        answers = [one.result(WAIT_S) for one in asked]
    assert store.readings == 1
    assert all(answer == answers[0] for answer in answers)


def test_a_refresh_is_there_for_the_next_one(facts: LibraryFacts, store: CountingStore) -> None:
    facts.recent()
    facts.recent()  # checked a moment ago
    put(store, "4.jpg", "kiwi")
    facts.refresh()
    store.now += REST + 1
    assert facts.recent(WAIT_S)[0].images == 4


def test_a_dropped_collection_has_no_facts(facts: LibraryFacts, store: CountingStore) -> None:
    facts.current()
    record, store.record = store.record, None
    for ask in (facts.current, facts.recent):
        with pytest.raises(CollectionMissing, match="index-folder FOLDER"):
            ask()
    store.record = record
    store.held.clear()
    assert facts.recent()[0].images == 0


def test_a_store_that_is_away_is_told(
    facts: LibraryFacts, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts.current()

    def away() -> int:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(store, "count", away)
    with pytest.raises(StoreError, match="no answer"):
        facts.current()


def test_closing_ends_a_reading(store: CountingStore) -> None:
    facts = LibraryFacts(store, store.clock)
    facts.close()
    with pytest.raises(StoreUnavailable, match="ending"):
        facts.current()
