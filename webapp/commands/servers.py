"""``image-search serve`` and ``image-search encoder``."""

import contextlib
import sys
from typing import TYPE_CHECKING

from configs.commandline import DONE, leave_now
from configs.settings import Settings
from webapp.commands.parts import PROGRAM, accounts_of, service_of, store_of

if TYPE_CHECKING:
    from milvus.collection import MilvusCollection
    from webapp.indexing import Indexing
    from webapp.search import SearchService


def serve(settings: Settings) -> int:
    """Serve the page and the API until Ctrl+C."""
    from milvus.errors import CollectionMissing, StoreUnavailable
    from milvus.index_params import METRIC_TYPE
    from webapp.media import Thumbnails
    from webapp.serving import listen, serve

    accounts = accounts_of(settings)
    listener = listen(settings.server)
    store = store_of(settings)
    try:
        store.exists()  # a file that cannot be opened is told before the page is
    except CollectionMissing:  # the page says how to index
        pass
    except StoreUnavailable as error:  # a server may come back: the page says so meanwhile
        print(f"{PROGRAM}: {error}", file=sys.stderr)
    # Visitors' pictures come all at once, and their owners' may be larger.
    max_pixels = min(settings.server.max_pixels, settings.indexing.max_pixels)
    service = service_of(settings, store, max_pixels)
    still_loading = serve(
        service,
        Thumbnails(settings.thumbnails_dir, settings.indexing.max_pixels),
        listener,
        settings.server,
        _indexing(settings, store, service),
        accounts,
        index_type=lambda: store.index.index_type,  # it may be rebuilt meanwhile
        metric_type=METRIC_TYPE,
        top_k=settings.search.top_k,
        max_query_chars=settings.search.max_query_chars,
        max_upload_bytes=settings.server.max_upload_mb * 1_000_000,
    )
    print("stopped", file=sys.stderr)
    if still_loading:
        store.close()
        leave_now(DONE)
    return DONE


def _indexing(
    settings: Settings, store: "MilvusCollection", service: "SearchService"
) -> "Indexing":
    """What indexes the folders that the operator allows, with the server's own settings."""
    from configs.environment import environment_of
    from milvus.errors import CollectionMissing
    from webapp.allowed_folders import AllowedFolders
    from webapp.indexing import Indexing

    for folder in settings.server.allow_indexing:
        if not folder.is_dir():  # it may come: a drive that is not mounted yet
            print(f"{PROGRAM}: --allow-indexing {folder}: there is no such folder", file=sys.stderr)

    def environment() -> dict[str, str]:
        given = settings
        # The collection's model; the settings' own before anything is indexed.
        with contextlib.suppress(CollectionMissing):
            record = store.model()
            update = {"name": record.name, "pretrained": record.pretrained}
            model = settings.model.model_copy(update=update)
            given = settings.model_copy(update={"model": model})
        return environment_of(given, "model", "milvus", "indexing")

    allowed = AllowedFolders(settings.server.allow_indexing)
    return Indexing(allowed, environment, service.library.facts.refresh)


def encoder(settings: Settings) -> int:
    """Serve the model alone until Ctrl+C."""
    import os
    from concurrent.futures import Future

    from embeddings.load import load_encoder
    from embeddings.models import settled
    from embeddings.service import Limits, Vectorizer, build_service
    from webapp.encoding import serve_encoder
    from webapp.serving import listen

    model, service, accounts = settings.model, settings.service, accounts_of(settings)

    def load() -> Vectorizer:
        encoder = load_encoder(
            model.name,
            model.pretrained,
            models_dir=settings.models_dir,
            device=model.device,
            precision=model.precision,
            batch_size=model.batch_size,
        )
        return Vectorizer(
            encoder,
            max_pixels=settings.indexing.max_pixels,
            decode_threads=settings.indexing.decode_threads or os.cpu_count() or 2,
        )

    loading: Future[Vectorizer] = Future()
    max_body_bytes = service.max_body_mb * 1_000_000
    app = build_service(
        loading,
        model=model.name,
        pretrained=settled(model.pretrained),
        limits=Limits(max_body_bytes, service.max_items),
    )
    listener = listen(settings.server.model_copy(update={"port": service.port, "lan": False}))
    serve_encoder(app, loading, load, listener, accounts, max_body_bytes)
    print("stopped", file=sys.stderr)
    leave_now(DONE)  # nothing is lost with a batch that nobody waits for
