"""Where a gateway says that it is reached. Its objects are in the golden files."""

from typing import get_args

from sse_operator.api.exposure import Controller
from sse_operator.api.model import Metadata
from sse_operator.api.objects import SseGateway
from sse_operator.api.sse_gateway import SseGatewaySpec
from sse_operator.resources.exposure import CONTROLLERS, base_urls


def urls(**spec: object) -> list[str]:
    metadata = Metadata(name="default", namespace="shop")
    return base_urls(SseGateway(metadata=metadata, spec=SseGatewaySpec.model_validate(spec)))


def test_inside_the_cluster_it_is_the_service() -> None:
    assert urls() == ["http://sse-default.shop.svc"]
    assert urls(service={"port": 8080}) == ["http://sse-default.shop.svc:8080"]


def test_with_tls_it_is_another_port_of_the_service() -> None:
    tls = {"certificateRefs": [{"name": "events"}]}
    inside = "sse-default.shop.svc"
    assert urls(tls=tls, service={"port": 8080}) == [f"https://{inside}", f"http://{inside}:8080"]


def test_outside_it_is_the_ingress_first() -> None:
    hosts = ["events.example.com", "*.example.com"]
    assert urls(ingress={"hosts": hosts}) == ["http://events.example.com", "http://sse-default.shop.svc"]
    secret = {"secretName": "events-tls"}
    assert urls(ingress={"hosts": hosts, "tls": secret})[0] == "https://events.example.com"


def test_every_controller_has_its_annotations() -> None:
    assert set(get_args(Controller)) == set(CONTROLLERS)
