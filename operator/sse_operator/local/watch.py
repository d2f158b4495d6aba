"""Tells when manifest files have changed: at once where the system reports changes, by a look now and then anyway.

Reports are only a reason to look: what counts is whether a file's identity, size or time differs. So editors that
save by renaming, symbolic links that are swapped and file systems without reports (network, some containers) all
work.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

from watchfiles import awatch

from sse_operator.local.manifests import manifest_files

LOOK_EVERY = 2.0
"""Seconds between two looks where nothing was reported."""
SETTLE = 0.05
"""Seconds without a report before a look: saving a file is more than one change."""

Snapshot = dict[str, tuple[int, int, int] | None]


class Watch:
    """Watches FILE_OR_DIR… from the moment it is made."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = sources
        self._seen = _snapshot(sources)

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yields after each change, until it is cancelled."""
        async for _ in _wake_ups(self._sources):
            found = await asyncio.to_thread(_snapshot, self._sources)
            if found != self._seen:
                self._seen = found
                yield


def _snapshot(sources: Sequence[str]) -> Snapshot:
    files, _ = manifest_files(sources)
    return {file: _stamp(file) for file in files}


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _folders(sources: Sequence[str]) -> list[str]:
    """The folders to watch: of a file its own, since editors save by renaming."""
    return sorted({source if Path(source).is_dir() else str(Path(source).parent) for source in sources})


async def _wake_ups(sources: Sequence[str]) -> AsyncIterator[None]:
    try:
        async for _ in awatch(
            *_folders(sources),
            watch_filter=None,
            debounce=1000,
            step=int(SETTLE * 1000),
            rust_timeout=int(LOOK_EVERY * 1000),
            yield_on_timeout=True,
            recursive=False,
        ):
            yield
    except (OSError, RuntimeError):
        pass  # a folder is gone, or the system watches no more of them
    while True:
        await asyncio.sleep(LOOK_EVERY)
        yield
