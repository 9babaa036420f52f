"""What a run is built of: the libraries, who decodes and encodes."""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from configs.settings import Settings

if TYPE_CHECKING:
    from embeddings.encoder import Encoder
    from indexer.source import Source
    from indexer.workers import Workers
    from milvus.collection import MilvusCollection


def sources_of(
    folders: Sequence[Path], manifests: Sequence[Path], settings: Settings
) -> "dict[str, Source]":
    """The libraries to index, each once, by name."""
    from indexer.caption import Weights
    from indexer.downloads import Downloads
    from indexer.fetch import Limits
    from indexer.manifest import Manifest
    from indexer.scan import Folder, check_root

    given = settings.indexing
    limits = Limits(
        given.download_max_bytes,
        given.download_timeout,
        given.download_retries,
        given.allow_private_urls,
    )
    downloads = Downloads(settings.downloads_dir, limits)
    weights = Weights(image=given.image_weight, caption=given.caption_weight)
    sources: list[Source] = [Folder(check_root(folder)) for folder in folders]
    sources += [Manifest(path, downloads, weights) for path in manifests]
    return {source.library: source for source in sources}


def workers_of(settings: Settings, store: "MilvusCollection") -> "Workers":
    """Who decodes and encodes: threads here, or a Ray cluster."""
    from indexer.workers import LocalWorkers

    given = settings.indexing
    limits = given.max_pixels, given.max_file_mb * 1_000_000
    if given.ray is None:
        threads = given.decode_threads or os.cpu_count() or 2
        return LocalWorkers(_encoder_loader(settings, store), threads, *limits)
    from indexer.on_ray import RayOptions, RayWorkers
    from indexer.remote_worker import Ready
    from milvus.entities import ModelRecord

    model = settings.model
    load = _loading(settings)

    def prepare(ready: Ready) -> None:
        # The service knows what it is; a model is loaded by the workers alone.
        words = _words_for(load(), settings) if model.encoder_url else _words(settings)
        store.prepare(ModelRecord(ready.model_id, ready.dim, *words))

    with_gpus = model.encoder_url is None and model.device not in ("cpu", "mps")
    options = RayOptions(given.ray, given.ray_workers, with_gpus, given.decode_threads, *limits)
    return RayWorkers(options, load, prepare, say)


def _encoder_loader(settings: Settings, store: "MilvusCollection") -> Callable[[], "Encoder"]:
    """Load the model once, when it is first needed, and make sure that the collection is its."""

    @functools.cache
    def load() -> "Encoder":
        from milvus.entities import ModelRecord

        if settings.model.encoder_url is None:
            say(f"loading {settings.model.name} …")
        encoder = _loading(settings)()
        record = ModelRecord(encoder.model_id, encoder.dim, *_words_for(encoder, settings))
        store.prepare(record)
        return encoder

    return load


def _loading(settings: Settings) -> Callable[[], "Encoder"]:
    """What loads the encoder; it can travel to another machine."""
    from embeddings.load import load_encoder

    model = settings.model
    return functools.partial(
        load_encoder,
        model.name,
        _pretrained(settings),
        models_dir=settings.models_dir,
        device=model.device,
        precision=model.precision,
        batch_size=model.batch_size,
        url=model.encoder_url,
        credentials=model.secret_encoder_auth,
    )


def _words_for(encoder: "Encoder", settings: Settings) -> tuple[str, str | None]:
    """The name and the weights that an encoder is loaded with; an encoder service tells its own."""
    from embeddings.errors import EncoderUnsuitable
    from embeddings.models import canonical
    from embeddings.remote import RemoteEncoder

    model = settings.model
    if not isinstance(encoder, RemoteEncoder):
        return _words(settings)
    was_named = "name" in model.model_fields_set
    if was_named and canonical(model.name, None)[0] != canonical(encoder.model, None)[0]:
        raise EncoderUnsuitable(
            f"the encoder service at {encoder.address} serves {encoder.model}, not {model.name}; "
            "leave out --model, or give another --encoder-url"
        )
    return encoder.model, encoder.pretrained


def _words(settings: Settings) -> tuple[str, str | None]:
    return settings.model.name, _pretrained(settings)


def same_name(settings: Settings, store: "MilvusCollection") -> bool:
    """Whether the collection was made with the words that this run was given.

    What they stand for is compared when the model is loaded, before anything is written. Another
    model altogether is refused here, before its weights are fetched.
    """
    from embeddings.models import canonical

    recorded = store.model()
    pretrained = _pretrained(settings)
    asked, _ = canonical(settings.model.name, pretrained)
    if canonical(recorded.name, recorded.pretrained)[0] != asked:
        raise store.mismatch(recorded, settings.model.name)
    return (recorded.name, recorded.pretrained) == (settings.model.name, pretrained)


def _pretrained(settings: Settings) -> str | None:
    """The tag, or the weights file by a path that leads there from any folder."""
    from embeddings.models import settled

    return settled(settings.model.pretrained)


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr)
