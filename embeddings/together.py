"""Work that arrives together is done together: calls from many threads become one batch."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from embeddings.encoder import Embeddings

T = TypeVar("T")


@dataclass
class _Call(Generic[T]):
    items: Sequence[T]
    result: "Future[Embeddings]" = field(default_factory=Future)


class Together(Generic[T]):
    """Calls ``encode`` with what all threads ask for meanwhile, one batch at a time.

    A thread that finds nobody encoding begins at once, alone; those that come while it works wait,
    and the first of them then takes the items of all. So a lone call loses no time, and many calls
    cost few batches. ``most`` bounds a batch; a larger call is done in pieces.
    """

    def __init__(self, encode: Callable[[Sequence[T]], Embeddings], most: int = 64) -> None:
        self._encode = encode
        self._most = most
        self._waiting: list[_Call[T]] = []
        self._adding = threading.Lock()
        self._encoding = threading.Lock()

    def __call__(self, items: Sequence[T]) -> Embeddings:
        """Embeddings of shape ``(len(items), dim)``; raises what ``encode`` raises.

        An error that the items of one call cause hurts no other call.
        """
        if len(items) > self._most:
            # In pieces, so that others' calls come in between.
            pieces = [items[n : n + self._most] for n in range(0, len(items), self._most)]
            return np.concatenate([self(piece) for piece in pieces])
        call = _Call(items)
        with self._adding:
            self._waiting.append(call)
        while not call.result.done():
            with self._encoding:
                if not call.result.done():
                    self._work()
        return call.result.result()

    def _work(self) -> None:
        calls = self._take()
        try:
            embeddings = self._encode([item for call in calls for item in call.items])
        except Exception as error:
            if len(calls) == 1:
                calls[0].result.set_exception(error)
                return
            for call in calls:
                self._alone(call)
            return
        ends = np.cumsum([len(call.items) for call in calls])
        for call, part in zip(calls, np.split(embeddings, ends[:-1]), strict=True):
            call.result.set_result(part)

    def _take(self) -> list[_Call[T]]:
        with self._adding:
            taken = [self._waiting.pop(0)]
            count = len(taken[0].items)
            while self._waiting and count + len(self._waiting[0].items) <= self._most:
                count += len(self._waiting[0].items)
                taken.append(self._waiting.pop(0))
            return taken

    def _alone(self, call: _Call[T]) -> None:
        try:
            call.result.set_result(self._encode(call.items))
        except Exception as error:
            call.result.set_exception(error)
