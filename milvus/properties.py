"""What is kept with a collection as its properties: the model, and notes on each library."""

from collections.abc import Callable, Mapping
from hashlib import blake2b

from milvus import runs
from milvus.access import Access
from milvus.entities import ModelRecord
from milvus.runs import LastRun

# Prefix of the collection's properties that are ours.
_PROPERTY = "image_search."
RUN_PROPERTIES = f"{_PROPERTY}run."
TUNED_PROPERTY = f"{_PROPERTY}tuned"
TOKEN_PROPERTIES = f"{_PROPERTY}token."
IMPORT_PROPERTY = f"{_PROPERTY}import"


class Properties:
    """A collection's properties. Methods raise StoreError.

    ``on_read`` gets all of them whenever they were read.
    """

    def __init__(self, access: Access, on_read: Callable[[Mapping[str, str]], None]) -> None:
        self._access = access
        self._on_read = on_read

    def model(self) -> ModelRecord | None:
        """The recorded model; None where the collection is not ours."""
        return model_record(self._read())

    def tuned(self) -> str:
        """What was tuned for the index, as text; empty for nothing."""
        return self._read().get(TUNED_PROPERTY, "")

    def token(self, library: str) -> str | None:
        """The word that ``set_token`` kept for a library."""
        return self._read().get(token_property(library)) or None

    def set_token(self, library: str, token: str) -> None:
        """Keep a word for a library."""
        self._access.set_properties({token_property(library): token})

    def note_run(self, library: str, run: LastRun, token: str | None) -> None:
        """Keep what the last run over a library did."""
        properties = {run_property(library): runs.to_text(library, run)}
        if token is not None:
            properties[token_property(library)] = token
        self._access.set_properties(properties)

    def last_runs(self) -> dict[str, LastRun]:
        """What ``note_run`` kept, by library; without those that cannot be read."""
        kept = self._read().items()
        texts = [text for name, text in kept if name.startswith(RUN_PROPERTIES) and text]
        return dict(noted for text in texts if (noted := runs.from_text(text)))

    def noted(self, *, tokens: bool) -> dict[str, str]:
        """What ``note_run`` and ``set_token`` kept, of all libraries, for ``note``."""
        ours = (RUN_PROPERTIES, TOKEN_PROPERTIES) if tokens else (RUN_PROPERTIES,)
        return {k: text for k, text in self._read().items() if text and k.startswith(ours)}

    def note(self, noted: Mapping[str, str]) -> None:
        """Keep what another collection's ``noted`` gave."""
        if noted:
            self._access.set_properties(dict(noted))

    def forget(self, library: str) -> None:
        """Keep nothing of a library any longer."""
        # Emptied: older servers cannot take a property away.
        self._access.set_properties({token_property(library): "", run_property(library): ""})

    def importing(self) -> str:
        """The name of the bulk import that was begun and not seen to its end; or empty."""
        return self._read().get(IMPORT_PROPERTY, "")

    def set_importing(self, run: str) -> None:
        """Keep the name of a bulk import; empty when it has ended."""
        self._access.set_properties({IMPORT_PROPERTY: run})

    def _read(self) -> dict[str, str]:
        properties: dict[str, str] = self._access.call(self._access.properties)
        self._on_read(properties)
        return properties


def model_properties(record: ModelRecord) -> dict[str, str]:
    """The collection's properties that record its model."""
    return {
        f"{_PROPERTY}model_id": record.model_id,
        f"{_PROPERTY}dim": str(record.dim),
        f"{_PROPERTY}metric_type": "IP",
        f"{_PROPERTY}model_name": record.name,
        f"{_PROPERTY}pretrained": record.pretrained or "",
    }


def model_record(properties: Mapping[str, str]) -> ModelRecord | None:
    """The model that a collection's properties record; None where they are not ours."""
    if f"{_PROPERTY}model_id" not in properties:
        return None
    return ModelRecord(
        model_id=properties[f"{_PROPERTY}model_id"],
        dim=int(properties[f"{_PROPERTY}dim"]),
        name=properties[f"{_PROPERTY}model_name"],
        pretrained=properties[f"{_PROPERTY}pretrained"] or None,
    )


def token_property(library: str) -> str:
    """The collection's property that holds a library's token (see ``ImageStore.token``)."""
    return f"{TOKEN_PROPERTIES}{_short(library)}"


def run_property(library: str) -> str:
    """The collection's property that holds a library's last run."""
    return f"{RUN_PROPERTIES}{_short(library)}"


def _short(library: str) -> str:
    return blake2b(library.encode(), digest_size=8).hexdigest()
