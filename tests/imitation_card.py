"""A GPU that is imitated: a device type of its own, ``card``, with values that lie on the CPU.

Its tensors refuse to be mixed with tensors that are on the CPU, or on another card, as those of a
real one do. torch's own ``FakeTensorMode`` has no values, and modules cannot be moved inside it;
here they can, so that results are compared with those of the CPU.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

MOVES = ("_to_copy", "copy_")


class CardTensor(torch.Tensor):
    """A tensor on an imitated card."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor, device: torch.device) -> "CardTensor":
        made: CardTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=device,
        )
        made.values = values
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class Cards(TorchDispatchMode):
    """Makes and moves tensors on imitated cards, while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.memory_for: int | None = None
        """How many images of 32 x 32 pixels, or texts, fit at once; None for any number."""
        self.fails = False
        """Whether the card has stopped working."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [a for a in tree_flatten((args, kwargs))[0] if isinstance(a, CardTensor)]
        if tensors and self.fails:
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nand more")
        if self.memory_for is not None and any(
            (t.shape[1:] == (3, 32, 32) or (t.dtype == torch.int64 and t.ndim == 2))
            and len(t) > self.memory_for
            for t in tensors
        ):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        # Operators that are made of others come whole in inference mode, the device among them.
        with self:
            result = func.decompose(*args, **kwargs)
        return run(func, args, kwargs) if result is NotImplemented else result


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operator on the values, unless its tensors are on several devices."""
    name = func.overloadpacket.__name__
    flat, _ = tree_flatten((args, kwargs))
    cards = {a.device for a in flat if isinstance(a, CardTensor)}
    here = [a for a in flat if isinstance(a, torch.Tensor) and not isinstance(a, CardTensor)]
    # A number in a tensor of no dimensions may come along from the CPU.
    if name not in MOVES and (len(cards) > 1 or (cards and any(t.ndim for t in here))):
        devices = sorted({str(d) for d in cards} | {str(t.device) for t in here})
        raise RuntimeError(f"{name}: tensors are on different devices: {', '.join(devices)}")
    asked = kwargs.get("device")
    if asked is None and cards:
        asked = args[0].device if name == "copy_" else cards.pop()
    if "device" in kwargs and kwargs["device"] is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    kwargs.pop("pin_memory", None)
    args, kwargs = tree_map(lambda a: a.values if isinstance(a, CardTensor) else a, (args, kwargs))
    # Inference mode is for tensors of C++ alone: those that wrap others have no version.
    with torch.inference_mode(False), torch.no_grad():
        result = func(*args, **kwargs)
        if asked is None or torch.device(asked).type == "cpu":
            return result
        device = torch.device("card", torch.device(asked).index or 0)
        return tree_map(
            lambda r: CardTensor(r, device) if isinstance(r, torch.Tensor) else r, result
        )


@functools.cache
def register() -> None:
    """Let torch know the device type, once in a process."""
    # A private name: torch has no other way to a device that is written in Python.
    backend_registration._setup_privateuseone_for_python_backend("card")


@contextlib.contextmanager
def imitated_cards() -> Iterator[Cards]:
    """Any number of cards, ``card:0`` and so on, in this thread."""
    register()
    # Modules put a parameter's new content into the old tensor, which keeps its values in Python.
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    # torch.tensor(…, device="card") goes by way of the CPU, as under torch's own FakeTensorMode.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with Cards() as cards:
            yield cards
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_swap_module_params_on_conversion(before)
