"""Contrastive loss in which a picture may have many right texts, and a text many right pictures.

CLIP (Radford et al. 2021) takes the other pairs of a batch as wrong. With a few dozen categories
most of them would be right, so the target is spread over all true pairs, as in UniCL (Yang et al.
2022) and supervised contrastive learning (Khosla et al. 2020).
"""

from torch import Tensor
from torch.nn import functional

from sample_training.prompts import Level

# Categories are what is searched for most; counts are hard to see and must not cost the rest.
WEIGHTS = {
    Level.CATEGORY: 1.0,
    Level.VARIETY: 0.5,
    Level.COLOUR: 0.5,
    Level.KIND: 0.25,
    Level.SETTING: 0.25,
    Level.COUNT: 0.1,
    Level.CAPTION: 0.25,
}
TEXT_TO_IMAGE = 0.5
SMOOTHING = 0.05


def spread(logits: Tensor, truth: Tensor, smoothing: float) -> Tensor:
    """Cross entropy of each row against its true columns, all shapes `(n, m)`; a scalar.

    Rows that have no true column are left out, and a row counts as much as is true of it.
    """
    total = truth.sum(dim=1)
    weight = total.clamp(max=1.0)
    target = truth / total.clamp(min=1e-6)[:, None]
    target = target * (1 - smoothing) + smoothing / truth.shape[1]
    losses = -(target * functional.log_softmax(logits, dim=1)).sum(dim=1)
    return (losses * weight).sum() / weight.sum().clamp(min=1.0)


def contrast(similarity: Tensor, scale: Tensor, truth: Tensor, levels: list[Level]) -> Tensor:
    """The loss of a batch.

    `similarity` and `truth` are `(pictures, texts)`, the cosine and whether the text is true;
    `levels` has one entry per text. Each level is a choice of its own, both for a picture among
    its texts and for its texts among the pictures: else the many captions would outvote the few
    categories.
    """
    logits = similarity * scale
    loss = logits.new_zeros(())
    for level, weight in WEIGHTS.items():
        columns = [i for i, name in enumerate(levels) if name is level]
        if columns:
            among, right = logits[:, columns], truth[:, columns]
            loss = loss + weight * spread(among, right, SMOOTHING)
            loss = loss + weight * TEXT_TO_IMAGE * spread(among.T, right.T, 0.0)
    return loss
