"""What a silent stream's client is sent."""

from __future__ import annotations

from sse_proxy.stream.framing import chunk

HEARTBEAT_CHUNK = chunk(b":\n")
"""A comment, as a chunk of its own. With a blank line behind it, some clients would take it for an event."""
