"""The encoder behind the searches: loaded once for a collection's model, and told of meanwhile."""

import threading
from collections.abc import Callable
from enum import StrEnum

from embeddings.encoder import Encoder
from embeddings.errors import EncoderError
from embeddings.texts import TextEmbeddings
from embeddings.together import Together
from milvus.entities import ModelRecord
from milvus.errors import ModelMismatch

# Pictures of several visitors that are encoded at once: more would keep the first one waiting.
IMAGES_TOGETHER = 8


class LoadedEncoder:
    """An encoder with what makes it quick for many small questions."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.texts = TextEmbeddings(encoder)
        self.images = Together(encoder.encode_images, most=IMAGES_TOGETHER)


class Loading(StrEnum):
    """Where the model is."""

    NOT_YET = "not_yet"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class EncoderLoader:
    """Loads the encoder of a model when it is first asked for; others who ask then wait for it."""

    def __init__(self, load_encoder: Callable[[ModelRecord], Encoder]) -> None:
        self._load_encoder = load_encoder
        self._encoders: dict[str, LoadedEncoder] = {}
        self._lock = threading.Lock()
        self.state = Loading.NOT_YET

    def get(self, record: ModelRecord) -> LoadedEncoder:
        """The encoder of that model. Raises EncoderError, or ModelMismatch where the words that
        the collection records stand for another model by now."""
        loaded = self._encoders.get(record.model_id)
        if loaded is None:
            with self._lock:
                loaded = self._encoders.get(record.model_id) or self._load(record)
        return loaded

    def _load(self, record: ModelRecord) -> LoadedEncoder:
        self.state = Loading.LOADING
        try:
            encoder = self._load_encoder(record)
            if encoder.model_id != record.model_id:
                raise ModelMismatch(
                    f"the pictures were indexed with {record.model_id}, and {record.name} is now "
                    f"{encoder.model_id}; restore its weights, or run image-search drop and index "
                    "again"
                )
        except (EncoderError, ModelMismatch):
            self.state = Loading.FAILED
            raise
        loaded = LoadedEncoder(encoder)
        self._encoders = {record.model_id: loaded}
        self.state = Loading.READY
        return loaded
