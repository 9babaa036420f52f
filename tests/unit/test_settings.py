import tomllib
from pathlib import Path

import pytest

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
