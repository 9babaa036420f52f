"""The one settings object of both commands; ``sources.py`` fills it.

Every field has a description; it is the text of ``--help`` and of the README's table.
"""

import json
import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from configs.addresses import checked_address

APPLICATION = "text-image-search"
ENV_PREFIX = "IMAGE_SEARCH_"
# No segment of dots alone, which browsers would walk by.
ROOT_PATH = re.compile(r"(/(?!\.+(/|$))[A-Za-z0-9._~-]+)+")
RAY_ADDRESS = re.compile(r"default|auto|local|ray://\S+|[^\s/]+:\d+")
COLLECTION_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _option(name: str, metavar: str | None = None) -> dict[str, Any]:
    """Name the command-line option of a field where ``--group-field`` is not its best name, and
    its value where the field's own name is not."""
    return {"option": name, **({"metavar": metavar} if metavar else {})}


def _checked_credentials(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        user, colon, password = value.get_secret_value().partition(":")
        if not (user and colon and password):
            raise ValueError("it must be user:password")
    return value


class ModelSettings(_Group):
    """Which encoder, and how it runs."""

    name: str = Field(
        "ViT-L/14@336px",
        min_length=1,
        description="model, as OpenAI or open_clip names it, or 'sample' for the small shipped one",
        json_schema_extra=_option("--model"),
    )
    pretrained: str | None = Field(
        None,
        description="open_clip's tag of the weights, or a weights file (.pt, .safetensors)",
        json_schema_extra=_option("--pretrained"),
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?(,cuda:\d+)*)$",
        description="auto, cuda, cuda:N, mps or cpu; several GPUs: cuda:0,cuda:1",
        json_schema_extra=_option("--device"),
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="number format of the encoder; auto takes the fastest that keeps its results",
        json_schema_extra=_option("--precision"),
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="images that are encoded together; default: what suits the device",
        json_schema_extra=_option("--batch-size"),
    )
    encoder_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+\S*$",
        description="http://HOST:PORT of an encoder service to use in place of a model here",
        json_schema_extra=_option("--encoder-url"),
    )
    encoder_auth: SecretStr | None = Field(
        None,
        description="user:password of that service; better in the environment",
        json_schema_extra=_option("--encoder-auth"),
    )

    @property
    def secret_encoder_auth(self) -> str | None:
        """The password in plain text, to hand to the encoder service and nobody else."""
        return self.encoder_auth.get_secret_value() if self.encoder_auth else None

    @field_validator("encoder_url")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        return checked_address(value, "--encoder-auth") if value else None

    @field_validator("encoder_auth")
    @classmethod
    def _has_user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked_credentials(value)


