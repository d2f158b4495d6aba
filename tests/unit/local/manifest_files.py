"""Manifests for the tests of the local mode."""

import json
from pathlib import Path

import trustme


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


def certificate(name: str, issued: trustme.LeafCert) -> str:
    """A Secret of the type kubernetes.io/tls in the namespace default."""
    chain = "".join(each.bytes().decode() for each in issued.cert_chain_pems)
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"sse-gateway.dev/use": "true"}},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes().decode()},
    }
    return json.dumps(document) + "\n"


def write(file: Path, *documents: str) -> str:
    """Writes the documents as one file, by renaming as editors do; returns its name."""
    new = file.with_name(f".{file.name}.new")
    new.write_text("---\n".join(documents))
    new.replace(file)
    return str(file)
