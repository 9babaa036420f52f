"""Milvus's whole numbers. Nothing heavy is imported here, for what a command line needs at once."""

MAX_INT64 = 2**63 - 1


def storable_time(mtime_ns: int) -> int:
    """A time as Milvus keeps it, as INT64 in nanoseconds: after 2262 it is the last moment."""
    return min(max(mtime_ns, -MAX_INT64), MAX_INT64)
