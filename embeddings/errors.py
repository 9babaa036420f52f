"""What can go wrong with encoders and images.

    EncoderError            something about the model
    ├── UnknownModel        no model or pretrained tag of that name
    ├── WeightsNotFound     the weights are not here and cannot be fetched
    ├── WeightsUnusable     the file is no checkpoint, carries code, or fits another architecture
    ├── DeviceUnavailable   the device or the number format that was asked for is not there
    ├── DeviceFailed        the device stopped working while it encoded
    ├── EncoderUnavailable  an encoder service does not answer, or refuses to
    └── EncoderUnsuitable   it answers, and is not the service or the model that is needed
    ImageError              a file is no picture that can be read

Every message says what to do next, in one line.
"""


class EncoderError(Exception):
    """Base of everything that is wrong with a model."""


class UnknownModel(EncoderError):
    """There is no model, or no set of weights, of that name."""


class WeightsNotFound(EncoderError):
    """Weights are missing: a program must stop here rather than run on random ones."""


class WeightsUnusable(EncoderError):
    """A weights file was found and cannot be used."""


class DeviceUnavailable(EncoderError):
    """The device is not on this machine, or cannot compute in the precision asked for."""


class DeviceFailed(EncoderError):
    """The device stopped working in the middle; what was encoded before it is good."""


class EncoderUnavailable(EncoderError):
    """An encoder service is away, still loading its model, or turned a request down."""


class EncoderUnsuitable(EncoderError):
    """What answers is no encoder service of ours, or serves another model."""


class ImageError(Exception):
    """A file cannot be read as a picture; the message is the reason, without the path."""


def first_line(error: BaseException, length: int = 120) -> str:
    """What a library's error says, short enough for a line of ours; its name if it says nothing."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:length]
