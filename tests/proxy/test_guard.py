"""Where connections may go."""

from __future__ import annotations

import pytest

from sse_proxy.config import TargetGuard
from sse_proxy.errors import ConfigError
from sse_proxy.upstream.guard import AddressGuard

GUARD = AddressGuard(
    TargetGuard(
        deny=("127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/8", "::1/128", "fe80::/10", "fd00:ec2::254/128"),
        allow=("10.1.0.0/16",),
    )
)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "169.254.169.254", "10.0.0.1", "::1", "fe80::1%eth0", "::ffff:127.0.0.1",
     "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::",
     "2002:a9fe:a9fe::1", "::127.0.0.1", "fd00:ec2::254"],
)  # fmt: skip
def test_denied(address: str) -> None:
    assert not GUARD.permits(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "64:ff9b::808:808", "2002:808:808::", "::"]
)
def test_permitted(address: str) -> None:
    assert GUARD.permits(address)


def test_no_network() -> None:
    with pytest.raises(ConfigError, match=r"settings\.targets: "):
        AddressGuard(TargetGuard(deny=("localhost",)))
