"""Which files a worker elsewhere does next, and again where one died."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from indexer.source import FoundFile

# How often a batch is tried with others at work, and each of its files alone after that.
TRIES = 2


@dataclass(frozen=True)
class Job:
    """Files for one call of a worker."""

    files: tuple[FoundFile, ...]
    alone: bool = False
    """Whether nothing else may be under way, so that a death is its own doing."""
    tries: int = 0


@dataclass
class Run:
    """The files of one run: those to come, and those that come again."""

    batches: Iterator[tuple[FoundFile, ...]]
    again: deque[Job] = field(default_factory=deque)
    suspects: deque[Job] = field(default_factory=deque)
    """Files of batches that ended their workers."""

    def next(self, under_way: int) -> Job | None:
        """What to do next, beside so many batches under way."""
        if self.again:
            return self.again.popleft()
        if files := next(self.batches, None):
            return Job(files)
        return self.suspects.popleft() if self.suspects and not under_way else None

    def failed(self, job: Job) -> bool:
        """Put a batch whose worker died back; False where it was tried often enough."""
        job = replace(job, tries=job.tries + 1)
        if job.tries < TRIES:
            (self.suspects if job.alone else self.again).appendleft(job)
        elif not job.alone:
            self.suspects.extend(Job((file,), alone=True) for file in job.files)
        return job.tries < TRIES or not job.alone
