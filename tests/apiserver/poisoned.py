"""The operator with a fault of its own: it cannot compile an SseApi of version `poison`."""

import sys
from typing import Any

from sse_operator.command import main
from sse_operator.compiler import gateway

compile_entry = gateway.entry_of


def entry_of(api: Any, spec: Any, *rest: Any) -> Any:
    """As the compiler's, but for the poison."""
    if spec.version == "poison":
        raise ZeroDivisionError("a fault that a test injects")
    return compile_entry(api, spec, *rest)


gateway.entry_of = entry_of  # type: ignore[assignment]

if __name__ == "__main__":
    sys.exit(main())
