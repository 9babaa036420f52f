"""What can go wrong with a request; messages are shown to people as they are.

RequestError
├── BadQuery       the query cannot be answered as it is
├── TooLarge       the request's body is larger than is taken
└── ImageGone      no such picture, or its file went away or changed since it was indexed
"""


class RequestError(Exception):
    """Base of what a visitor can do wrong."""


class BadQuery(RequestError):
    """The query is empty, too long or out of range."""


class TooLarge(RequestError):
    """The body of the request is too large."""


class ImageGone(RequestError):
    """The picture cannot be shown."""


class CannotListen(Exception):
    """The server cannot be started at its address; no visitor ever sees this one."""


class BadAccounts(Exception):
    """The file of users cannot be used as it is; no visitor ever sees this one."""


class CannotWrite(Exception):
    """A file that was asked for cannot be written."""
