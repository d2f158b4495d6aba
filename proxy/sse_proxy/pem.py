"""Certificates of ours with their keys: from text into an `SSLContext`, without a file that anybody else could read."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def load_pair(context: ssl.SSLContext, chain: str, key: str) -> None:
    """Show this certificate (PEM), and those that lead to its root, from now on. Raises ssl.SSLError or ValueError
    where they cannot be used."""
    with _as_file(chain + "\n" + key) as path:
        context.load_cert_chain(path, password=_no_password)


def _no_password() -> str:
    # Without this, OpenSSL would ask on the terminal.
    raise ValueError("the key is encrypted")


@contextmanager
def _as_file(content: str) -> Iterator[str]:
    """A file with this content, for as long as it is needed: `ssl` takes certificates of ours from files only. It is in
    memory where the system has such files, since a proxy pod can write nowhere else."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate")
        try:
            os.write(descriptor, content.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(content)
            file.flush()
            yield file.name