class _StoreSettings(_Group):
    """An address of a store, and what it asks for."""

    uri: str | None = Field(None, min_length=1)
    token: SecretStr | None = Field(
        None, description="user:password or API key of a Milvus server; better in the environment"
    )
    db_name: str = ""
    collection: str | None = None
    ca_file: Path | None = Field(
        None,
        description="certificate (PEM) of the authority behind an https:// address, where it is "
        "no public one",
    )
    client_cert: Path | None = Field(
        None, description="certificate (PEM) to show to a server that asks for one"
    )
    client_key: Path | None = Field(None, description="key (PEM) of that certificate")
    server_name: str = Field(
        "", description="name in the server's certificate, where the address has another one"
    )

    @field_validator("uri")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        return checked_address(value, "a token (user:password)") if value else None

    @field_validator("ca_file", "client_cert", "client_key")
    @classmethod
    def _in_home(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @property
    def secret_token(self) -> str:
        """The token in plain text, to hand to Milvus and nobody else; empty without one."""
        return self.token.get_secret_value() if self.token else ""

    @property
    def tls(self) -> dict[str, Any]:
        """What is about certificates, by name."""
        names = ("ca_file", "client_cert", "client_key", "server_name")
        return {name: getattr(self, name) for name in names}

    @property
    def address(self) -> str | None:
        """The file or server, if one was given."""
        given = self.uri
        return str(Path(given).expanduser()) if given and given.startswith("~") else given


class MilvusSettings(_StoreSettings):
    """Where vectors are stored."""

    uri: str | None = Field(
        None,
        min_length=1,
        description="file (Milvus Lite) or http://HOST:PORT; default: DATA_DIR/milvus.db",
    )
    db_name: str = Field(
        "",
        description="database on a Milvus server; empty is its default one",
        json_schema_extra=_option("--milvus-db"),
    )
    collection: str = Field(
        "images",
        pattern=COLLECTION_NAME,
        description="collection in the store, or an alias of one: letters, digits and _",
    )
    index_type: Literal["IVF_FLAT", "FLAT", "IVF_SQ8", "HNSW", "AUTOINDEX"] = Field(
        "IVF_FLAT",
        description="index a collection is made with: IVF_FLAT, FLAT, IVF_SQ8, HNSW or AUTOINDEX; "
        "image-search tune changes it",
        json_schema_extra=_option("--index-type"),
    )
    timeout: float = Field(10.0, gt=0, description="seconds to wait for the store before giving up")
    retry_seconds: float = Field(
        120.0,
        ge=0,
        description="seconds that indexing and copying wait for a server that went away",
    )


class TargetSettings(_StoreSettings):
    """Where ``image-search copy`` copies to."""

    uri: str | None = Field(
        None,
        min_length=1,
        description="file (Milvus Lite) or http://HOST:PORT to copy to",
        json_schema_extra=_option("--to"),
    )
    db_name: str = Field(
        "",
        description="database to copy to; it is made where it is missing",
        json_schema_extra=_option("--to-db"),
    )
    collection: str | None = Field(
        None,
        pattern=COLLECTION_NAME,
        description="collection to copy to; default: --milvus-collection",
    )


class BulkSettings(_Group):
    """Where ``image-search copy`` puts the files of a bulk import."""

    folder: Path | None = Field(
        None,
        description="copy by bulk import: a folder that the Milvus server reads under the same "
        "path",
    )
    endpoint: str | None = Field(
        None,
        pattern=r"^[^\s/]+$",
        description="copy by bulk import: HOST:PORT of the MinIO or S3 that the Milvus server uses",
    )
    bucket: str = Field(
        "a-bucket", min_length=1, description="bucket there that Milvus is configured with"
    )
    access_key: str | None = Field(None, description="access key of that MinIO or S3")
    secret_key: SecretStr | None = Field(
        None, description="secret key of it; better in the environment"
    )
    secure: bool = Field(False, description="reach it by TLS")

    @field_validator("folder")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @field_validator("endpoint")
    @classmethod
    def _one_of_the_two(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and info.data.get("folder"):
            raise ValueError("files go there or to --bulk-folder, not to both")
        return value

    @property
    def plain_secret_key(self) -> str | None:
        """The secret key in plain text, to hand to the bucket's server and nobody else."""
        return self.secret_key.get_secret_value() if self.secret_key else None


class IndexingSettings(_Group):
    """How a folder is indexed."""

    write_batch: int = Field(50, ge=1, le=10_000, description="entities in one write to Milvus")
    decode_threads: int | None = Field(
        None, ge=1, le=256, description="threads that open pictures; default: one for each core"
    )
    ray: str | None = Field(
        None,
        description="decode and encode on the machines of a Ray cluster: auto (the one that runs "
        "here), HOST:PORT, ray://HOST:10001, or local (start one here); --ray alone takes what "
        "Ray takes by default",
        json_schema_extra={**_option("--ray", "ADDRESS"), "alone": "default"},
    )
    ray_workers: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="workers on the Ray cluster; default: one for each GPU, or else machine",
        json_schema_extra=_option("--ray-workers"),
    )
    keep_missing: bool = Field(
        False,
        description="keep pictures searchable whose file is gone",
        json_schema_extra=_option("--keep-missing"),
    )
    thumbnails: bool = Field(
        True,
        description="make the page's thumbnails while indexing; without, as the page shows them",
        json_schema_extra=_option("--thumbnails"),
    )
    max_pixels: int = Field(
        200_000_000, ge=1, description="pictures with more pixels than this are skipped"
    )
    max_file_mb: int = Field(
        300, ge=1, le=10_000, description="larger files are skipped, in megabytes"
    )
    caption_weight: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="how much a manifest's captions count in the vectors, as in 0.3; 0: not at all",
        json_schema_extra=_option("--caption-weight"),
    )
    image_weight: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="how much pictures with a caption count in them, as in 0.7",
        json_schema_extra=_option("--image-weight"),
    )
    download_max_bytes: int = Field(
        50_000_000,
        ge=1,
        description="pictures behind URLs that are larger are skipped",
        json_schema_extra=_option("--download-max-bytes"),
    )
    download_timeout: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="seconds that one download may take with its retries",
        json_schema_extra=_option("--download-timeout"),
    )
    download_retries: int = Field(
        2,
        ge=0,
        le=100,
        description="retries after a lost connection, or an answer 429 or 5xx",
        json_schema_extra=_option("--download-retries"),
    )
    allow_private_urls: bool = Field(
        False,
        description="fetch URLs that lead to this machine or its networks",
        json_schema_extra=_option("--allow-private-urls"),
    )

    @field_validator("ray")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not RAY_ADDRESS.fullmatch(value):
            raise ValueError(
                "it must be local, auto, HOST:PORT, ray://HOST:PORT or default; a folder goes "
                "before --ray"
            )
        return value

    @field_validator("image_weight")
    @classmethod
    def _weighs_something(cls, value: float, info: ValidationInfo) -> float:
        if value == 0 and not info.data.get("caption_weight", 1):
            raise ValueError("it and --caption-weight cannot both be 0")
        return value


