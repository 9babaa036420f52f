"""The collection's fields, and entities to rows of it and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pymilvus import CollectionSchema, DataType, MilvusClient

from milvus.entities import Embedding, ImageRow

KEY = "m_id"
EMBEDDING = "embedding"
# Milvus counts a string's length in bytes of UTF-8. Linux allows paths of 4,096 and names of 255.
MAX_PATH = 4096
MAX_CATEGORY = 255
MAX_HASH = 128

FIXED_FIELDS = (
    "path",
    "library",
    "category",
    "mtime_ns",
    "size",
    "content_hash",
    "width",
    "height",
)


def build_schema(dim: int) -> CollectionSchema:
    """One entity per image; extras are dynamic fields."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field(KEY, DataType.INT64, is_primary=True)
    schema.add_field(EMBEDDING, DataType.FLOAT_VECTOR, dim=dim)
    schema.add_field("path", DataType.VARCHAR, max_length=MAX_PATH)
    schema.add_field("library", DataType.VARCHAR, max_length=MAX_PATH)
    schema.add_field("category", DataType.VARCHAR, max_length=MAX_CATEGORY)
    schema.add_field("mtime_ns", DataType.INT64)
    schema.add_field("size", DataType.INT64)
    schema.add_field("content_hash", DataType.VARCHAR, max_length=MAX_HASH)
    schema.add_field("width", DataType.INT64)
    schema.add_field("height", DataType.INT64)
    return schema


def to_entity(row: ImageRow, embedding: Embedding) -> dict[str, Any]:
    """What pymilvus writes."""
    fixed = {name: getattr(row, name) for name in FIXED_FIELDS}
    return {**row.extras, **fixed, KEY: row.m_id, EMBEDDING: embedding}


def from_entity(key: int, entity: Mapping[str, Any]) -> ImageRow:
    """What pymilvus read; fields that were not asked for are missing and stay out of extras."""
    known = {name: entity[name] for name in FIXED_FIELDS}
    extras = {k: v for k, v in entity.items() if k not in (*FIXED_FIELDS, KEY, EMBEDDING, "$meta")}
    return ImageRow(m_id=int(key), extras=extras, **known)


def embedding_of(entity: Mapping[str, Any]) -> Embedding:
    """The embedding that pymilvus read."""
    return np.asarray(entity[EMBEDDING], dtype=np.float32)
