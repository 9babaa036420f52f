"""What can go wrong with indexing as a whole; a single bad file is only skipped.

IndexingError
├── NotAFolder      the path does not exist, or is no folder
├── BadManifest     the table cannot be read, or a column of it cannot be stored
├── NothingFound    the library holds no pictures; what was indexed of it stays
└── WorkersFailed   the workers on other machines cannot be reached, or not be kept at work
"""


class IndexingError(Exception):
    """Base of what stops a run."""


class NotAFolder(IndexingError):
    """The path to index is no folder that can be read."""


class BadManifest(IndexingError):
    """The table of pictures is broken as a whole; a single bad row is only skipped."""


class NothingFound(IndexingError):
    """There is no picture in the library."""


class WorkersFailed(IndexingError):
    """Ray is not there, does not answer, or its workers end again and again."""
