"""The compose file for a Milvus server, by the rules of the compose specification."""

import re
from typing import Any

import pytest
import yaml
from support import ROOT

FILE = yaml.safe_load((ROOT / "docker-compose.milvus.yml").read_text())
SERVICES: dict[str, Any] = FILE["services"]
# What the specification knows, as far as this file may use it.
TOP = {"name", "services", "volumes"}
KEYS = {
    *("image", "command", "environment", "volumes", "healthcheck", "restart", "ports"),
    *("security_opt", "depends_on"),
}
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period"}
DURATION = re.compile(r"(\d+(us|ms|s|m|h))+")
VARIABLE = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


def by_default(value: object) -> str:
    """A value as it is where no variable of the environment is set."""
    text = VARIABLE.sub(r"\1", str(value))
    assert "$" not in text, f"{value} has a variable without a default"
    return text


def test_the_file_uses_what_the_specification_knows() -> None:
    assert FILE.keys() <= TOP
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", FILE["name"])
    assert SERVICES.keys() == {"etcd", "minio", "milvus"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service(name: str) -> None:
    service = SERVICES[name]
    assert service.keys() <= KEYS
    assert service["restart"] == "unless-stopped"
    # A release, and no tag that moves.
    assert re.fullmatch(r"[a-z0-9./-]+:(v\d+\.\d+\.\d+|RELEASE\.[0-9TZ-]+)", service["image"])
    for key, value in service.get("environment", {}).items():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", key)
        assert isinstance(value, str), f"{key} must be quoted: compose takes it by its spelling"
        assert by_default(value)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_tells_whether_it_is_well(name: str) -> None:
    health = SERVICES[name]["healthcheck"]
    assert health.keys() <= HEALTH_KEYS
    assert health["test"][0] in ("CMD", "CMD-SHELL")
    assert len(health["test"]) > 1
    for key in ("interval", "timeout", "start_period"):
        assert key not in health or DURATION.fullmatch(health[key])
    assert isinstance(health["retries"], int)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", by_default(port))


def test_no_port_is_published_twice() -> None:
    ports = [by_default(p).split(":")[1] for s in SERVICES.values() for p in s.get("ports", [])]
    assert "19530" in ports
    assert len(ports) == len(set(ports))


def test_what_is_stored_is_in_named_volumes() -> None:
    used = [volume.split(":")[0] for s in SERVICES.values() for volume in s["volumes"]]
    assert set(used) == FILE["volumes"].keys()
    assert len(used) == len(set(used))
    for service in SERVICES.values():
        assert all(volume.split(":")[1].startswith("/") for volume in service["volumes"])


def test_milvus_waits_until_the_others_are_well() -> None:
    waited_for = SERVICES["milvus"]["depends_on"]
    assert waited_for.keys() == {"etcd", "minio"}
    for name, how in waited_for.items():
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[name]


def test_milvus_finds_the_others_and_has_their_password() -> None:
    given, minio = SERVICES["milvus"]["environment"], SERVICES["minio"]["environment"]
    for key in ("ETCD_ENDPOINTS", "MINIO_ADDRESS"):
        host, _, port = given[key].partition(":")
        assert host in SERVICES
        assert port.isdecimal()
    assert given["MINIO_ACCESS_KEY_ID"] == minio["MINIO_ROOT_USER"]
    assert given["MINIO_SECRET_ACCESS_KEY"] == minio["MINIO_ROOT_PASSWORD"]


def test_authentication_is_a_variable() -> None:
    value = SERVICES["milvus"]["environment"]["COMMON_SECURITY_AUTHORIZATIONENABLED"]
    assert value == "${MILVUS_AUTHORIZATION:-false}"


def test_the_cluster_runs_the_same_milvus_and_holds_ten_million_pictures_twice() -> None:
    cluster = yaml.safe_load((ROOT / "configs" / "milvus-cluster.yaml").read_text())
    image = cluster["image"]["all"]
    assert f"{image['repository']}:{image['tag']}" == SERVICES["milvus"]["image"]
    own = yaml.safe_load(cluster["extraConfigFiles"]["user.yaml"])
    assert own["common"]["security"]["authorizationEnabled"] is True
    replicas = own["queryCoord"]["clusterLevelLoadReplicaNumber"]
    node = cluster["queryNode"]
    memory = int(node["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    # Vectors and rows as docs/scaling.md counts them, on six tenths of the memory.
    assert 10_000_000 * (4 * 768 + 300) * replicas <= 0.6 * node["replicas"] * memory
