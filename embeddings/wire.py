"""What the encoder service and its clients say to each other, as JSON.

``POST /vectorize`` is Weaviate's; what it does not know there, it passes over.
"""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    FiniteFloat,
    PositiveInt,
)
from pydantic.alias_generators import to_camel

from embeddings.images import ImageTransform

META, READY, LIVE, VECTORIZE = "/meta", "/.well-known/ready", "/.well-known/live", "/vectorize"
# What a model reads is far shorter; a tokenizer takes minutes for megabytes.
MAX_TEXT_CHARS = 2000
# Far beyond any model's: a service must not make its clients take all their memory.
MAX_SIDE, MAX_DIM, MAX_BATCH = 4096, 32_768, 4096


def _with_a_side(transform: ImageTransform) -> ImageTransform:
    if not all(0 < side <= MAX_SIDE for side in transform.size):
        raise ValueError(f"sides of 1 to {MAX_SIDE} pixels")
    return transform


class Meta(BaseModel):
    """What a service is: the answer of ``GET /meta``."""

    model_config = ConfigDict(frozen=True)

    model_id: str
    model: str
    """The model's name as it was given."""
    pretrained: str | None
    """Its weights as they were given."""
    dim: Annotated[PositiveInt, Field(le=MAX_DIM)]
    batch_size: Annotated[PositiveInt, Field(le=MAX_BATCH)]
    logit_scale: FiniteFloat
    image_transform: Annotated[ImageTransform, AfterValidator(_with_a_side)]
    max_body_bytes: PositiveInt
    """Larger requests are refused, and so are those with more texts or images than…"""
    max_items: PositiveInt


def _none_is_empty(given: object) -> object:
    return [] if given is None else given


# Weaviate writes null for none. Of millions that are wrong, the first is told.
Strings = Annotated[list[str], FailFast(), BeforeValidator(_none_is_empty)]


class VectorizeRequest(BaseModel):
    """What is to be encoded."""

    texts: Strings = []
    images: Strings = []
    """Picture files in base64."""


class VectorizeAnswer(BaseModel):
    """The embeddings, in the order of the request."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    text_vectors: list[list[float]]
    image_vectors: list[list[float]]
    texts_cut: list[bool]
    """Which texts are longer than the model reads."""
    model_id: str
    """Tells a client that another model is served than when it asked for ``/meta``."""
