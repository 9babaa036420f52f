import pytest

from milvus.entities import ImageRow, ModelRecord, image_id
from milvus.errors import CollectionMissing, StoreError, StoreRefused, StoreUnavailable, translate
from milvus.filters import all_of, equals, one_of, quoted
from milvus.lite import is_lite
from milvus.schema import from_entity, model_properties, model_record, to_entity


def test_ids_are_stable_positive_and_depend_on_both_parts() -> None:
    assert image_id("/photos", "a/b.jpg") == 4707297915069430607
    ids = {image_id("/photos", "a"), image_id("/photos/a", ""), image_id("/photo", "sa")}
    assert len(ids) == 3
    assert all(0 <= image_id("/", str(n)) < 2**63 for n in range(100))


def test_filters_quote_what_comes_from_outside() -> None:
    assert quoted('a"b\\c\nd') == r'"a\"b\\c\nd"'
    assert equals("category", '" or true or "') == r'category == "\" or true or \""'
    assert one_of("category", ["a", 'b"']) == r'category in ["a", "b\""]'
    assert all_of("", "a == 1", "b == 2") == "(a == 1) and (b == 2)"


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
    with pytest.raises(StoreError, match="write http://localhost:19530"):
        is_lite("localhost:19530")


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
