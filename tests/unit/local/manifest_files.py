"""Manifests for the tests of the local mode."""

from pathlib import Path


def sse_api(
    name: str = "ably", context_path: str = "/sseconsumer", target: str = "http://127.0.0.1:9/", more: str = ""
) -> str:
    """An SseApi; `more` are further lines of its spec, without indentation."""
    lines = [f"contextPath: {context_path}", f"target: {target}", *more.splitlines()]
    spec = "".join(f"  {line}\n" for line in lines)
    return f"apiVersion: sse-gateway.dev/v1alpha1\nkind: SseApi\nmetadata:\n  name: {name}\nspec:\n{spec}"


def sse_gateway(name: str, namespace: str = "default", spec: str = "{}") -> str:
    """An SseGateway; `spec` in YAML's flow style."""
    metadata = f"{{name: {name}, namespace: {namespace}}}"
    return f"apiVersion: sse-gateway.dev/v1alpha1\nkind: SseGateway\nmetadata: {metadata}\nspec: {spec}\n"


def write(file: Path, *documents: str) -> str:
    """Writes the documents as one file, by renaming as editors do; returns its name."""
    new = file.with_name(f".{file.name}.new")
    new.write_text("---\n".join(documents))
    new.replace(file)
    return str(file)
