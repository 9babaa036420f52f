"""What can go wrong with indexing as a whole; a single bad file is only skipped.

IndexingError
├── NotAFolder      the path does not exist, or is no folder
└── NothingFound    the folder holds no pictures; what was indexed of it stays
"""


class IndexingError(Exception):
    """Base of what stops a run."""


class NotAFolder(IndexingError):
    """The path to index is no folder that can be read."""


class NothingFound(IndexingError):
    """There is no picture in the folder."""
