"""What several commands are built of: the store, searching, who may come in, lines on stderr."""

import sys
from typing import TYPE_CHECKING

from configs import stores
from configs.settings import Settings

if TYPE_CHECKING:
    from embeddings.encoder import Encoder
    from milvus.collection import MilvusCollection
    from milvus.entities import ModelRecord
    from milvus.patience import Patience
    from webapp.accounts import Accounts
    from webapp.search import SearchService

PROGRAM = "image-search"


def store_of(
    settings: Settings, patience: "Patience | None" = None, name: str | None = None
) -> "MilvusCollection":
    """The collection of the settings, or another one of that store."""
    from milvus.opening import open_collection

    # A search in the wrong place should not leave a store there.
    return open_collection(**stores.store_of(settings, name), create=False, patience=patience)


def service_of(
    settings: Settings, store: "MilvusCollection", max_pixels: int | None = None
) -> "SearchService":
    """Searching with the model that the collection records, loaded when it is first needed."""
    from webapp.search import SearchService

    def load(record: "ModelRecord") -> "Encoder":
        from embeddings.load import load_encoder

        return load_encoder(
            record.name,
            record.pretrained,
            models_dir=settings.models_dir,
            device=settings.model.device,
            precision=settings.model.precision,
            url=settings.model.encoder_url,
            credentials=settings.model.secret_encoder_auth,
        )

    return SearchService(store, load, max_pixels or settings.indexing.max_pixels)


def accounts_of(settings: Settings) -> "Accounts | None":
    """Who may come in; None for everybody. Raises BadAccounts."""
    from webapp.accounts import Accounts
    from webapp.announcing import say

    server = settings.server
    if server.auth is None and server.auth_file is None:
        return None
    return Accounts(server.secret_auth, server.auth_file, say)


def say(line: str) -> None:
    """A line of this program on stderr."""
    print(f"{PROGRAM}: {line}", file=sys.stderr)


def say_waiting(holder: str) -> None:
    """Tell for whose sake a command waits."""
    print(f"{holder} is indexing; waiting for it to finish (Ctrl+C gives up) …", file=sys.stderr)
