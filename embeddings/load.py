"""Make an encoder from a model's name. torch is imported when this is called, not before."""

from pathlib import Path

from embeddings.encoder import Encoder
from embeddings.parallel import ParallelEncoder


def load_encoder(
    name: str,
    pretrained: str | None,
    *,
    models_dir: Path,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    url: str | None = None,
    credentials: str | None = None,
) -> Encoder:
    """Load a model with its weights, never with random ones.

    ``name`` and ``pretrained`` are open_clip's words, one of OpenAI's nine names, ``sample``, or
    (``pretrained``) a weights file. Weights that are given by tag are looked for in
    ``models_dir`` and the usual caches, and fetched where there is a network. ``batch_size``
    is found out where it is None. Several devices (``cuda:0,cuda:1``) share the pictures.

    With ``url`` nothing is loaded: the encoder is the service there, with the service's model,
    asked with ``credentials`` (``user:password``).

    Raises EncoderError.
    """
    if url is not None:
        from embeddings.remote import RemoteEncoder

        return RemoteEncoder(url, credentials=credentials)
    from embeddings.openclip.encoder import OpenClipEncoder

    encoders = [
        OpenClipEncoder.load(
            name,
            pretrained,
            models_dir=models_dir,
            device=one,
            precision=precision,
            batch_size=batch_size,
        )
        for one in device.split(",")
    ]
    return ParallelEncoder(encoders) if len(encoders) > 1 else encoders[0]
