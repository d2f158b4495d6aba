"""What the Python drivers have in common: their arguments, and what they print.

    DRIVER BASE... -- NAME CASE [NAME CASE]...

asks for each case below each base URL, and prints one JSON line each: which base, the case's name, and what was got.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Got = list[list[Any]]
"""What a client was given, in order: `["event", type, data, id]`, `["end"]`, `["error", what]` and the like."""


def drive(ask: Callable[[str, str, Got], Awaitable[None]]) -> None:
    """Let `ask(base, case, got)` append to `got`. What it raises is the last thing that was got."""
    asyncio.run(_drive(ask))


async def _drive(ask: Callable[[str, str, Got], Awaitable[None]]) -> None:
    middle = sys.argv.index("--")
    bases, cases = sys.argv[1:middle], sys.argv[middle + 1 :]
    for number, base in enumerate(bases):
        for name, case in zip(cases[::2], cases[1::2], strict=True):
            got: Got = []
            try:
                async with asyncio.timeout(20):
                    await ask(base, case, got)
            except Exception as error:
                got.append(["error", type(error).__name__, str(getattr(error, "status_code", ""))])
            print(json.dumps({"base": number, "case": name, "got": got}), flush=True)
