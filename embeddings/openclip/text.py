"""The text tower, run no further than the text goes."""

from typing import Any

import torch
from open_clip.model import CLIP
from open_clip.transformer import text_global_pool

# Pooling at the end-of-text token. Attention is causal there, so what comes after changes nothing.
POOLED_AT_END = ("argmax", "eos")


def text_tower(model: Any) -> torch.nn.Module:
    """A module from tokens of shape ``(n, context_length)`` to features of ``(n, dim)``.

    OpenAI's kind of tower is cut at the end of the longest text, which gives the same features for
    a fraction of the work; other towers run whole.
    """
    cuttable = (
        isinstance(model, CLIP)
        and model.attn_mask is not None
        and model.text_pool_type in POOLED_AT_END
    )
    return CutTextTower(model) if cuttable else WholeTextTower(model)


class CutTextTower(torch.nn.Module):
    """``open_clip.CLIP.encode_text`` over as many positions as the longest text takes.

    Shares the model's parameters: casting this casts the model's text part and nothing else. It
    keeps no tensor of its own, which a model that moves to another device would leave behind.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.token_embedding = model.token_embedding
        self.positional_embedding = model.positional_embedding
        self.transformer = model.transformer
        self.ln_final = model.ln_final
        self.text_projection = model.text_projection
        self._pool_type = model.text_pool_type
        self._eos_id = int(getattr(model, "text_eos_id", None) or 0)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Features, not yet normalised."""
        is_eos = self._pool_type == "eos"
        ends = tokens.eq(self._eos_id) if is_eos else tokens
        # The first of the largest: the end-of-text token has the highest number.
        length = int(ends.int().argmax(dim=-1).max()) + 1
        tokens = tokens[:, :length]
        dtype = self.transformer.get_cast_dtype()
        x = self.token_embedding(tokens).to(dtype)
        x = x + self.positional_embedding[:length].to(dtype)
        x = self.ln_final(self.transformer(x, attn_mask=_causal_mask(x)))
        features: torch.Tensor
        features = text_global_pool(x, tokens, self._pool_type, eos_token_id=self._eos_id)
        if isinstance(self.text_projection, torch.nn.Linear):
            features = self.text_projection(features)
        elif self.text_projection is not None:
            features = features @ self.text_projection
        return features


class WholeTextTower(torch.nn.Module):
    """The model's own ``encode_text``; the model itself, with its image tower, is no part of it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._encode = model.encode_text
        if hasattr(model, "text"):
            self.text = model.text

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Features, not yet normalised."""
        features: torch.Tensor = self._encode(tokens)
        return features


def _causal_mask(x: torch.Tensor) -> torch.Tensor:
    """What attention adds for ``x`` of shape ``(n, length, width)``: no position sees later ones.

    It is ``CLIP.build_causal_mask`` for this length, made where ``x`` is and in its format.
    """
    length = x.shape[1]
    return torch.full((length, length), float("-inf"), device=x.device, dtype=x.dtype).triu_(1)
