"""RayWorkers: decoding and encoding on the machines of a Ray cluster (https://docs.ray.io).

Each worker is an actor that loads the model once. Batches of files go to them, a few under way
for each, and come back in any order. A worker that goes away is replaced, wherever the cluster has
room, and its batches are done by others.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from embeddings.encoder import Encoder
from embeddings.errors import EncoderError, EncoderUnsuitable, first_line
from indexer.errors import WorkersFailed
from indexer.jobs import Job, Run
from indexer.prepare import Unreadable
from indexer.ray_cluster import connect
from indexer.remote_worker import Processed, Ready, RemoteWorker, origin_keys
from indexer.shares import Machine, share
from indexer.source import FoundFile
from indexer.sync import Origin
from indexer.thumbnailing import Thumbnailing
from indexer.workers import Result

# Batches under way for a worker: one that is decoded while another is encoded, and one that waits.
AT_ONCE = 2
UNDER_WAY = AT_ONCE + 1
# The encoder's batches in one of ours.
BATCHES = 2
# More deaths in a row than this, and twice as many as there are workers, are no accident.
DEATHS = 6
SAME = "every machine of the cluster needs the same version of this program"
PATIENCE_S = 30.0


@dataclass(eq=False)
class _Worker:
    """An actor."""

    actor: Any
    ready: bool = False
    jobs: int = 0
    """Batches that it has."""


@dataclass(frozen=True)
class RayOptions:
    """Where the workers are, and what they do."""

    address: str
    """``local`` starts Ray here, ``auto`` takes the cluster that runs here, ``host:port`` or
    ``ray://host:port`` another one, and ``default`` is what Ray takes by itself: RAY_ADDRESS, the
    cluster that runs here, or one that is started."""
    workers: int | None
    with_gpus: bool
    """Whether a model runs on them that may use GPUs."""
    decode_threads: int | None
    max_pixels: int
    max_bytes: int
    """Of a file."""


class RayWorkers:
    """Workers that are a Ray cluster's. Nothing of Ray begins before ``begin``.

    ``load`` loads the encoder on each of them; it travels there.
    ``on_ready`` is called once, with what the first worker says; all others must have its model.
    ``say`` gets what people should know.
    """

    def __init__(
        self,
        options: RayOptions,
        load: Callable[[], Encoder],
        on_ready: Callable[[Ready], None],
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._load = load
        self._on_ready = on_ready
        self._say = say
        self._ray: Any = None
        self._new_actor: Callable[[], Any]
        self._workers: list[_Worker] = []
        self._calls: dict[Any, tuple[_Worker, Job | None]] = {}
        """By the reference of the answer; the job is None while the model is being loaded."""
        self._ready: Ready | None = None
        self._deaths = 0

    def begin(self) -> None:
        """Connect, start the workers, and return when the first one has loaded its model.

        Raises WorkersFailed or EncoderError.
        """
        if self._ray is None:
            self._say("loading the model on Ray …")
            self._ray = connect(self._options.address)
            self._hire_all()
        while self._ready is None:
            self._wait()

    def process(
        self,
        files: Iterable[FoundFile],
        origins: Callable[[], Collection[Origin]],
        thumbnails: Thumbnailing | None,
    ) -> Iterator[Result]:
        """Each file, in any order. Raises WorkersFailed or EncoderError."""
        iterator = iter(files)
        first = next(iterator, None)
        if first is None:
            return
        self.begin()
        known = self._ray.put(origin_keys(origins()))
        run = Run(self._batches(chain([first], iterator)))
        while True:
            while (worker := self._free()) and (job := run.next(self._under_way)):
                wants = thumbnails is not None and thumbnails.wanted
                answer = worker.actor.process.remote(job.files, known, wants)
                worker.jobs += 1
                self._calls[answer] = worker, job
            if worker and not self._under_way:
                return
            for job, processed in self._wait():
                if processed is not None:
                    yield from _taken(processed, thumbnails)
                elif not run.failed(job):
                    yield Unreadable(job.files[0], "its worker died each time that it was opened")

    def close(self) -> None:
        """Let the workers go; a cluster that was started here ends."""
        if self._ray is not None:
            self._workers.clear()
            self._calls.clear()
            self._ray.shutdown()
            self._ray = None

    def _batches(self, files: Iterator[FoundFile]) -> Iterator[tuple[FoundFile, ...]]:
        assert self._ready is not None
        while batch := tuple(islice(files, BATCHES * self._ready.batch_size)):
            yield batch

    @property
    def _under_way(self) -> int:
        return sum(worker.jobs for worker in self._workers)

    def _free(self) -> _Worker | None:
        """The worker that has the least to do, where one may have more."""
        free = [worker for worker in self._workers if worker.ready and worker.jobs < UNDER_WAY]
        return min(free, key=lambda worker: worker.jobs, default=None)

    def _hire_all(self) -> None:
        machines = [
            Machine(node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0))
            for node in self._ray.nodes()
            if node["Alive"]
        ]
        each = share(machines, self._options.workers, self._options.with_gpus)
        kind = self._ray.remote(RemoteWorker).options(
            num_cpus=each.cpus,
            num_gpus=each.gpus,
            max_concurrency=AT_ONCE,
            scheduling_strategy="SPREAD",
        )
        threads = self._options.decode_threads or each.threads
        limits = self._options.max_pixels, self._options.max_bytes
        self._new_actor = lambda: kind.remote(self._load, threads, *limits)
        for _ in range(each.workers):
            self._hire()

    def _hire(self) -> None:
        worker = _Worker(self._new_actor())
        self._workers.append(worker)
        self._calls[worker.actor.load.remote()] = worker, None

    def _wait(self) -> list[tuple[Job, Processed | None]]:
        """Wait until a call has ended: a batch with what became of it, or None where its worker
        died, or nothing where something else happened."""
        is_ready = any(worker.ready for worker in self._workers)
        done, _ = self._ray.wait(list(self._calls), timeout=None if is_ready else PATIENCE_S)
        if not done:
            self._say("waiting for room in the Ray cluster (Ctrl+C gives up) …")
        ended: list[tuple[Job, Processed | None]] = []
        for reference in done:
            worker, job = self._calls.pop(reference)
            answer = self._answer(reference, worker)
            if job is None and answer is not None:
                self._welcome(worker, answer)
            elif job is not None:
                worker.jobs -= 1
                ended.append((job, answer))
        return ended

    def _answer(self, reference: Any, worker: _Worker) -> Any:
        """What a call returned; None where its worker died."""
        errors = self._ray.exceptions
        try:
            answer = self._ray.get(reference)
        except errors.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, EncoderError):
                raise cause from None
            raise WorkersFailed(
                f"a Ray worker failed ({type(cause).__name__}: {first_line(cause)}); {SAME}"
            ) from error
        except errors.RayError as error:
            if getattr(error, "actor_init_failed", False):  # nothing of ours ran
                raise WorkersFailed(
                    f"a Ray worker cannot start ({str(error).strip().splitlines()[-1]}); {SAME}"
                ) from error
            self._replace(worker, error)
            return None
        except ConnectionError as error:
            raise WorkersFailed(f"the Ray cluster is gone: {first_line(error)}") from error
        if isinstance(answer, Processed):
            self._deaths = 0
        return answer

    def _welcome(self, worker: _Worker, ready: Ready) -> None:
        if self._ready is None:
            self._on_ready(ready)
            self._ready = ready
        if ready.model_id != self._ready.model_id:
            raise EncoderUnsuitable(
                f"the worker on {ready.host} has {ready.model_id}, and the one on "
                f"{self._ready.host} {self._ready.model_id}; give both the same weights"
            )
        worker.ready = True

    def _replace(self, worker: _Worker, error: Exception) -> None:
        """Another worker for one that is gone; once, however many of its batches tell."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        with contextlib.suppress(Exception):  # if it is only out of reach, it is not needed either
            self._ray.kill(worker.actor)
        self._deaths += 1
        if self._deaths > DEATHS + 2 * (len(self._workers) + 1):
            raise WorkersFailed(
                f"the Ray workers die again and again ({first_line(error)}); look at the memory "
                "of their machines, and at Ray's logs"
            ) from error
        self._hire()


def _taken(processed: Processed, thumbnails: Thumbnailing | None) -> Iterator[Result]:
    """A batch as this process sees it."""
    if thumbnails:
        for content_hash, thumbnail in processed.thumbnails.items():
            thumbnails.keep(content_hash, thumbnail)
    for result in processed.results:
        if isinstance(result, Unreadable) and result.vanished and os.path.lexists(result.file.path):
            reason = (
                f"there is no such file on {processed.host}, a machine of the Ray cluster; every "
                "one of them needs the folder under the same path"
            )
            yield Unreadable(result.file, reason)
        else:
            yield result
