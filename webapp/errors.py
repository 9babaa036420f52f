"""What can go wrong with a request; messages are shown to people as they are.

RequestError
├── BadQuery       the query cannot be answered as it is
├── TooLarge       the request's body is larger than is taken
├── ImageGone      no such picture, or its file went away or changed since it was indexed
├── NotAllowed     the operator does not let visitors index that, or anything
├── BadFolder      what is to be indexed is no folder
└── AlreadyRunning another folder is being indexed
"""


class RequestError(Exception):
    """Base of what a visitor can do wrong."""


class BadQuery(RequestError):
    """The query is empty, too long or out of range."""


class TooLarge(RequestError):
    """The body of the request is too large."""


class ImageGone(RequestError):
    """The picture cannot be shown."""


class NotAllowed(RequestError):
    """The operator does not let visitors index that folder, or any."""


class BadFolder(RequestError):
    """What is to be indexed is no folder, or cannot be looked into."""


class AlreadyRunning(RequestError):
    """One folder is indexed at a time."""


class CannotListen(Exception):
    """The server cannot be started at its address; no visitor ever sees this one."""


class BadAccounts(Exception):
    """The file of users cannot be used as it is; no visitor ever sees this one."""


class CannotWrite(Exception):
    """A file that was asked for cannot be written."""


class CopyDiffers(Exception):
    """A copy of a collection is not like the collection."""
