"""The base image that the Containerfiles name, where no registry answers: Debian's Python in the same places.

The Containerfiles stay as they are: what they say after FROM is the tag that this image gets. Like the real one it has
`python3`, `python` and `pip` in /usr/local/bin, and pip may install into the system. It also trusts the certificate
authorities and has the pip settings of this machine, since a build in it gets its packages where this machine does.
"""

import configparser
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kind_cluster import debian
from kind_cluster.engine import Engine
from kind_cluster.places import CHECKOUT
from kind_cluster.progress import ClusterError, step

SUITE = "trixie"
PACKAGES = ["ca-certificates", "python3", "python3-pip", "python3-venv"]
IMAGE = re.compile(r"(?:docker\.io/library/)?python:3\.13(?:\.\d+)?-slim-trixie")
LABEL = "sse-gateway.dev/local-base"
CERTIFICATE = re.compile(r"-----BEGIN CERT.*?-----END CERT[^\n]*\n?", re.DOTALL)
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host")
DOCKERFILE = """\
FROM {base}
COPY authorities /usr/local/share/ca-certificates
COPY pip.conf /etc/pip.conf
RUN update-ca-certificates >/dev/null 2>&1 && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED \\
 && for name in python3 python pip pip3; do \\
      program=$(echo $name | sed 's/^python$/python3/; s/^pip3$/pip/'); \\
      ln -sf /usr/bin/$program /usr/local/bin/$name; done
LABEL {label}={digest}
CMD ["python3"]
"""


def ensure(engine: Engine) -> list[str]:
    """Make what the Containerfiles name and the engine does not have; all names. Raises ClusterError for others."""
    names = sorted(set(_wanted()))
    authorities, pip = _authorities(), _pip_settings()
    digest = hashlib.sha256((DOCKERFILE + SUITE + " ".join(PACKAGES) + authorities + pip).encode()).hexdigest()[:16]
    for name in names:
        if not IMAGE.fullmatch(name):
            raise ClusterError(f"no registry answers, and there is no recipe here for the base image {name}")
        if engine.label(name, LABEL) == digest:
            continue
        with step(f"base image {name} from Debian's packages", "30 s"):
            _build(engine, name, digest, authorities, pip)
    return names


def _wanted() -> Iterator[str]:
    for path in sorted((CHECKOUT / "deploy" / "images").glob("*Containerfile*")):
        stages: set[str] = {"scratch"}
        for line in path.read_text().splitlines():
            found = re.match(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", line, re.IGNORECASE)
            if found:
                if found[1] not in stages:
                    yield found[1]
                stages.add(found[2])


def _build(engine: Engine, name: str, digest: str, authorities: str, pip: str) -> None:
    base = f"sse-gateway/python-base:{digest}"
    engine.import_output(debian.root_file_system(SUITE, PACKAGES), base)
    with tempfile.TemporaryDirectory(prefix="sse-gateway-python-") as temporary:
        context = Path(temporary)
        (context / "Dockerfile").write_text(DOCKERFILE.format(base=base, label=LABEL, digest=digest))
        (context / "authorities").mkdir()
        for number, authority in enumerate(CERTIFICATE.findall(authorities)):
            (context / "authorities" / f"machine-{number}.crt").write_text(authority)
        (context / "pip.conf").write_text(pip)
        engine.docker("build", "--quiet", "--tag", name, context)
    engine.docker("image", "rm", base)


def _authorities() -> str:
    """The certificate authorities that this machine trusts."""
    for path in (os.environ.get("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt"):
        if path and Path(path).exists():
            return Path(path).read_text(errors="replace")
    return ""


def _pip_settings() -> str:
    """This machine's pip settings that say where packages come from, as a pip.conf."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    settings = configparser.ConfigParser(interpolation=None)
    settings["global"] = {
        found[1]: found[2]
        for line in told.splitlines()
        if (found := re.match(r"(?:global|:env:)\.(\S+)='(.*)'$", line)) and found[1] in PIP_SETTINGS
    }
    text = io.StringIO()
    settings.write(text)
    return text.getvalue()
