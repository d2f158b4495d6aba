"""The openai package: streamed chat completions. A case is a model's name."""

from __future__ import annotations

import openai
from driver import Got, drive


async def ask(base: str, case: str, got: Got) -> None:
    async with openai.AsyncOpenAI(base_url=base + "/v1", api_key="key", max_retries=0) as client:
        messages = [{"role": "user", "content": "hello"}]
        stream = await client.chat.completions.create(model=case, messages=messages, stream=True)
        async for part in stream:
            choice = part.choices[0]
            got.append(["event", choice.delta.content, choice.finish_reason])
        got.append(["end"])


drive(ask)
