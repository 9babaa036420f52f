"""Trains the encoder from nothing."""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip import CLIP
from torch import Tensor, nn

from sample_training.architecture import MODEL_CFG
from sample_training.augment import Strength, cut_and_mix, vary
from sample_training.average import Average
from sample_training.loss import contrast, spread
from sample_training.photos import Pictures, join
from sample_training.prompts import prompts_for
from sample_training.textbank import UNSEEN_TOKEN, TextBank


@dataclass(frozen=True)
class Recipe:
    """All that is chosen about a training run; the defaults are those of the shipped weights."""

    epochs: int = 100
    """of as many photos as there are"""
    seed: int = 0
    photos_per_batch: int = 72
    drawings_per_batch: int = 40
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: float = 0.04
    """share of all steps"""
    sizes: tuple[tuple[float, int], ...] = ((0.5, 80), (0.8, 96), (1.0, 112))
    """picture size in pixels until this share of the steps: small first, to save time, and never as
    large as when used: a random crop shows things larger (Touvron et al. 2019)"""
    head_weight: float = 0.5
    """of the plain classifier that is trained beside the texts and dropped afterwards"""
    mix: float = 0.5
    """probability that a batch is mixed"""
    strength: Strength = field(default_factory=Strength)


@dataclass(frozen=True)
class Progress:
    epoch: int
    epochs: int
    loss: float
    seconds: float


class Trainer:
    """One run over photos and drawings; `run` may be called once."""

    def __init__(self, photos: Pictures, drawings: Pictures, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self._recipe = recipe
        self._torch_random = torch.Generator().manual_seed(recipe.seed)
        self._random = np.random.default_rng(recipe.seed)
        pictures = join(photos, drawings)
        self._photos = len(photos)
        self._pixels = torch.from_numpy(pictures.pixels)
        self._bank = TextBank(prompts_for(pictures.facts))
        self._truth = self._bank.truth(pictures.facts)
        self._odds = _odds([f.category for f in photos.facts])
        self._labels = _one_hot([(f.category, f.variety) for f in pictures.facts])
        self.model = CLIP(**MODEL_CFG)
        self._head = nn.Linear(MODEL_CFG["embed_dim"], self._labels.shape[1])
        self._forget_unseen()
        self.model.to(memory_format=torch.channels_last)
        self.average = Average(self.model)

    def run(self, report: Callable[[Progress], None]) -> CLIP:
        """Trains and returns the average of the weights, in evaluation mode."""
        recipe = self._recipe
        steps_per_epoch = max(1, self._photos // recipe.photos_per_batch)
        steps = steps_per_epoch * recipe.epochs
        optimiser = self._optimiser()
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: self._rate(s / steps))
        began = time.monotonic()
        for epoch in range(recipe.epochs):
            losses = 0.0
            for number, batch in enumerate(self._batches(steps_per_epoch)):
                done = (epoch * steps_per_epoch + number) / steps
                size = next(px for until, px in recipe.sizes if done < until)
                loss = self._loss(batch, size)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
                optimiser.step()
                schedule.step()
                self._forget_unseen_token()
                self.average.update(self.model)
                losses += loss.item()
            report(
                Progress(
                    epoch + 1, recipe.epochs, losses / steps_per_epoch, time.monotonic() - began
                )
            )
        return self.finished()

    def finished(self) -> CLIP:
        """The averaged weights so far, as a model of their own in evaluation mode."""
        return self.average.model.eval()

    def _batches(self, steps: int) -> list[NDArray[np.int64]]:
        """As many photos as there are, and the drawings that fit beside them."""
        recipe = self._recipe
        photos = self._random.choice(self._photos, self._photos, p=self._odds)
        drawn = len(self._truth) - self._photos
        wanted = steps * recipe.drawings_per_batch
        rounds = -(-wanted // drawn) if drawn else 0
        drawings = [self._random.permutation(drawn) + self._photos for _ in range(rounds)]
        pool = np.concatenate([*drawings, np.empty(0, dtype=np.int64)])
        parts = zip(
            np.array_split(photos[: steps * recipe.photos_per_batch], steps),
            np.array_split(pool[:wanted], steps),
            strict=True,
        )
        return [np.concatenate(part) for part in parts]

    def _loss(self, batch: NDArray[np.int64], size: int) -> Tensor:
        rows = torch.from_numpy(batch)
        images = vary(self._pixels[rows], size, self._recipe.strength, self._torch_random)
        columns, tokens = self._bank.draw(self._truth[rows], self._torch_random)
        texts = len(columns)
        truth = torch.cat([self._truth[rows][:, columns], self._labels[rows]], dim=1)
        if float(torch.rand((), generator=self._torch_random)) < self._recipe.mix:
            images, truth = cut_and_mix(images, truth, self._torch_random)
        self.model.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = self.model.encode_image(images)
        features = features.float()
        text_features = self.model.encode_text(tokens, normalize=True)
        similarity = nn.functional.normalize(features, dim=1) @ text_features.T
        scale = self.model.logit_scale.exp().clamp(max=50.0)
        loss = contrast(similarity, scale, truth[:, :texts], self._bank.levels(columns))
        head = spread(self._head(features), truth[:, texts:], 0.1)
        return loss + self._recipe.head_weight * head

    def _optimiser(self) -> torch.optim.Optimizer:
        parameters = [*self.model.parameters(), *self._head.parameters()]
        decayed = [p for p in parameters if p.ndim > 1]
        plain = [p for p in parameters if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self._recipe.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self._recipe.learning_rate, fused=True)

    def _rate(self, done: float) -> float:
        """Warm-up, then a cosine to zero; `done` in 0..1."""
        if done < self._recipe.warm_up:
            return (done + 1e-3) / self._recipe.warm_up
        rest = (done - self._recipe.warm_up) / (1 - self._recipe.warm_up)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))

    def _forget_unseen(self) -> None:
        """Zeroes the embedding of every token that no prompt uses."""
        weight = self.model.token_embedding.weight
        used = torch.zeros(len(weight), dtype=torch.bool)
        used[self._bank.used_tokens()] = True
        if used[UNSEEN_TOKEN]:
            raise ValueError(f"token {UNSEEN_TOKEN} occurs in a prompt: choose another stand-in")
        with torch.no_grad():
            weight[~used] = 0.0

    def _forget_unseen_token(self) -> None:
        with torch.no_grad():
            self.model.token_embedding.weight[UNSEEN_TOKEN] = 0.0


def _one_hot(labels: list[tuple[str, str | None]]) -> Tensor:
    names = sorted(set(labels), key=str)
    return nn.functional.one_hot(torch.tensor([names.index(n) for n in labels])).float()


def _odds(categories: list[str]) -> NDArray[np.float64]:
    """How often each photo is shown, a distribution of shape `(n,)`.

    Between one chance per photo, which forgets the rare categories, and one per category, which
    repeats their few photos until they are known by heart.
    """
    sizes = Counter(categories)
    weights = np.array([sizes[category] ** -0.5 for category in categories])
    odds: NDArray[np.float64] = weights / weights.sum()
    return odds
