"""The origin of the client tests: a stream of every kind of event, streams that end early, refusals, and the streams
of two LLM APIs. It answers the same to everybody, so that what clients make of it can be compared."""

from __future__ import annotations

import json
from typing import Any

from proxy.harness import Call, chunk

EVENTS = (
    b"\xef\xbb\xbf: behind a byte-order mark\n",
    b"retry: 20\nid: 1\ndata: first\n\n",
    b"data:no blank\ndata: two\ndata\ndata:  three\n\n",
    b"event: note\r\nid: 2\r\ndata: lines in CRLF\r\n\r\n",
    b"event: note\rid: 3\rdata: lines in CR\r\r",
    b":\n",
    b"id: a\0b\ndata: a NUL in the id\n\n",
    b"unknown: x\nevent: note\n\n",
    b"data\n\n",
    "data: Grüße, 世界 🚀\n\n".encode(),
    b'event: note\nid: 4\ndata: {"half": ',
    b"1}\n\n",
    b"data: " + b"0123456789abcdef" * 6400 + b"\n\n",
    b"id: 5\nevent: done\ndata: end\n\n",
)
"""Every rule of the format once; the data of the last but one is 100 KiB."""

THREE = b"retry: 20\nid: 1\ndata: one\n\n", b"id: 2\ndata: two\n\n", b"id: 3\ndata: three\n\n"
SHARED = b"Access-Control-Allow-Origin: *"
DONE = b"id: 4\nevent: done\ndata: four\n\n"


async def answer(call: Call) -> None:
    """Answer by the path's end."""
    body = await call.reader.readexactly(int(call.get("Content-Length") or 0))
    path = call.line.split(" ")[1].partition("?")[0].removeprefix("/base")
    last_id = call.get("Last-Event-ID")
    match path:
        case "/events/every":
            await _stream(call, *EVENTS)
        case "/events/byte-by-byte":
            await _stream(call, *(b"%c" % byte for byte in b"".join(EVENTS[:10]) + DONE))
        case "/events/length":
            await _head(call, b"Content-Length: %d" % len(b"".join((*THREE, DONE))))
            await call.send(*THREE, DONE)
        case "/events/until-close":
            await _head(call, b"Connection: close")
            await call.send(*THREE, DONE)
            call.writer.close()
        case "/events/ended":
            await _stream(call, *((DONE,) if last_id == "3" else THREE))
        case "/events/broken-off":
            if last_id == "3":
                await _stream(call, DONE)
            else:
                await _broken_off(call, *THREE)
        case "/events/redirected":
            await call.send(
                b"HTTP/1.1 307 Temporary Redirect\r\nLocation: length\r\nContent-Length: 0\r\n" + SHARED + b"\r\n\r\n"
            )
        case "/events/204":
            await call.send(b"HTTP/1.1 204 No Content\r\n" + SHARED + b"\r\n\r\n")
        case "/events/401":
            await _refusal(call, b"401 Unauthorized", b'WWW-Authenticate: Bearer realm="origin"')
        case "/events/500":
            await _refusal(call, b"500 Internal Server Error")
        case "/events/html":
            await _refusal(call, b"200 OK", kind=b"text/html")
        case "/v1/chat/completions":
            await _completion(call, json.loads(body))
        case "/v1/messages":
            await _message(call, json.loads(body))
        case _:
            await _refusal(call, b"404 Not Found")


async def _head(call: Call, *fields: bytes) -> None:
    lines = b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", SHARED, *fields
    await call.send(b"\r\n".join(lines) + b"\r\n\r\n")


async def _stream(call: Call, *parts: bytes) -> None:
    await _head(call, b"Transfer-Encoding: chunked")
    await call.send(*map(chunk, parts), b"0\r\n\r\n")


async def _broken_off(call: Call, *parts: bytes) -> None:
    """In the middle of an event, and without the last chunk."""
    await _head(call, b"Transfer-Encoding: chunked")
    await call.send(*map(chunk, parts), chunk(b"data: ha"))
    call.writer.close()


async def _refusal(call: Call, status: bytes, *fields: bytes, kind: bytes = b"application/json") -> None:
    body = b'{"type": "error", "error": {"type": "refused", "message": "no"}}'
    lines = b"HTTP/1.1 " + status, b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *fields
    await call.send(b"\r\n".join((*lines, SHARED)) + b"\r\n\r\n" + body)


WORDS = "Streams", " are", " Grüße", " from", " 世界", " 🚀", "\n\n", "data: no event"


async def _completion(call: Call, asked: dict[str, Any]) -> None:
    """OpenAI's chat completions. The model's name says how it goes."""

    def part(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _data({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})

    words = [part({"role": "assistant", "content": ""}), *(part({"content": word}) for word in WORDS)]
    match asked["model"]:
        case "whole":
            await _stream(call, b": keep-alive\n\n", *words, part({}, "stop"), b"data: [DONE]\n\n")
        case "whole, with heartbeats":
            await _stream(call, *(word + b":\n" for word in words), part({}, "stop"), b"data: [DONE]\n\n")
        case "without its last event":
            await _stream(call, *words)
        case "broken off":
            await _broken_off(call, *words)
        case "an error within":
            await _stream(call, *words[:3], _data({"error": {"message": "overloaded", "code": "overloaded"}}))
        case status:
            await _refusal(call, status.encode(), b"Retry-After: 1")


async def _message(call: Call, asked: dict[str, Any]) -> None:
    """Anthropic's messages. The model's name says how it goes."""

    def part(kind: str, **members: Any) -> bytes:
        return b"event: %b\n" % kind.encode() + _data({"type": kind, **members})

    usage = {"input_tokens": 3, "output_tokens": 1}
    message = {"id": "m-1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    begin = [
        part("message_start", message={**message, "stop_reason": None, "stop_sequence": None}),
        part("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        part("ping"),
        *(part("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in WORDS),
    ]
    end = [
        part("content_block_stop", index=0),
        part("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 8}),
        part("message_stop"),
    ]
    match asked["model"]:
        case "whole":
            await _stream(call, *begin, *end)
        case "whole, with heartbeats":
            await _stream(call, *(event + b":\n" for event in (*begin, *end)))
        case "without its last event":
            await _stream(call, *begin)
        case "broken off":
            await _broken_off(call, *begin)
        case "an error within":
            error = {"type": "overloaded_error", "message": "overloaded"}
            await _stream(call, *begin, part("error", error=error))
        case status:
            await _refusal(call, status.encode(), b"Retry-After: 1")


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
