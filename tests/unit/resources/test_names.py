"""Names of a gateway's objects: valid for Kubernetes whatever the gateway is called, and never the same for two."""

import re

import pytest

from sse_operator.api.model import Metadata
from sse_operator.api.objects import SseGateway
from sse_operator.resources.admin_token import TOKEN_SUFFIX
from sse_operator.resources.config_maps import shard_suffix
from sse_operator.resources.names import child_metadata, child_name, gateway_key_of_child, owned_by, short_name

NAMES = ["default", "1", "a" * 47, "a" * 48, "a.b", "a-b", "a" * 253, "x" * 46 + ".y", "x" * 46 + ".z", "0.0.0"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["", TOKEN_SUFFIX, shard_suffix("63")])
def test_every_gateway_name_gives_service_names(name: str, suffix: str) -> None:
    made = child_name(name, suffix)
    assert len(made) <= 63
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made)


def test_different_gateways_have_different_objects() -> None:
    assert len({short_name(name) for name in NAMES}) == len(NAMES)


def gateway(name: str, uid: str = "1") -> SseGateway:
    return SseGateway(metadata=Metadata(name=name, namespace="shop", uid=uid), spec=None)


def test_an_object_leads_back_to_its_gateway_by_full_name() -> None:
    assert gateway_key_of_child(child_metadata(gateway("a" * 253))) == f"shop/{'a' * 253}"
    assert gateway_key_of_child({"name": "somebody-elses", "namespace": "shop"}) is None


def test_an_object_is_the_gateways_own_also_after_the_gateway_was_made_anew() -> None:
    document = {"metadata": child_metadata(gateway("default", uid="before"))}
    assert owned_by(document, gateway("default", uid="now"))
    assert not owned_by(document, gateway("other"))
    assert not owned_by({"metadata": {"name": "sse-default"}}, gateway("default"))
