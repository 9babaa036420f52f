"""A collection that takes another one's place, on both kinds of store."""

from collections.abc import Sequence

import numpy as np
import pytest
from fakes import FakeEncoder
from test_copying import RECORD, row, vectors

from embeddings.encoder import Embeddings
from milvus.aliases import Aliases
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ModelRecord
from milvus.errors import AliasInTheWay, CollectionMissing
from webapp.query import Query, Term
from webapp.search import SearchService

OTHER = ModelRecord("model/b", 8, "b", None)


@pytest.fixture
def old(connection: Connection) -> MilvusCollection:
    store = MilvusCollection(connection, "images_a")
    store.prepare(RECORD)
    store.upsert([row(n) for n in range(3)], list(vectors(3)))
    return store


@pytest.fixture
def new(connection: Connection) -> MilvusCollection:
    """Of a model with other dimensions."""
    store = MilvusCollection(connection, "images_b")
    store.prepare(OTHER)
    unit = np.eye(8, dtype=np.float32)
    store.upsert([row(n) for n in range(5)], list(unit[:5]))
    return store


def test_the_same_store_object_sees_the_other_collection(
    connection: Connection, old: MilvusCollection, new: MilvusCollection
) -> None:
    aliases = Aliases(connection)
    assert aliases.point("images", "images_a") == ""
    searched = MilvusCollection(connection, "images")
    assert (searched.model(), searched.count()) == (RECORD, 3)
    assert searched.search(vectors(3)[1], 1)[0].row == row(1)
    assert aliases.point("images", "images_b") == "images_a"
    assert aliases.point("images", "images_b") is None
    assert (searched.model(), searched.count()) == (OTHER, 5)
    assert searched.search(np.eye(8, dtype=np.float32)[4], 1)[0].row == row(4)
    # What an indexer does goes to the new one, and the old one is as it was.
    searched.upsert([row(7)], [np.eye(8, dtype=np.float32)[7]])
    searched.set_token("/l", "word")
    searched.delete([row(0).m_id])
    searched.flush()
    assert (new.count(), new.token("/l")) == (5, "word")
    assert {found.m_id for found in new.rows()} == {row(n).m_id for n in (1, 2, 3, 4, 7)}
    assert (old.count(), old.token("/l")) == (3, None)


def test_a_collection_that_was_not_loaded_is_searched_at_once(
    connection: Connection, old: MilvusCollection, new: MilvusCollection
) -> None:
    aliases = Aliases(connection)
    aliases.point("images", "images_a")
    searched = MilvusCollection(connection, "images")
    assert searched.count() == 3
    connection.call(lambda client: client.release_collection("images_b"))
    aliases.point("images", "images_b")
    assert len(searched.search(np.eye(8, dtype=np.float32)[4], 16)) == 5


def test_a_service_loads_the_other_model(connection: Connection) -> None:
    """No object is made anew: what a page does that is open meanwhile."""
    for name, record, count in (("images_a", RECORD, 3), ("images_b", OTHER, 5)):
        store = MilvusCollection(connection, name)
        store.prepare(record)
        store.upsert([row(n) for n in range(count)], list(np.eye(record.dim, dtype="f4")[:count]))
    loaded: list[str] = []

    def load(record: ModelRecord) -> "Pointing":
        loaded.append(record.name)
        return Pointing(record)

    aliases = Aliases(connection)
    aliases.point("images", "images_a")
    service = SearchService(MilvusCollection(connection, "images"), load)
    query = Query((Term("2"),), top_k=16)
    assert (len(service.search(query).hits), service.stats().images) == (3, 3)
    aliases.point("images", "images_b")
    hits = service.search(query).hits
    assert (len(hits), hits[0].id) == (5, row(2).m_id)
    assert (service.stats().images, service.stats().model) == (5, OTHER)
    assert loaded == [RECORD.name, OTHER.name]


class Pointing(FakeEncoder):
    """Embeds a number as the axis of that number, in as many dimensions as a record says."""

    def __init__(self, record: ModelRecord) -> None:
        super().__init__()
        self.dim, self.model_id = record.dim, record.model_id

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        return np.eye(self.dim, dtype=np.float32)[[int(text) for text in texts]]


def test_names_that_are_taken(
    connection: Connection, old: MilvusCollection, new: MilvusCollection
) -> None:
    aliases = Aliases(connection)
    with pytest.raises(CollectionMissing, match="no collection 'images_c'"):
        aliases.point("images", "images_c")
    with pytest.raises(AliasInTheWay, match="own name; --keep-as NAME"):
        aliases.point("images_a", "images_b")
    with pytest.raises(AliasInTheWay, match="own name already"):
        aliases.point("images_b", "images_b")
    with pytest.raises(AliasInTheWay, match="'images_b' is taken"):
        aliases.point("images_a", "images_b", rename_to="images_b")
    assert (old.count(), new.count()) == (3, 5)


def test_a_collection_gives_its_name_away(
    connection: Connection, old: MilvusCollection, new: MilvusCollection
) -> None:
    """``old`` is the object of a program that searches by the name."""
    assert old.count() == 3
    assert Aliases(connection).point("images_a", "images_b", rename_to="kept") == "kept"
    assert (old.count(), old.model()) == (5, OTHER)
    kept = MilvusCollection(connection, "kept")
    assert (kept.count(), kept.model()) == (3, RECORD)
    assert {found.path for found in kept.rows()} == {row(n).path for n in range(3)}


def test_dropping(connection: Connection, old: MilvusCollection, new: MilvusCollection) -> None:
    aliases = Aliases(connection)
    aliases.point("images", "images_b")
    with pytest.raises(AliasInTheWay, match="is in use as images"):
        new.drop()
    assert [store.name for store in old.siblings()] == ["images_b"]
    old.drop()
    assert not old.exists()
    searched = MilvusCollection(connection, "images")
    assert searched.count() == 5
    searched.drop()
    assert not searched.exists()
    assert not new.exists()
    searched.prepare(RECORD)  # the name is free again
    assert searched.count() == 0
