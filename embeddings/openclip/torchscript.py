"""The weights in a TorchScript archive, as OpenAI publishes its own, without any of its code.

``torch.jit.load`` runs what a class in the archive does when it is set up (``__setstate__``), and
TorchScript can write files. Here the pickled tree of modules is read by the few names that make it
up, and the code as text, for which tensors are weights.
"""

import io
import math
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

StateDict = dict[str, torch.Tensor]

DTYPES: dict[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# In the code, each class names its parameters and buffers, in a line each.
CLASS = re.compile(rb"^class (\w+)\(Module\):\n((?:  __\w+__ = \[.*\]\n)+)", re.MULTILINE)
NAMES = re.compile(rb'"([^"]*)"')
MODULES = "__torch__"
# What torch packs, and the most bytes of one: a scripted ViT-B/32 has 80 KB.
CODE, MOST_CODE = (".py", ".debug_pkl"), 20_000_000


def is_torchscript(path: Path) -> bool:
    """Whether a zip file is such an archive. Raises OSError or BadZipFile."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def check_archive(path: Path) -> None:
    """Whether an archive holds no more than its file has bytes: what is packed, or lies in the same
    place twice, could be any size. Code may be packed, up to ``MOST_CODE``.

    Raises ValueError, or as ``is_torchscript``.
    """
    with zipfile.ZipFile(path) as archive:
        stored = 0
        for entry in archive.infolist():
            if entry.compress_type == zipfile.ZIP_STORED:
                stored += entry.file_size
            elif entry.file_size > MOST_CODE or not entry.filename.endswith(CODE):
                raise ValueError(f"{entry.filename} is compressed")
        if stored > path.stat().st_size:
            raise ValueError("its entries are larger than the file")


def read_torchscript(path: Path) -> StateDict:
    """All parameters and buffers by name.

    Raises UnpicklingError where the archive holds anything else than modules and tensors; other
    errors where it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        root = next(n for n in archive.namelist() if n.endswith("/data.pkl")).partition("/")[0]
        reader = _Reader(archive, root)
        return dict(_tensors(reader.load(), _weights_of(archive, root), ""))


class _Module:
    """Any module of the archive: its attributes, and what class it is of."""

    kind = ""
    values: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("a module that code of its own would set up")
        object.__setattr__(self, "values", state)


class _Reader(pickle._Unpickler):
    """Knows the names that TorchScript writes for modules and tensors, and no other.

    It is the unpickler in Python: the one in C makes room for as many objects as a number in the
    file says, up to 64 GB.
    """

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self._archive, self._root = archive, root
        self._storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == MODULES:
            return type("Module", (_Module,), {"kind": f"{module}.{name}"})
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle":  # lists of numbers, and the types of things
            return _first
        raise pickle.UnpicklingError(f"{module}.{name} is neither a module nor a tensor")

    def persistent_load(self, pid: Any) -> torch.Tensor:
        _, dtype, key, _, length = pid
        if key not in self._storages:
            content = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            count = len(content) // dtype.itemsize
            if count < length:
                raise ValueError(f"storage {key} is cut short")
            empty = torch.empty(0, dtype=dtype)
            self._storages[key] = torch.frombuffer(content, dtype=dtype) if count else empty
        return self._storages[key]


def _tensor(
    storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> torch.Tensor:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and not 0 <= offset <= last < len(storage):
        raise ValueError("a tensor reaches beyond its storage")
    return torch.as_strided(storage, size, stride, offset)


def _first(value: Any, *_: Any) -> Any:
    return value


def _tensors(
    module: Any, weights_of: Callable[[str], set[str] | None], prefix: str
) -> Iterator[tuple[str, torch.Tensor]]:
    if not isinstance(module, _Module):
        raise pickle.UnpicklingError("what is pickled is no module")
    weights = weights_of(module.kind)
    for name, value in module.values.items():
        if isinstance(value, _Module):
            yield from _tensors(value, weights_of, f"{prefix}{name}.")
        elif isinstance(value, torch.Tensor) and (weights is None or name in weights):
            yield f"{prefix}{name}", value


def _weights_of(archive: zipfile.ZipFile, root: str) -> Callable[[str], set[str] | None]:
    """Which attributes of a class are weights; None where its code does not say."""
    known: dict[str, dict[str, set[str]]] = {}

    def weights(kind: str) -> set[str] | None:
        module, _, name = kind.rpartition(".")
        file = f"{root}/code/{module.replace('.', '/')}.py"
        if file not in known:
            code = archive.read(file) if file in archive.namelist() else b""
            known[file] = {
                match[1].decode(): {n.decode() for n in NAMES.findall(match[2])}
                for match in CLASS.finditer(code)
            }
        return known[file].get(name)

    return weights
