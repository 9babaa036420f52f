"""Imports that a Milvus server runs: files handed over, progress followed to the end.

By gRPC's Import, which servers from 2.3 on understand; the newer REST routes came with 2.4.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pymilvus import MilvusClient
from pymilvus.client.types import BulkInsertState

from milvus.aliases import Aliases
from milvus.connection import Connection
from milvus.errors import ImportFailed, StoreError, StoreUnavailable

ENDED_WELL = (BulkInsertState.ImportCompleted,)
FAILED = (BulkInsertState.ImportFailed, BulkInsertState.ImportFailedAndCleaned)
ENDED = (*ENDED_WELL, *FAILED)
ASKING_S = 0.5


class Imports:
    """The imports into one collection. Methods raise StoreError."""

    def __init__(self, connection: Connection, collection: str) -> None:
        self._connection = connection
        self._name = collection
        self._pause = threading.Event()

    def hand_over(self, files: Sequence[str]) -> list[int]:
        """Let the server import these files; the numbers of its jobs.

        Each file is asked for once, since an import that is asked for twice writes rows twice.
        Raises ImportFailed where the server takes one not; StoreUnavailable where it cannot be
        told whether it did.
        """
        name = self._collection()
        try:
            # A job of its own for each: one job takes one Parquet file.
            return [self._connection.attempt(partial(_start, name, file)) for file in files]
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise ImportFailed(f"the server does not take the import: {error}") from error

    def follow(self, jobs: Sequence[int], on_progress: Callable[[int], None]) -> None:
        """Return when all jobs are completed; ``on_progress`` gets their percentage.

        Raises ImportFailed with the server's reason, when all have ended.
        """
        ended: dict[int, BulkInsertState] = {}
        percent = dict.fromkeys(jobs, 0)
        while True:
            for job in jobs:
                if job not in ended:
                    state = self._connection.call(partial(_state, job))
                    percent[job] = _percent(state)
                    if state.state in ENDED:
                        ended[job] = state
            on_progress(sum(percent.values()) // max(len(jobs), 1))
            if len(ended) == len(jobs):
                break
            self._pause.wait(ASKING_S)
        failed = [state for state in ended.values() if state.state in FAILED]
        if failed:
            raise ImportFailed(
                f"Milvus could not import {len(failed)} of {len(jobs)} files: "
                f"{_reason(failed[0])}; it must see --bulk-folder under the same path, or "
                "be configured with the bucket of --bulk-endpoint"
            )

    def unfinished(self) -> list[int]:
        """Jobs into this collection that have not ended."""
        found = self._connection.call(partial(_list, self._collection()))
        return [state.task_id for state in found if state.state not in ENDED]

    def _collection(self) -> str:
        return Aliases(self._connection).collection_of(self._name) or self._name


def _start(name: str, file: str, client: MilvusClient) -> int:
    # MilvusClient has no method for it, and pymilvus.utility's is deprecated. No timeout, since
    # pymilvus would ask again until it is over.
    handler, context = _parts(client)
    return int(handler.do_bulk_insert(name, "", [file], retry_times=0, context=context))


def _state(job: int, client: MilvusClient) -> BulkInsertState:
    handler, context = _parts(client)
    return handler.get_bulk_insert_state(job, timeout=30, context=context)


def _list(name: str, client: MilvusClient) -> list[BulkInsertState]:
    handler, context = _parts(client)
    states: list[BulkInsertState] = handler.list_bulk_insert_tasks(
        0, name, timeout=30, context=context
    )
    return states


def _parts(client: MilvusClient) -> tuple[Any, Any]:
    return client._get_connection(), client._generate_call_context()


def _percent(state: BulkInsertState) -> int:
    said = state.infos.get(BulkInsertState.IMPORT_PROGRESS, "")
    if state.state in ENDED:
        return 100
    return int(said) if said.isdecimal() else 0


def _reason(state: BulkInsertState) -> str:
    said = str(state.infos.get(BulkInsertState.FAILED_REASON, "")).strip()
    return (said or "no reason given").splitlines()[0][:600]
