import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support import ROOT

from configs.commandline import add_settings, settings_from
from configs.environment import environment_of
from configs.hiding import without_options
from configs.settings import Settings, fields
from configs.sources import SettingsError, load_settings


def test_options_go_before_environment_before_file_before_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[server]\nport = 1\nhost = "file"\n[model]\nname = "file"\n')
    monkeypatch.setenv("IMAGE_SEARCH_SERVER__PORT", "2")
    monkeypatch.setenv("IMAGE_SEARCH_MODEL__NAME", "environment")
    settings = load_settings({"server.port": "3"}, config=file)
    assert settings.server.port == 3
    assert settings.model.name == "environment"
    assert settings.server.host == "file"
    assert settings.milvus.collection == "images"


def test_the_file_can_be_named_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[search]\ntop_k = 5\n")
    monkeypatch.setenv("IMAGE_SEARCH_CONFIG", str(file))
    assert load_settings().search.top_k == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"server.port": "many"}, "--port: input should be a valid integer"),
        ({"server.port": "70000"}, "--port: input should be less than or equal to 65535"),
        ({"model.device": "gpu"}, "model.device: string should match"),
        ({"server.auth": "nocolon"}, "server.auth: it must be user:password"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(options, option_names={"server.port": "--port"})
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["IMAGE_SEARCH_MILVUS__URL", "IMAGE_SEARCH_MILVS__URI"])
def test_an_unknown_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=f"{name}: there is no such setting"):
        load_settings()


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_SEARCH_SERVER__PORT", "many")
    with pytest.raises(SettingsError, match="environment variable IMAGE_SEARCH_SERVER__PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[milvus]\nurl = 1\n", "milvus.url in .*: there is no such setting"),
        ("nonsense = 1\n", "nonsense in .*: there is no such setting"),
        ("[server]\nport = 'x'\n", "server.port in .*: input should be a valid integer"),
        ("server = 3\n", "server in .*: input should be a valid dictionary"),
        ("[[[", "is not valid TOML"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings(config=file)


@pytest.mark.parametrize(
    ("value", "folders"),
    [
        ("/a", ["/a"]),
        (f"/a{os.pathsep}/b c", ["/a", "/b c"]),
        ('["/a:x", "/b"]', ["/a:x", "/b"]),
        ("", []),
        ("~/a", [f"{Path.home()}/a"]),
        ("a", [f"{Path.cwd()}/a"]),
    ],
)
def test_several_folders_in_one_variable(
    value: str, folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_SEARCH_SERVER__ALLOW_INDEXING", value)
    assert load_settings().server.allow_indexing == [Path(folder) for folder in folders]


def test_several_folders_as_options_and_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[server]\nallow_indexing = ["/a", "/b"]\n')
    assert load_settings(config=file).server.allow_indexing == [Path("/a"), Path("/b")]
    parser = argparse.ArgumentParser()
    add_settings(parser, "server")
    words = ["--config", str(file), "--allow-indexing", "/c:d", "--allow-indexing", "e"]
    given = settings_from(parser.parse_args(words)).server.allow_indexing
    assert given == [Path("/c:d"), Path.cwd() / "e"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[broken", "environment variable IMAGE_SEARCH_SERVER__ALLOW_INDEXING: expecting value"),
        ('["/a", 3]', "environment variable IMAGE_SEARCH_SERVER__ALLOW_INDEXING: input is not"),
        ('["/a", ""]', "environment variable IMAGE_SEARCH_SERVER__ALLOW_INDEXING: a folder's"),
    ],
)
def test_a_bad_list_is_named(value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_SEARCH_SERVER__ALLOW_INDEXING", value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(said)


def test_settings_for_another_program_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[milvus]\ntoken = "root:secret"\n[indexing]\nkeep_missing = true\n')
    monkeypatch.setenv("IMAGE_SEARCH_CONFIG", str(file))
    monkeypatch.setenv("image_search_model__name", "RN50")
    monkeypatch.setenv("IMAGE_SEARCH_SERVER__AUTH", "me:secret")
    monkeypatch.setenv("OTHER", "kept")
    settings = load_settings({"milvus.timeout": "3", "data_dir": str(tmp_path)})
    environment = environment_of(settings, "model", "milvus", "indexing")
    ours = {k: v for k, v in environment.items() if k.upper().startswith("IMAGE_SEARCH_")}
    assert set(ours) == {
        "IMAGE_SEARCH_DATA_DIR",
        "IMAGE_SEARCH_MODEL__NAME",
        "IMAGE_SEARCH_MILVUS__TOKEN",
        "IMAGE_SEARCH_MILVUS__TIMEOUT",
        "IMAGE_SEARCH_INDEXING__KEEP_MISSING",
    }
    assert environment["OTHER"] == "kept"
    for name in list(os.environ):
        if name.upper().startswith("IMAGE_SEARCH_"):
            monkeypatch.delenv(name)
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    again = load_settings()
    for group in ("model", "milvus", "indexing", "data_dir"):
        assert getattr(again, group) == getattr(settings, group)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nosuch\.toml: No such file"):
        load_settings(config=tmp_path / "nosuch.toml")


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({"server.auth": "me:hunter2", "milvus.token": "root:hunter2"})
    assert "hunter2" not in repr(settings)
    monkeypatch.setenv("IMAGE_SEARCH_SERVER__AUTH", "hunter2")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://bob:hunter2@127.0.0.1:19530",
        "https://bob:hun/hunter2@gpu-box",
        "http://bob:hun hunter2@gpu-box",
        "bob:hunter2@127.0.0.1:19530",
    ],
)
def test_an_address_holds_no_password(address: str) -> None:
    for key in ("milvus.uri", "target.uri", "model.encoder_url"):
        with pytest.raises(SettingsError) as error:
            load_settings({key: address})
        assert "hunter2" not in str(error.value)
        assert "hun" not in str(error.value)


def test_addresses_are_checked() -> None:
    for address in ("http://127.0.0.1:99999", "http://127.0.0.1:abc", "http://[::x]:1"):
        for key in ("milvus.uri", "model.encoder_url"):
            with pytest.raises(SettingsError, match="no number from 1 to 65535, or its host"):
                load_settings({key: address})
    for path in ("photos@home.db", "~/a@b/c.db", "C:/data/milvus.db", "http://[::1]:19530"):
        assert load_settings({"milvus.uri": path}).milvus.uri == path


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().server.port = 1  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    assert [key for key, field in fields().items() if not field.description] == []


def test_default_toml_holds_every_default() -> None:
    text = Path("configs/default.toml").read_text()
    # Settings without a default stand there as comments.
    shown = tomllib.loads(text.replace("#: ", ""))
    assert set(_flat(shown)) == set(fields())
    values = _flat(tomllib.loads(text))
    defaults = _flat(Settings.model_construct().model_dump())
    assert values == {key: defaults[key] for key in values}
    assert all(defaults[key] is None for key in set(fields()) - set(values) - {"data_dir"})


def test_sample_toml_is_valid() -> None:
    assert load_settings(config=Path("configs/sample.toml")).model.name == "sample"


def _flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "--auth", "a:b", "--lan"],
        ["serve", "--auth=a:b", "--lan"],
        ["serve", "--aut", "a:b", "--lan"],
        ["serve", "--lan", "--auth", "a:b"],
    ],
)
def test_an_option_leaves_with_its_value(words: list[str]) -> None:
    assert without_options(words, {"--auth"}) == ["serve", "--lan"]


def test_other_options_stay() -> None:
    words = ["serve", "--auth-file", "users", "--auth", "a:b", "--port", "1"]
    assert without_options(words, {"--auth"}) == ["serve", "--auth-file", "users", "--port", "1"]


def test_a_file_that_is_nested_without_end_is_told(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("a = " + "[" * 5000)
    with pytest.raises(SettingsError, match="is nested too deep"):
        load_settings(config=file)


def test_a_long_value_does_not_flood_the_terminal() -> None:
    for key in ("server.trusted_proxies", "server.port", "milvus.collection"):
        with pytest.raises(SettingsError) as error:
            load_settings({key: "9" * 5000})
        assert len(str(error.value)) < 600


def test_a_bad_form_writes_nothing_on_the_terminal() -> None:
    # A library would log each byte that it stumbles over, as a visitor likes.
    program = (
        "from configs.commandline import quiet_libraries\n"
        "import logging, python_multipart.multipart\n"
        "quiet_libraries()\n"
        "python_multipart.multipart.logging.getLogger('python_multipart.multipart').warning('x')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (ran.returncode, ran.stderr) == (0, "")
