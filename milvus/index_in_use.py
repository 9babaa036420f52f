"""IndexInUse: the index that a collection's searches use, and what was tuned for it."""

from collections.abc import Mapping
from typing import Any

from pymilvus import MilvusClient

from milvus.access import Access
from milvus.index_params import METRIC_TYPE, AnyIndex
from milvus.index_state import (
    IndexState,
    Tuned,
    make_index,
    read_index,
    rebuild,
    tuned_from_text,
    tuned_to_text,
)
from milvus.properties import TUNED_PROPERTY


class IndexInUse:
    """The index of a collection as it was last seen. Methods raise StoreError.

    ``index`` is what a collection is made with; ``see`` puts the one that is there in its place.
    """

    def __init__(self, access: Access, index: AnyIndex) -> None:
        self.index = index
        self._access = access
        self._tuned_text = ""

    def state(self) -> IndexState | None:
        """The index as Milvus describes it now; None where there is none.

        Raises CollectionMissing.
        """
        access = self._access
        if not access.exists():
            raise access.missing()
        state: IndexState | None = access.call(
            lambda client: read_index(client, access.name, access.timeout)
        )
        return state

    def complete(self) -> None:
        """Make the index of a collection that has none."""
        access = self._access
        if self.state() is None:
            access.call(lambda client: make_index(client, access.name, self.index, access.timeout))

    def rebuild(self, index: AnyIndex) -> None:
        """Put this index in the place of the collection's."""
        access = self._access
        with access.quietly():
            access.call(lambda client: rebuild(client, access.name, index, access.timeout))
        # What was chosen for the index before holds no more; noted, so that others look again.
        self.set_tuned(Tuned(index.index_type, index.build(), 0, 0.0, 0, ""))

    def set_tuned(self, tuned: Tuned) -> None:
        """Keep with the collection what its searches are to use."""
        self._access.set_properties({TUNED_PROPERTY: tuned_to_text(tuned)})
        self._access.call(self.see)

    def holding(self, text: str) -> Tuned | None:
        """What ``set_tuned`` kept, from its text, where it holds for the index that is there."""
        tuned = tuned_from_text(text)
        return tuned if tuned is not None and _holds(tuned, self.index) else None

    def see(self, client: MilvusClient) -> None:
        """Search as the index that is there needs it, whatever the settings say."""
        text = self._access.properties(client).get(TUNED_PROPERTY, "")
        state = read_index(client, self._access.name, self._access.timeout)
        if state is not None and state.known is not None:
            tuned = tuned_from_text(text)
            chosen = tuned is not None and tuned.effort > 0 and _holds(tuned, state.known)
            self.index = state.known.with_effort(tuned.effort) if tuned and chosen else state.known
        self._tuned_text = text

    def compare(self, properties: Mapping[str, str]) -> None:
        """Look again where the collection's properties tell of another tuning.

        They are read with every search, so another program's tuning is seen at once.
        """
        if properties.get(TUNED_PROPERTY, "") != self._tuned_text:
            self._access.call(self.see)

    def search_params(self, top_k: int, effort: int | None, *, is_filtered: bool) -> dict[str, Any]:
        """What pymilvus is given for a search; ``effort`` is another one than the index's."""
        if effort is None:
            params = self.index.search(top_k, is_filtered=is_filtered)
        else:
            params = self.index.with_effort(effort).search(top_k)
        return {"metric_type": METRIC_TYPE, "params": params}


def _holds(tuned: Tuned, index: AnyIndex) -> bool:
    return tuned.index_type == index.index_type and tuned.params == index.build()
