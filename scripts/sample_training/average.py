"""The running average of the weights, which ranks better than the last step's."""

import copy

import torch
from open_clip import CLIP

_DECAY = 0.998


class Average:
    """Exponential moving average of all weights and of batch norm's statistics."""

    def __init__(self, model: CLIP) -> None:
        self.model: CLIP = copy.deepcopy(model).requires_grad_(False)
        self._updates = 0

    @torch.no_grad()
    def update(self, model: CLIP) -> None:
        self._updates += 1
        # Short at first, so that the random start is soon forgotten.
        decay = min(_DECAY, (1 + self._updates) / (10 + self._updates))
        for mine, theirs in zip(
            self.model.state_dict().values(), model.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)
