"""Container images of one program each, written without an engine: an archive that `ctr images import` reads.

The format is that of `docker save`: a tar with one tar per layer, a configuration per image, and a manifest.json that
names them (moby/moby, image/spec/v1.2).
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Image(NamedTuple):
    """One image: its name, the program and where that goes, and a layer below it (a tar file), if any."""

    name: str
    program: Path
    destination: str
    entry_point: Sequence[str] = ()
    below: Path | None = None


def write(archive: Path, images: Sequence[Image]) -> None:
    """Write all images into one archive. Layers are written beside it for the while."""
    manifest = []
    with tarfile.open(archive, "w") as tar:
        for image in images:
            layers = [image.below] if image.below else []
            own = archive.with_suffix(f".{image.program.name}.layer")
            _write_layer(own, image)
            layers.append(own)
            digests = [_digest(layer) for layer in layers]
            for layer, digest in zip(layers, digests, strict=True):
                tar.add(layer, f"{digest}/layer.tar")
            own.unlink()
            configuration = _configuration(image, digests)
            name = f"{hashlib.sha256(configuration).hexdigest()}.json"
            _add_bytes(tar, name, configuration)
            names = [f"{digest}/layer.tar" for digest in digests]
            manifest.append({"Config": name, "RepoTags": [image.name], "Layers": names})
        _add_bytes(tar, "manifest.json", json.dumps(manifest).encode())


def _write_layer(layer: Path, image: Image) -> None:
    with tarfile.open(layer, "w") as tar:
        entry = tarfile.TarInfo(image.destination.lstrip("/"))
        entry.size, entry.mode = image.program.stat().st_size, 0o755
        with image.program.open("rb") as program:
            tar.addfile(entry, program)


def _configuration(image: Image, digests: Sequence[str]) -> bytes:
    machine = os.uname().machine
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    document = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
        "os": "linux",
        "config": {"Env": [path], "Entrypoint": list(image.entry_point)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }
    return json.dumps(document).encode()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
