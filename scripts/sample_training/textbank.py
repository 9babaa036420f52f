"""Prompts as tokens, and the table of which pictures they are true of."""

from collections.abc import Sequence

import torch
from open_clip import SimpleTokenizer
from torch import Tensor

from sample_training.architecture import CONTEXT
from sample_training.prompts import Facts, Level, Prompt

# Stands for a word never seen in training. Its embedding is held at zero, like those of all the
# unseen words of the finished model, so that the text tower learns to read past them. The id is an
# ordinary one whose word no prompt uses.
UNSEEN_TOKEN = 40000
_UNSEEN_SHARE = 0.15
# The chance of a prompt's first wording; the others share the rest.
_FIRST_SHARE = 0.3
_CAPTIONS = 48


class TextBank:
    """Draws one wording of every prompt, and of some captions, for each training step."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = sorted(prompts, key=lambda prompt: prompt.level is Level.CAPTION)
        levels = [prompt.level for prompt in self._prompts]
        self._fixed = sum(level is not Level.CAPTION for level in levels)
        tokenizer = SimpleTokenizer(context_length=CONTEXT)
        self._tokens: list[Tensor] = [tokenizer(list(p.phrases)) for p in self._prompts]
        self._levels = levels

    def used_tokens(self) -> Tensor:
        """The ids of all tokens that some wording contains, sorted, int64."""
        used: Tensor = torch.unique(torch.cat(self._tokens))
        return used

    def truth(self, pictures: Sequence[Facts]) -> Tensor:
        """Float `(pictures, prompts)`: 1 where the prompt fits the picture."""
        rows = {
            facts: torch.tensor([p.fits(facts) for p in self._prompts]) for facts in set(pictures)
        }
        return torch.stack([rows[facts] for facts in pictures]).float()

    def draw(self, true_of: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Chooses texts for a batch whose rows of the truth table are given.

        Returns the columns of the chosen prompts, `(texts,)`, and tokens `(texts, CONTEXT)`.
        """
        usable = true_of[:, self._fixed :].any(dim=0).nonzero().squeeze(1) + self._fixed
        order = torch.randperm(len(usable), generator=generator)[:_CAPTIONS]
        columns = torch.cat([torch.arange(self._fixed), usable[order]])
        first = torch.rand(len(columns), generator=generator) < _FIRST_SHARE
        place = torch.rand(len(columns), generator=generator)
        rows = []
        for column, is_first, where in zip(
            columns.tolist(), first.tolist(), place.tolist(), strict=True
        ):
            wordings = self._tokens[column]
            rows.append(wordings[0 if is_first else int(where * len(wordings))])
        return columns, _with_unseen(torch.stack(rows), generator)

    def levels(self, columns: Tensor) -> list[Level]:
        return [self._levels[i] for i in columns.tolist()]


def _with_unseen(tokens: Tensor, generator: torch.Generator) -> Tensor:
    """Puts an unseen word at a random place of some texts, if there is room before the end."""
    length = (tokens != 0).sum(dim=1)
    chance = torch.rand(len(tokens), generator=generator)
    place = torch.rand(len(tokens), generator=generator)
    for row in ((chance < _UNSEEN_SHARE) & (length < tokens.shape[1])).nonzero().flatten().tolist():
        at = 1 + int(place[row] * (length[row] - 1))
        tokens[row, at + 1 :] = tokens[row, at:-1].clone()
        tokens[row, at] = UNSEEN_TOKEN
    return tokens
