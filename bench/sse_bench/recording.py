"""Records kept in a file while a bench runs: JSON lines, the first one about the bench."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sse_bench.measurement import Record
from sse_bench.process import BenchError


@dataclass(frozen=True)
class Recording:
    """What a file has."""

    about: tuple[str, ...]
    records: tuple[Record, ...]


class Writer:
    """Each record is in the file as soon as it was added."""

    def __init__(self, path: Path, about: tuple[str, ...]) -> None:
        """Raises BenchError when the file cannot be written."""
        try:
            self._file = path.open("w")
        except OSError as error:
            raise BenchError(f"records cannot be kept: {error}") from None
        self._line({"about": about})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, record: Record) -> None:
        """Append it."""
        self._line(asdict(record))

    def _line(self, members: dict[str, object]) -> None:
        self._file.write(json.dumps(members) + "\n")
        self._file.flush()


def read(path: Path) -> Recording:
    """What a `Writer` wrote. Raises BenchError when the file is no such."""
    try:
        head, *lines = (json.loads(line) for line in path.read_text().splitlines())
        records = tuple(Record(**{**members, "notes": tuple(members["notes"])}) for members in lines)
        return Recording(tuple(head["about"]), records)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BenchError(f"{path} has no records of a bench: {error}") from None
