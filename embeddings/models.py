"""The models that this program knows by name, and how a name becomes an open_clip model.

Any other open_clip architecture works too; this table is for OpenAI's names, for the sample
encoder, and for ``image-search models``.

Source of OpenAI's figures: Radford et al., "Learning Transferable Visual Models From Natural
Language Supervision", 2021, and the published archives.
"""

from dataclasses import dataclass
from pathlib import Path

SAMPLE = "sample"


@dataclass(frozen=True)
class KnownModel:
    """A model that can be named on the command line."""

    name: str
    """As its authors write it."""
    architecture: str
    """open_clip's name of the architecture; OpenAI's weights need the QuickGELU variants."""
    pretrained: str
    """open_clip's tag of the weights."""
    dim: int
    """Length of an embedding."""
    image_size: int
    """Side of the square that the model sees, in pixels."""
    parameters: int
    """Number of parameters, in millions."""
    download: int
    """Size of the weights, in megabytes."""
    licence: str


def _openai(name: str, dim: int, image_size: int, parameters: int, download: int) -> KnownModel:
    stem = name.replace("/", "-")
    architecture = stem.replace("@336px", "-336") + "-quickgelu"
    return KnownModel(name, architecture, "openai", dim, image_size, parameters, download, "MIT")


KNOWN_MODELS: tuple[KnownModel, ...] = (
    _openai("ViT-L/14@336px", 768, 336, 428, 891),
    _openai("ViT-L/14", 768, 224, 428, 890),
    _openai("ViT-B/16", 512, 224, 150, 335),
    _openai("ViT-B/32", 512, 224, 151, 338),
    _openai("RN50x64", 1024, 448, 623, 1261),
    _openai("RN50x16", 768, 384, 291, 630),
    _openai("RN50x4", 640, 288, 178, 402),
    _openai("RN101", 512, 224, 120, 278),
    _openai("RN50", 1024, 224, 102, 244),
    KnownModel(SAMPLE, SAMPLE, SAMPLE, 768, 128, 6, 0, "MIT"),
)


def known_model(name: str) -> KnownModel | None:
    """The table's row of a name, or None for one that only open_clip may know."""
    return next((model for model in KNOWN_MODELS if model.name == name), None)


def canonical(name: str, pretrained: str | None) -> tuple[str, str | None]:
    """open_clip's architecture and tag for what a person typed; the tag may stay open (None).

    >>> canonical("ViT-L/14@336px", None)
    ('ViT-L-14-336-quickgelu', 'openai')
    """
    known = known_model(name)
    if known is None:
        return name.replace("/", "-"), pretrained
    return known.architecture, pretrained or known.pretrained


def settled(pretrained: str | None) -> str | None:
    """The tag, or the weights file by a path that leads there from any folder."""
    try:
        is_file = pretrained is not None and Path(pretrained).expanduser().is_file()
    except OSError:  # too long to be a path
        is_file = False
    return str(Path(pretrained).expanduser().resolve()) if pretrained and is_file else pretrained
