"""Any value from any source gives settings or one line that says what is wrong."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from configs.environment import environment_of
from configs.settings import Settings, fields, variable
from configs.sources import SettingsError, load_settings

KEYS = list(fields())
# What the system can keep: no NUL, and bytes that are no text as surrogates.
WORDS = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=9).map(os.fsdecode),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["", " ", "0", "-1", "true", "[", "[]", '["/a"]', "[1]", "{}", "null", "~", "~nobody/x",
         "/", "/a/", "/a/..", "user:password", ":", "127.0.0.1/8", "::1", "http://x", "9" * 5000,
         "cuda:0,cuda:1", "[" * 2000, "1e999", "nan", "inf"]
    ),
).filter(lambda text: "\0" not in text)  # fmt: skip
TOML = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=100),
    st.tuples(st.sampled_from(KEYS), st.text(max_size=20)).map(lambda item: " = ".join(item)),
    st.sampled_from(["[server]\nport = []", "server = 3", "[server.port]", "data_dir = 1979-05-27",
                     "model = [[]]", "a = " + "[" * 3000, "milvus.timeout = nan"]),
)  # fmt: skip


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """As long as this is open, for each example anew."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


def is_a_line(reason: str) -> None:
    # Values are shown in part, and names of files as they are; the commands join lines.
    assert 0 < len(reason) < 6000


def loaded(options: dict[str, Any] | None = None, config: Path | None = None) -> Settings | None:
    try:
        return load_settings(options, config=config)
    except SettingsError as error:
        is_a_line(str(error))
        return None


@given(st.dictionaries(st.sampled_from(KEYS), WORDS, min_size=1, max_size=3))
@examples(200)
def test_variables(values: dict[str, str]) -> None:
    with environment({variable(key): value for key, value in values.items()}):
        settings = loaded()
        if settings:
            for value in environment_of(settings, "server", "milvus", "indexing").values():
                assert "\0" not in value


@given(st.dictionaries(st.sampled_from(KEYS), WORDS | st.booleans(), min_size=1, max_size=3))
@examples(150)
def test_options(values: dict[str, Any]) -> None:
    loaded(values)


@given(TOML)
@examples(150)
def test_files(content: str | bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogateescape")
        path.write_bytes(content)
        loaded(config=path)


@given(WORDS)
@examples(100)
def test_names_of_files(name: str) -> None:
    with environment({"IMAGE_SEARCH_CONFIG": name}):
        loaded()


@given(st.text(min_size=1, max_size=20).filter(lambda name: "\0" not in name and "=" not in name))
@examples(100)
def test_unknown_variables(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    with environment({f"IMAGE_SEARCH_{name}": "1"}):
        loaded()
