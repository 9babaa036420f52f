import pytest
from pymilvus.exceptions import MilvusException

from milvus.entities import ImageRow, ModelRecord, image_id
from milvus.errors import (
    CollectionMissing,
    DatabaseMissing,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    translate,
)
from milvus.filters import equals, one_of, quoted
from milvus.lite import is_lite
from milvus.properties import model_properties, model_record
from milvus.schema import from_entity, to_entity


def test_ids_are_stable_positive_and_depend_on_both_parts() -> None:
    assert image_id("/photos", "a/b.jpg") == 4707297915069430607
    ids = {image_id("/photos", "a"), image_id("/photos/a", ""), image_id("/photo", "sa")}
    assert len(ids) == 3
    assert all(0 <= image_id("/", str(n)) < 2**63 for n in range(100))


def test_filters_quote_what_comes_from_outside() -> None:
    assert quoted('a"b\\c\nd') == r'"a\"b\\c\nd"'
    assert equals("category", '" or true or "') == r'category == "\" or true or \""'
    assert one_of("category", ["a", 'b"']) == r'category in ["a", "b\""]'


def test_a_row_survives_the_store() -> None:
    row = ImageRow(1, "/l/a.jpg", "/l", "a", 2, 3, "hash", 4, 5, {"caption": "red"})
    entity = to_entity(row, embedding=None)  # type: ignore[arg-type]
    assert from_entity(1, entity) == row


def test_a_model_record_survives_the_store() -> None:
    for pretrained in ("openai", None):
        record = ModelRecord("m/x", 768, "m", pretrained)
        assert model_record(model_properties(record)) == record
    assert model_record({"other": "1"}) is None


def test_files_and_addresses_are_told_apart() -> None:
    assert is_lite("./milvus.db")
    assert is_lite("/data/milvus")
    assert is_lite("C:/data/milvus.db")
    assert not is_lite("http://localhost:19530")
    assert not is_lite("https://milvus.example")
    for wrong in ("localhost:19530", "localhost:19530/db", "[::1]:19530", "10.0.0.1:19530"):
        with pytest.raises(StoreError, match="write http://"):
            is_lite(wrong)
    for wrong in ("milvus://localhost:19530", "file:///data/milvus.db"):
        with pytest.raises(StoreError, match=":// is no address of Milvus"):
            is_lite(wrong)
    with pytest.raises(StoreError, match="--milvus-token") as error:
        is_lite("http://root:hunter2@localhost:19530")
    assert "hunter2" not in str(error.value)


def test_milvus_messages_become_our_errors() -> None:
    cases = {
        "collection not found[database=default]": CollectionMissing,
        "auth check failure, please check api key": StoreRefused,
        "Fail connecting to server on localhost:19530": StoreUnavailable,
    }
    for message, kind in cases.items():
        error = translate(Exception(message), "there")
        assert type(error) is kind
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("database not found[database=photos]", DatabaseMissing),
        ("database:photos not found", DatabaseMissing),
        ("collection not found[database=default][collection=images]", CollectionMissing),
        ("attempt #0\nrpc error: node not match[expectedNodeID=1]", StoreUnavailable),
        ("collection not fully loaded[collection=1]", StoreUnavailable),
        ("PrivilegeLoad: permission deny to joe", StoreRefused),
        ("something else", StoreError),
    ],
)
def test_what_a_server_says_becomes_our_error(message: str, kind: type[StoreError]) -> None:
    assert type(translate(MilvusException(65535, message), "http://host")) is kind