class SearchSettings(_Group):
    """What a search returns and accepts."""

    top_k: int = Field(
        16, ge=1, le=1000, description="results of a search", json_schema_extra=_option("--top-k")
    )
    max_query_chars: int = Field(1000, ge=1, description="longer queries are refused")


class ServerSettings(_Group):
    """Where the page is served, and to whom."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address to listen on",
        json_schema_extra=_option("--host"),
    )
    port: int = Field(
        9099,
        ge=0,
        le=65535,
        description="port; 0 is any free one",
        json_schema_extra=_option("--port"),
    )
    lan: bool = Field(
        False,
        description="listen on all addresses and print the one to give to others",
        json_schema_extra=_option("--lan"),
    )
    share: bool = Field(
        False,
        description="make Gradio's public link (goes over Gradio's servers)",
        json_schema_extra=_option("--share"),
    )
    auth: SecretStr | None = Field(
        None,
        description="user:password that page, API and pictures ask for; better in the environment",
        json_schema_extra=_option("--auth"),
    )
    auth_file: Path | None = Field(
        None,
        description="file of user:hash lines that image-search password prints, for several users",
        json_schema_extra=_option("--auth-file"),
    )
    session_hours: float = Field(
        24.0,
        gt=0,
        le=8760,
        description="hours after which who signed in on the page must sign in again",
    )
    session_idle_hours: float = Field(
        8.0, gt=0, le=8760, description="the same, since the last time that the page was used"
    )
    root_path: str = Field(
        "",
        description="path below which a reverse proxy serves this, as in /pictures; / where it is "
        "behind one with a host of its own",
        json_schema_extra=_option("--root-path"),
    )
    trusted_proxies: str = Field(
        "127.0.0.1,::1",
        description="addresses and networks of proxies whose X-Forwarded headers are believed, "
        "with --root-path",
        json_schema_extra=_option("--trusted-proxies"),
    )
    mcp: bool = Field(
        False,
        description="offer search to language-model clients at /gradio_api/mcp/",
        json_schema_extra=_option("--mcp"),
    )
    allow_indexing: Annotated[list[Path], NoDecode] = Field(
        [],
        description="let visitors index this folder and those below it; may be repeated",
        json_schema_extra=_option("--allow-indexing", "FOLDER"),
    )
    max_upload_mb: int = Field(
        20, ge=1, le=10_000, description="larger requests are refused, in megabytes"
    )
    max_pixels: int = Field(
        100_000_000, ge=1, description="pictures in queries with more pixels are refused"
    )
    max_concurrent: int = Field(
        32, ge=1, le=1000, description="searches that run at once; others wait in turn"
    )
    requests_per_minute: int = Field(
        1800, ge=0, description="searches a minute from one address; 0: no limit"
    )

    @property
    def secret_auth(self) -> str | None:
        """The password in plain text, to compare with and nothing else."""
        return self.auth.get_secret_value() if self.auth else None

    @field_validator("allow_indexing", mode="before")
    @classmethod
    def _several_in_one(cls, value: object) -> object:
        """In the environment: a JSON list, or paths as in PATH."""
        if not isinstance(value, str):
            return value
        if value.startswith("["):
            return json.loads(value)
        return [path for path in value.split(os.pathsep) if path]

    @field_validator("allow_indexing")
    @classmethod
    def _absolute(cls, value: list[Path]) -> list[Path]:
        if Path() in value:
            raise ValueError("a folder's name cannot be empty")
        return [folder.expanduser().absolute() for folder in value]

    @field_validator("auth")
    @classmethod
    def _has_user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked_credentials(value)

    @field_validator("auth_file")
    @classmethod
    def _in_home(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value else None

    @field_validator("root_path")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        if value not in ("", "/") and not ROOT_PATH.fullmatch(value):
            raise ValueError(
                "it must begin with / and not end with it, as in /pictures, and hold letters, "
                "digits and - . _ ~ alone"
            )
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for part in value.split(","):
            try:
                ip_network(part.strip())
            except ValueError as error:
                raise ValueError(f"{part.strip()!r} is no address or network: {error}") from error
        return value


class ServiceSettings(_Group):
    """What ``image-search encoder`` serves; its host and password are those of ``server``."""

    port: int = Field(
        8000,
        ge=0,
        le=65535,
        description="port of the encoder service; 0 is any free one",
        json_schema_extra=_option("--port"),
    )
    max_body_mb: int = Field(
        64, ge=1, le=10_000, description="larger requests to it are refused, in megabytes"
    )
    max_items: int = Field(
        512, ge=1, le=100_000, description="texts, and images, that one request to it may hold"
    )


class Settings(BaseSettings):
    """All settings of both commands."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
    )

    data_dir: Path = Field(
        default_factory=lambda: user_data_path(APPLICATION),
        description="folder for the store, thumbnails and weights",
        json_schema_extra=_option("--data-dir"),
    )
    model: ModelSettings = ModelSettings()
    milvus: MilvusSettings = MilvusSettings()
    to: TargetSettings = TargetSettings()
    bulk: BulkSettings = BulkSettings()
    indexing: IndexingSettings = IndexingSettings()
    search: SearchSettings = SearchSettings()
    server: ServerSettings = ServerSettings()
    service: ServiceSettings = ServiceSettings()

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def milvus_uri(self) -> str:
        """The store's address: what was given, or the Milvus Lite file in the data folder."""
        return self.milvus.address or str(self.data_dir / "milvus.db")

    @property
    def models_dir(self) -> Path:
        """Folder in which weights files are looked for."""
        return self.data_dir / "models"

    @property
    def downloads_dir(self) -> Path:
        """Folder of the pictures behind a manifest's URLs."""
        return self.data_dir / "downloads"

    @property
    def snapshots_dir(self) -> Path:
        """Folder of the indexer's snapshots."""
        return self.data_dir / "snapshots"

    @property
    def locks_dir(self) -> Path:
        """Folder of the files that make writers to a server take turns."""
        return self.data_dir / "locks"

    @property
    def thumbnails_dir(self) -> Path:
        """Folder of the thumbnails."""
        return self.data_dir / "thumbnails"


def fields() -> dict[str, Any]:
    """Every setting's field by dotted key (``"milvus.uri"``), in the order of declaration."""
    found: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, _Group):
            found.update({f"{name}.{leaf}": f for leaf, f in group.model_fields.items()})
        else:
            found[name] = field
    return found


def variable(key: str) -> str:
    """The environment variable of a dotted key."""
    return ENV_PREFIX + key.replace(".", "__").upper()
