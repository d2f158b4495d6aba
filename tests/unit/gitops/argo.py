"""How Argo CD judges an object: deletion by itself, all else by the Lua script that the project ships."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lupa

SCRIPT = Path(__file__).parents[3] / "deploy" / "gitops" / "argocd" / "health.lua"


def argo_health(document: Mapping[str, Any]) -> str:
    """`Progressing`, `Healthy`, `Degraded` or `Suspended`."""
    if document["metadata"].get("deletionTimestamp"):
        return "Progressing"  # gitops-engine, pkg/health: "Pending deletion", before any script
    lua = lupa.LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    lua.globals()["obj"] = lua.table_from(document, recursive=True)
    health = lua.execute(SCRIPT.read_text())
    assert isinstance(health["message"], str)
    return str(health["status"])
