"""Run a step of the pipeline ahead of the next one, by a bounded number of items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(
    function: Callable[[T], R], items: Iterable[T], *, threads: int, ahead: int, name: str
) -> Iterator[R]:
    """``map`` with threads: results in order, never more than ``ahead`` items under way.

    ``items`` is read in the caller's thread. When the caller stops early, what has not begun is
    cancelled and what runs is left to end by itself. What ``function`` raises is raised here.
    """
    under_way: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) >= ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
