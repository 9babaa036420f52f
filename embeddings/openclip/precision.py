"""Device and number format: what was asked for, or the best that this machine shows it has."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from embeddings.errors import DeviceUnavailable

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# A faster format is taken only where its embeddings point the same way.
LEAST_COSINE = 0.99
# ... and where it is faster by more than the noise of a short measurement.
LEAST_GAIN = 1.1

# Pictures in one batch.
CUDA_BATCH = 128
MIN_BATCH, MAX_BATCH = 2, 32
BATCH_SECONDS = 0.25

CANDIDATES = {"mps": ("fp16",), "cpu": ("bf16",)}
CANDIDATES_ON_OTHERS = ("fp16", "bf16")  # CUDA, and what else is made for such products


def choose_device(device: str) -> torch.device:
    """``auto`` → CUDA, then Apple's MPS, then the CPU. Raises DeviceUnavailable."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise DeviceUnavailable(
            f"device {device} is not on this machine, which has {count or 'no'} CUDA "
            f"device{'s' if count > 1 else ''}; use --device auto"
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceUnavailable("device mps is not on this machine; use --device auto")
    return chosen


def cast(tower: torch.nn.Module, device: torch.device, precision: str) -> torch.nn.Module:
    """Move a tower to a device in a number format."""
    # Convolutions are faster with the channels last, on processors as on GPUs.
    tower = tower.to(device, DTYPES[precision])
    return tower.to(memory_format=torch.channels_last)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether a device had no memory left; only CUDA's allocator has an error of its own."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        "out of memory" in said or "can't allocate memory" in said
    )


@dataclass(frozen=True)
class Tuning:
    """How an image tower runs best on a device."""

    precision: str
    batch_size: int


def tune(
    tower: torch.nn.Module,
    device: torch.device,
    precision: str,
    probe: Callable[[str], torch.Tensor],
) -> Tuning:
    """Measure a tower, and leave it in the format that is returned.

    ``auto`` becomes the fastest format whose result for the probe keeps a cosine of 0.99 to
    float32. ``probe`` runs the tower on a fixed input in the format named, and returns
    ``(n, dim)``.
    """
    if precision == "auto":
        precision, seconds, images = fastest(tower, device, probe)
    else:
        cast(tower, device, precision)
        result, seconds = _timed(probe, precision, device)
        images = len(result)
    return Tuning(precision, _batch_size(device, seconds / images))


def _batch_size(device: torch.device, seconds_per_image: float) -> int:
    """GPUs want much at once. Processors do not: two pictures of ViT-L/14@336px are faster, each,
    than one by a sixth or more, and no slower than eight."""
    if device.type == "cuda":
        return CUDA_BATCH
    return max(MIN_BATCH, min(MAX_BATCH, round(BATCH_SECONDS / max(seconds_per_image, 1e-6))))


def fastest(
    tower: torch.nn.Module, device: torch.device, probe: Callable[[str], torch.Tensor]
) -> tuple[str, float, int]:
    """The fastest format that keeps the probe's result, in which the tower is left; the probe's
    seconds in it, and its number of inputs."""
    cast(tower, device, "fp32")
    reference, best_time = _timed(probe, "fp32", device)
    best = "fp32"
    # Casting to 16 bits loses digits for good, so float32 is kept aside to come back to.
    original = {name: tensor.detach().clone() for name, tensor in tower.state_dict().items()}
    for candidate in CANDIDATES.get(device.type, CANDIDATES_ON_OTHERS):
        try:
            cast(tower, device, candidate)
            result, seconds = _timed(probe, candidate, device)
        except RuntimeError as error:  # an operator that this device lacks in this format
            if is_out_of_memory(error):
                raise
            continue
        if _least_cosine(reference, result) > LEAST_COSINE and seconds * LEAST_GAIN < best_time:
            best, best_time = candidate, seconds
    cast(tower, device, "fp32")
    tower.load_state_dict(original)
    cast(tower, device, best)
    return best, best_time, len(reference)


def _timed(
    probe: Callable[[str], torch.Tensor], precision: str, device: torch.device
) -> tuple[torch.Tensor, float]:
    """The probe's result and its best time of two after one run to warm up, in seconds."""
    result = probe(precision)
    times = []
    for _ in range(2):
        synchronize(device)
        start = time.perf_counter()
        probe(precision)
        synchronize(device)
        times.append(time.perf_counter() - start)
    return result.float().cpu(), min(times)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all that was queued on it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _least_cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    cosines = torch.nn.functional.cosine_similarity(a, b).numpy()
    return float(np.nan_to_num(cosines, nan=-1.0).min())
