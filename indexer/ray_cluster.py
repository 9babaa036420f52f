"""Connect to a Ray cluster, or start one here (https://docs.ray.io)."""

import logging
import os
import socket
import warnings
from typing import Any
from urllib.parse import urlsplit

from embeddings.errors import first_line
from indexer.errors import WorkersFailed

CONNECT_S = 5
# What is enough for the batches under way; Ray would reserve three tenths of the memory.
LOCAL_OBJECT_STORE = 512 * 1024 * 1024


def connect(address: str) -> Any:
    """Ray, connected, and quiet. Raises WorkersFailed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise WorkersFailed(
            "Ray is not installed; pip install 'text-image-search[ray]', or leave out --ray"
        ) from error
    # It prints what the cluster tells of workers that died, on stdout, whatever log_to_driver is.
    ray._private.worker.print_to_stdstream = lambda data, ignore_prefix=False: None
    may_start = address == "default" and not os.environ.get("RAY_ADDRESS")
    if address in ("default", "auto"):
        address = os.environ.get("RAY_ADDRESS") or "auto"
    answered = False
    try:
        _knock(address)
        answered = True
        try:
            _init(ray, address)
        except ConnectionError:
            if not may_start:
                raise
            address = "local"
            _init(ray, address)
    # Ray ends the process where a cluster does not answer, and raises bare exceptions.
    except (Exception, SystemExit) as error:
        ray.shutdown()
        reason = getattr(error, "strerror", None) or first_line(error).partition(". ")[0]
        if address == "local":
            raise WorkersFailed(f"Ray cannot be started here ({reason})") from error
        where = "here" if address == "auto" else f"at {address}"
        advice = "start one with ray start --head, or use --ray local"
        if answered and address.startswith("ray://"):
            advice = "set RAY_AUTH_MODE=token if it asks for a token"
        raise WorkersFailed(f"no Ray cluster answers {where} ({reason}); {advice}") from error
    return ray


def _knock(address: str) -> None:
    """Find out at once whether anybody listens; Ray takes minutes. Raises OSError."""
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), CONNECT_S).close()


def _init(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL + 1}
    if address != "local":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of, it raises, too
            ray.init(address, **quiet)
        return
    own = {"include_dashboard": False, "object_store_memory": LOCAL_OBJECT_STORE}
    try:
        ray.init(address, **quiet, **own)
    except Exception:  # its parts have half a minute, too little on a machine that is busy
        ray.shutdown()
        ray.init(address, **quiet, **own)
