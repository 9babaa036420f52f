"""Find a checkpoint and read it without running any code that it may carry."""

import hashlib
import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub import try_to_load_from_cache as cached_file
from huggingface_hub.errors import EntryNotFoundError
from open_clip.constants import HF_SAFE_WEIGHTS_NAME
from safetensors.torch import load_file

from embeddings.errors import UnknownModel, WeightsNotFound, WeightsUnusable, first_line
from embeddings.openclip.torchscript import (
    StateDict,
    check_archive,
    is_torchscript,
    read_torchscript,
)

# Time to reach the model hub at all, tried twice by its library. The download itself may take as
# long as it needs.
HUB_TIMEOUT_S = 4.0
SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
# Entries of OpenAI's archives that describe the model and are no weights.
NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")
WITHOUT_WEIGHTS = "to go on without them: --model sample"


@dataclass(frozen=True)
class Checkpoint:
    """A weights file that exists, and how it was named."""

    path: Path
    label: str
    """Part of ``model_id``: the tag, or a hash of a file that was given by path."""
    config: dict[str, Any]
    """open_clip's record of the tag (mean, std, quick_gelu, …)."""


def find_checkpoint(architecture: str, pretrained: str | None, models_dir: Path) -> Checkpoint:
    """The file with the weights: a path as given, or a tag's file, fetched where need be.

    Raises UnknownModel for a tag that open_clip does not have, WeightsNotFound otherwise.
    """
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if pretrained is None:
        raise UnknownModel(
            f"{architecture} needs --pretrained with a weights file"
            + (f" or one of: {', '.join(tags)}" if tags else "")
        )
    config = dict(open_clip.get_pretrained_cfg(architecture, pretrained))
    if config:
        return Checkpoint(
            _tagged_file(architecture, pretrained, config, models_dir), pretrained, config
        )
    path = Path(pretrained).expanduser()
    try:
        if path.is_file():
            label = f"sha256:{sha256(path)[:16]}"
            return Checkpoint(path, label, _shared_config(architecture, tags))
    except OSError as error:
        raise WeightsUnusable(f"{path} cannot be read: {error.strerror or error}") from error
    if path.suffix in SUFFIXES or os.sep in pretrained:
        raise WeightsNotFound(
            f"no weights file at {path}; give --pretrained the path of one, or {WITHOUT_WEIGHTS}"
        )
    raise UnknownModel(
        f"open_clip has no weights {pretrained!r} for {architecture}"
        + (f"; it has: {', '.join(tags)}" if tags else "; give --pretrained a weights file")
    )


def read_state_dict(path: Path) -> tuple[StateDict, bool]:
    """The tensors of a checkpoint, and whether it is one of OpenAI's TorchScript archives.

    No code is ever run: ``.pt`` files are read with ``weights_only``, and of TorchScript archives
    the tensors alone. Raises WeightsUnusable.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path)), False
        if zipfile.is_zipfile(path):
            check_archive(path)
            if is_torchscript(path):
                tensors = read_torchscript(path)
                return {k: v for k, v in tensors.items() if k not in NOT_WEIGHTS}, True
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsUnusable(
            f"{path} is not a plain weights file: it holds Python objects that could run code, "
            "and is refused; use a safetensors file"
        ) from error
    except Exception as error:  # what torch's readers raise on a damaged file is not foreseeable
        raise WeightsUnusable(
            f"{path} is not a readable weights file ({first_line(error)}); "
            "fetch it again, or use a safetensors file"
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(
        isinstance(v, torch.Tensor) for v in loaded.values()
    ):
        raise WeightsUnusable(f"{path} holds no state dict of tensors; use a weights file")
    return {key.removeprefix("module."): value for key, value in loaded.items()}, False


def _tagged_file(architecture: str, tag: str, config: dict[str, Any], models_dir: Path) -> Path:
    url_name = Path(config.get("url", "")).name
    names = [url_name] if url_name else []
    names += [f"{architecture}-{tag}{suffix}" for suffix in (".safetensors", ".pt")]
    places = [models_dir / name for name in names]
    if url_name:
        # Where OpenAI's own package and open_clip keep archives that were fetched by URL.
        places.append(Path("~/.cache/clip").expanduser() / url_name)
    for place in places:
        if place.is_file():
            return place
    hub = config.get("hf_hub", "")
    if not hub:
        raise WeightsNotFound(_not_found(architecture, tag, names, models_dir, "it has no address"))
    repository, _, file = hub.rpartition("/")
    return _from_hub(architecture, tag, repository, file, names, models_dir)


def _from_hub(
    architecture: str, tag: str, repository: str, file: str, names: list[str], models_dir: Path
) -> Path:
    candidates = [HF_SAFE_WEIGHTS_NAME] if not file else [file]
    if file.endswith((".bin", ".pth", ".pt")):
        candidates.insert(0, str(Path(file).with_suffix(".safetensors")))
    for candidate in candidates:
        found = cached_file(repository, candidate)
        if isinstance(found, str):
            return Path(found)
    reason = "no answer"
    for candidate in candidates:
        try:
            # Asked first, so that a missing network is told in seconds: the download itself
            # retries for minutes.
            get_hf_file_metadata(hf_hub_url(repository, candidate), timeout=HUB_TIMEOUT_S)
            return Path(hf_hub_download(repository, candidate))
        except EntryNotFoundError:
            reason = "the hub does not have it"
        except Exception as error:  # any failure to fetch has the same remedy: a local file
            reason = f"{type(error).__name__}: {first_line(error)}"
            break
    raise WeightsNotFound(
        _not_found(
            architecture, tag, [f"{candidates[0]} of {repository}", *names], models_dir, reason
        )
    )


def _not_found(architecture: str, tag: str, names: list[str], models_dir: Path, reason: str) -> str:
    own = next(name for name in names if " " not in name)
    return (
        f"no weights for {architecture} ({tag}): looked for {', '.join(names)} in {models_dir} and "
        f"the download caches, and could not fetch them ({reason}); put the file at "
        f"{models_dir / own} or name it with --pretrained FILE; {WITHOUT_WEIGHTS}"
    )


def _shared_config(architecture: str, tags: list[str]) -> dict[str, Any]:
    """For a file without a tag: the pixel statistics that all of the model's tags agree on."""
    keys = ("mean", "std", "interpolation", "resize_mode")
    configs = [open_clip.get_pretrained_cfg(architecture, tag) for tag in tags]
    return {
        key: configs[0][key]
        for key in keys
        if configs and all(key in c and c[key] == configs[0].get(key) for c in configs)
    }


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
