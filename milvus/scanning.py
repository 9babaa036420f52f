"""Read any number of rows, a page at a time, through a server's absence."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from pymilvus import MilvusClient

from milvus.errors import StoreUnavailable
from milvus.loading import Loaded
from milvus.schema import KEY

# Rows that one step of a scan fetches. Milvus allows 16,384 in one answer.
SCAN_BATCH = 1000
# How often a scan goes on without having got any further.
SCAN_RETRIES = 3


def scan(loaded: Loaded, expression: str, fields: list[str]) -> Iterator[dict[str, Any]]:
    """Rows by their keys, upwards; goes on after the last one where the store was away."""
    last: int | None = None
    tried_again = 0
    while True:
        rest = expression
        if last is not None:
            rest = f"({expression}) and {KEY} > {last}" if expression else f"{KEY} > {last}"
        iterator = loaded.call(partial(_iterator, loaded, rest, fields))
        try:
            while batch := loaded.access.connection.attempt(partial(_next, iterator)):
                yield from batch
                last, tried_again = batch[-1][KEY], 0
            return
        except StoreUnavailable:
            tried_again += 1
            if tried_again > SCAN_RETRIES:
                raise
        finally:
            with suppress(Exception):  # there is nothing to be freed on the other side
                iterator.close()


def _iterator(loaded: Loaded, expression: str, fields: list[str], client: MilvusClient) -> Any:
    return client.query_iterator(
        loaded.access.name,
        batch_size=SCAN_BATCH,
        filter=expression,
        output_fields=fields,
        consistency_level="Strong",
        timeout=max(loaded.access.timeout, 30.0),
    )


def _next(iterator: Any, client: MilvusClient) -> list[dict[str, Any]]:
    """The next rows; the iterator has a client of its own."""
    rows: list[dict[str, Any]] = iterator.next()
    return rows
