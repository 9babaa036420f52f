"""How the workers share a cluster: how many there are, and what each one gets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """What a machine of the cluster has."""

    cpus: float
    gpus: float = 0


@dataclass(frozen=True)
class Share:
    """What each of ``workers`` gets; less than 1 where several have one in common."""

    workers: int
    cpus: float
    gpus: float = 0

    @property
    def threads(self) -> int:
        """Threads that decode in one worker: one more where there is a single processor, since
        a file is read while another is decoded."""
        return max(2, int(self.cpus))


def share(machines: Sequence[Machine], workers: int | None, with_gpus: bool) -> Share:
    """Share the machines among so many workers, or as many as fit best: one for each GPU; without
    GPUs one for each machine of the smallest one's size, so that every model has all processors
    that it can use."""
    having = [machine for machine in machines if machine.gpus >= 1] if with_gpus else []
    if having:
        gpus = int(sum(machine.gpus for machine in having))
        count = workers or gpus
        on_one = math.ceil(count / gpus)
        cpus = min(machine.cpus / int(machine.gpus) / on_one for machine in having)
        return Share(count, math.floor(cpus) if cpus >= 1 else _cut(cpus), _cut(1 / on_one))
    sizes = [int(machine.cpus) for machine in machines if machine.cpus >= 1] or [1]
    if workers is None:
        smallest = min(sizes)
        return Share(sum(size // smallest for size in sizes), smallest)
    for cpus in range(max(sizes), 0, -1):
        if sum(size // cpus for size in sizes) >= workers:
            return Share(workers, cpus)
    return Share(workers, _cut(1 / math.ceil(workers / sum(sizes))))


def _cut(fraction: float) -> float:
    """To digits that Ray has, and never up: so many must fit."""
    return math.floor(fraction * 1000) / 1000
