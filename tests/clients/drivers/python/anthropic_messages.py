"""The anthropic package: streamed messages. A case is a model's name."""

from __future__ import annotations

import anthropic
from driver import Got, drive


async def ask(base: str, case: str, got: Got) -> None:
    async with anthropic.AsyncAnthropic(base_url=base, api_key="key", max_retries=0) as client:
        messages = [{"role": "user", "content": "hello"}]
        async with client.messages.stream(model=case, max_tokens=64, messages=messages) as stream:
            async for event in stream:
                got.append(["event", event.type, getattr(event, "text", None)])
            message = await stream.get_final_message()
        got.append(["end", message.stop_reason, [block.text for block in message.content]])


drive(ask)
