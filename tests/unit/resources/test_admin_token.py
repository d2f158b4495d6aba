"""The admin token's Secret gives back its token, and nothing where it was broken."""

import pytest

from sse_operator.api.model import Metadata
from sse_operator.api.objects import SseGateway
from sse_operator.resources.admin_token import admin_token_secret, token_of


def test_token_is_read_back() -> None:
    gateway = SseGateway(metadata=Metadata(name="default", namespace="shop", uid="1"), spec=None)
    assert token_of(admin_token_secret(gateway, "s3cret")) == "s3cret"


@pytest.mark.parametrize("data", [None, {}, {"token": ""}, {"token": "%%%"}, {"token": "/w=="}])
def test_a_broken_secret_has_no_token(data: object) -> None:
    assert token_of({"data": data}) is None
