"""Weights files that mean harm: none of what they carry is run, and each is told in one line."""

import contextlib
import copy
import io
import json
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from support import run

from embeddings.errors import WeightsUnusable
from embeddings.openclip.torchscript import MOST_CODE
from embeddings.openclip.weights import read_state_dict


class _Writes:
    """Pickled, it writes a file where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


class _Scripted(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3).half())
        self.inner = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        self.register_buffer("kept", torch.tensor(7))
        self.turned = self.weight.detach().t()
        self.numbers = [1, 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + self.turned.sum() + self.numbers[0]


class _SetsUp(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.training = False

    def forward(self) -> torch.Tensor:
        return self.weight

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return (self.weight, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        self.weight = state[0]
        self.training = state[1]


def changed(source: Path, target: Path, change: Callable[[str, bytes], bytes], **how: int) -> Path:
    """A copy of an archive with other content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if not name.endswith(".debug_pkl"):
                new.writestr(name, change(name, old.read(name)), **how)
    return target


def reason(path: Path) -> str:
    """Why a file is refused, in one line."""
    with pytest.raises(WeightsUnusable) as error:
        read_state_dict(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    torch.jit.script(_Scripted().eval()).save(str(tmp_path / "scripted.pt"))
    return tmp_path / "scripted.pt"


@pytest.mark.parametrize("how", ["script", "trace"])
def test_an_archive_has_the_tensors_that_torch_reads(tmp_path: Path, how: str) -> None:
    model = _Scripted().eval()
    path = tmp_path / "model.pt"
    whole = torch.jit.script(model) if how == "script" else torch.jit.trace(model, torch.ones(2, 3))
    whole.save(str(path))
    found, from_openai = read_state_dict(path)
    expected = torch.jit.load(str(path)).state_dict()
    assert from_openai
    assert found.keys() == expected.keys()
    assert {"weight", "kept", "inner.0.weight", "inner.1.running_mean"} <= found.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


@pytest.mark.parametrize(
    "line",
    ['torch.save(self.weight, "{mark}")', 'self.weight = torch.from_file("{mark}", True, 9)'],
)
def test_code_that_would_write_a_file_is_not_run(tmp_path: Path, line: str) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "plain.pt"
    torch.jit.script(_SetsUp()).save(str(path))
    code = f"    {line.format(mark=mark)}\n    return None\n".encode()

    def change(name: str, content: bytes) -> bytes:
        is_code = name.endswith(".py")
        assert not is_code or b"    return None\n" in content
        return content.replace(b"    return None\n", code) if is_code else content

    evil = changed(path, tmp_path / "evil.pt", change)
    assert "could run code, and is refused" in reason(evil)
    assert not mark.exists()
    torch.jit.load(str(evil))  # torch itself runs it: the file is as dangerous as it looks
    assert mark.exists()


def test_pickles_that_would_write_a_file_are_not_run(tmp_path: Path, scripted: Path) -> None:
    mark = tmp_path / "mark"
    evil = pickle.dumps(_Writes(mark), protocol=2)
    pickle.loads(evil)
    assert mark.exists()  # it would work
    mark.unlink()
    (tmp_path / "raw.pt").write_bytes(evil)
    torch.save({"state_dict": _Writes(mark)}, tmp_path / "saved.pt")
    for name in ("data.pkl", "constants.pkl"):
        changed(
            scripted,
            tmp_path / f"in-{name}.pt",
            lambda entry, content, name=name: evil if entry.endswith(name) else content,  # type: ignore[misc]
        )
    for name in ("raw", "saved", "in-data.pkl"):
        assert "could run code, and is refused" in reason(tmp_path / f"{name}.pt")
    # Constants belong to the code, which is not looked at.
    assert "weight" in read_state_dict(tmp_path / "in-constants.pkl.pt")[0]
    assert not mark.exists()


def test_a_packed_archive_is_refused(tmp_path: Path, scripted: Path) -> None:
    packed = changed(
        scripted, tmp_path / "packed.pt", lambda _, c: c, compress_type=zipfile.ZIP_DEFLATED
    )
    assert "is compressed" in reason(packed)


def test_archives_larger_than_their_file_are_refused(tmp_path: Path, scripted: Path) -> None:
    """Code that is packed small, weights that are, and entries that all lie in one place."""
    path = tmp_path / "code.pt"
    shutil.copy(scripted, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("scripted/code/x.py", bytes(MOST_CODE + 1), zipfile.ZIP_DEFLATED)
    assert "x.py is compressed" in reason(path)
    torch.save({"w": torch.zeros(250_000)}, tmp_path / "plain.pt")
    packed = changed(tmp_path / "plain.pt", tmp_path / "packed.pt", lambda _, c: c, compress_type=8)
    assert packed.stat().st_size < 10_000
    assert "is compressed" in reason(packed)
    path = tmp_path / "overlapping.pt"
    shutil.copy(tmp_path / "plain.pt", path)
    with zipfile.ZipFile(path, "a") as archive:
        (weights,) = (e for e in archive.infolist() if e.filename.endswith("/data/0"))
        for number in range(9):
            again = copy.copy(weights)
            again.filename = f"plain/data/{number + 1}"
            archive.filelist.append(again)
        archive._didModify = True
    assert "its entries are larger than the file" in reason(path)


def test_a_number_in_an_archive_takes_no_memory(tmp_path: Path, scripted: Path) -> None:
    """The place for an object, as the tree names it, is not one of a list that long."""
    bomb = b"\x80\x02Nr" + (30_000_000).to_bytes(4, "little") + b"."

    def change(name: str, content: bytes) -> bytes:
        return bomb if name.endswith("/data.pkl") else content

    bombed = changed(scripted, tmp_path / "bombed.pt", change)
    tracemalloc.start()
    try:
        assert "is no module" in reason(bombed) or "refused" in reason(bombed)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        with contextlib.suppress(EOFError):
            pickle.Unpickler(io.BytesIO(bomb)).load()
        assert tracemalloc.get_traced_memory()[1] > 100_000_000  # it would work
    finally:
        tracemalloc.stop()


def test_tensors_beyond_their_storage_are_refused(tmp_path: Path, scripted: Path) -> None:
    def shorter(name: str, content: bytes) -> bytes:
        return content[:2] if name.rpartition("/")[0].endswith("/data") else content

    assert "cut short" in reason(changed(scripted, tmp_path / "short.pt", shorter))

    def longer(name: str, content: bytes) -> bytes:
        # The shape (2, 3) of the first tensor.
        is_tree = name.endswith("/data.pkl")
        return content.replace(b"(K\x02K\x03t", b"(K\x7fK\x7ft") if is_tree else content

    other = changed(scripted, tmp_path / "long.pt", longer)
    assert other.read_bytes() != scripted.read_bytes()
    assert "beyond its storage" in reason(other)


@pytest.mark.parametrize("kind", ["scripted.pt", "plain.pt", "plain.safetensors"])
def test_truncated_files_are_refused(tmp_path: Path, scripted: Path, kind: str) -> None:
    from safetensors.torch import save_file

    tensors = {"weight": torch.ones(40, 30), "bias": torch.ones(30)}
    torch.save(tensors, tmp_path / "plain.pt")
    save_file(tensors, tmp_path / "plain.safetensors")
    whole = (tmp_path / kind).read_bytes()
    for part in range(1, 20):
        cut = tmp_path / f"cut-{kind}"
        cut.write_bytes(whole[: len(whole) * part // 20])
        assert "is not a readable weights file" in reason(cut)


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 90_000_000) + b"{" * 1000,
        struct.pack("<Q", 50_000) + b'{"a":' * 10_000,
        *(
            struct.pack("<Q", len(text)) + text + bytes(64)
            for text in (
                b'{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,64]}}',
                b'{"w":{"dtype":"F32","shape":[16],"data_offsets":[0,18446744073709551615]}}',
                b'{"w":{"dtype":"F32","shape":[-1],"data_offsets":[64,0]}}',
                b"\xff\xfe",
            )
        ),
    ],
)
def test_absurd_safetensors_headers_are_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "absurd.safetensors"
    path.write_bytes(header)
    assert "is not a readable weights file" in reason(path)


def test_the_command_refuses_them_in_one_line(tmp_path: Path) -> None:
    folder, mark = tmp_path / "few", tmp_path / "mark"
    folder.mkdir()
    Image.new("RGB", (32, 32), "red").save(folder / "a.png")
    torch.jit.script(_SetsUp()).save(str(tmp_path / "plain.pt"))
    code = f'    torch.save(self.weight, "{mark}")\n    return None\n'.encode()
    changed(
        tmp_path / "plain.pt",
        tmp_path / "evil.pt",
        lambda name, c: c.replace(b"    return None\n", code) if name.endswith(".py") else c,
    )
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(_Writes(mark), protocol=2))
    for name in ("evil.pt", "raw.pt"):
        ran = run(
            *("index-folder", folder, "--json", "--model", "ViT-B/32", "--device", "cpu"),
            *("--pretrained", tmp_path / name),
            data=tmp_path / "data",
        )
        assert (ran.code, "could run code, and is refused" in ran.line) == (1, True), ran.err
        assert not ran.out or json.loads(ran.out)
    assert not mark.exists()
