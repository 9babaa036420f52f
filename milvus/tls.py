"""TLS to a Milvus server: which certificates, and why it did not come about."""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from milvus.errors import StoreError

PROBE_S = 3.0


@dataclass(frozen=True)
class Tls:
    """Certificates for an https:// address, as PEM files."""

    ca_file: Path | None = None
    """Of the authority that signed the server's certificate; None: the public ones."""
    client_cert: Path | None = None
    client_key: Path | None = None
    """Both or none: for a server that asks clients for a certificate (mutual TLS)."""
    server_name: str = ""
    """The name in the server's certificate, where the address has another one."""

    def options(self, uri: str) -> dict[str, str]:
        """pymilvus's words for it. Raises StoreError for what cannot work."""
        files = {
            "--milvus-ca-file": self.ca_file,
            "--milvus-client-cert": self.client_cert,
            "--milvus-client-key": self.client_key,
        }
        given = {name: path for name, path in files.items() if path}
        if not given and not self.server_name:
            return {}
        if not uri.startswith("https://"):
            raise StoreError(f"certificates are for https:// addresses alone, and {uri} is none")
        for name, path in given.items():
            try:
                path.read_bytes()
            except OSError as error:
                raise StoreError(f"{name} {path}: {error.strerror or error}") from error
        named = {"server_name": self.server_name} if self.server_name else {}
        if not (self.client_cert or self.client_key):
            # pymilvus takes the authority's certificate under this name.
            return {**({"server_pem_path": str(self.ca_file)} if self.ca_file else {}), **named}
        if len(given) < len(files):
            raise StoreError(
                "a client certificate is --milvus-client-cert with --milvus-client-key and "
                "--milvus-ca-file"
            )
        return {
            "ca_pem_path": str(self.ca_file),
            "client_pem_path": str(self.client_cert),
            "client_key_path": str(self.client_key),
            **named,
        }


def tls_problem(uri: str, tls: Tls) -> str | None:
    """What is wrong with TLS between us and a server that cannot be talked to, with what to do;
    None where nothing is. gRPC tells only that there is no connection."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    address = (host, parts.port or (443 if secure else 19530))
    try:
        context = _context(tls) if secure else _accepting_all()
    except (ssl.SSLError, OSError) as error:
        return f"the certificates cannot be read ({_reason(error)}); they must be PEM files"
    try:
        with (
            socket.create_connection(address, timeout=PROBE_S) as plain,
            context.wrap_socket(plain, server_hostname=tls.server_name or host) as wrapped,
        ):
            if not secure:
                return f"it speaks TLS; write https://{uri.partition('://')[2]}"
            # A server that misses the client's certificate says so after the handshake.
            with contextlib.suppress(TimeoutError):
                wrapped.recv(1)
            return None
    except ssl.SSLCertVerificationError as error:
        return (
            f"its certificate is not trusted ({error.verify_message}); check --milvus-ca-file and "
            "--milvus-server-name"
        )
    except ssl.SSLError as error:
        if not secure:
            return None
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
            return f"it does not speak TLS; write http://{uri.partition('://')[2]}"
        return f"TLS failed ({_reason(error)}); check --milvus-client-cert and --milvus-client-key"
    except OSError:
        return None  # nobody is there


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.client_cert:
        context.load_cert_chain(tls.client_cert, tls.client_key)
    context.set_alpn_protocols(["h2"])
    return context


def _accepting_all() -> ssl.SSLContext:
    """For asking whether there is TLS at all; nothing is sent over it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return str(reason).replace("_", " ").lower()
