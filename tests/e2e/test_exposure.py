"""What a gateway may have or not: a port on the nodes, an Ingress, an HTTPRoute, an autoscaler."""

from e2e.figures import Figures
from e2e.kube import Namespace, api, gateway, knows_routes, kubectl, settled, until
from e2e.release import Release
from e2e.traffic import Clients, Source

HOST = "events.example.com"


def test_ways_in(shop: Namespace, source: Source, release: Release, figures: Figures) -> None:
    place = Namespace("e2e-ways-in")
    place.create()
    routed = knows_routes()
    ways = {
        "service": {"type": "NodePort"},
        "autoscaling": {"minReplicas": 1, "maxReplicas": 3},
        "ingress": {"controller": "nginx", "className": "nginx", "hosts": [HOST]},
        **({"httpRoute": {"parentRefs": [{"name": "edge"}], "hostnames": [HOST]}} if routed else {}),
    }
    try:
        place.apply(gateway("default", **ways), api("prices", source.url("prices")))
        until("prices", lambda: settled(place.get("sseapi", "prices")))
        urls = place.get("sseapi", "prices")["status"]["urls"]
        assert urls == [f"http://{HOST}/prices", "http://sse-default.e2e-ways-in.svc/prices"]
        ingress = place.get("ingress", "sse-default")
        assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
        assert place.get("horizontalpodautoscaler", "sse-default")["spec"]["maxReplicas"] == 3
        if routed:
            (rule,) = place.get("httproute", "sse-default")["spec"]["rules"]
            assert rule["timeouts"] == {"request": "0s", "backendRequest": "0s"}

        port = place.get("service", "sse-default")["spec"]["ports"][0]["nodePort"]
        node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}")
        clients = Clients(place, release.image, "outside")
        clients.start(f"http://{node}:{port}/prices", streams=5, publish=source.messages("prices"))
        until("events", lambda: clients.fresh().events)

        place.apply(gateway("default"))
        until("no Ingress", lambda: not place.get("ingress", "sse-default"))
        until("no autoscaler", lambda: not place.get("horizontalpodautoscaler", "sse-default"))
        until("a Service within", lambda: place.get("service", "sse-default")["spec"]["type"] == "ClusterIP")
        if routed:
            until("no HTTPRoute", lambda: not place.get("httproute", "sse-default"))
        counted = clients.fresh()
        assert (counted.open, counted.ended, counted.lost) == (5, 0, 0)
    finally:
        place.delete(wait=False)
    figures.add(
        "gateway with a NodePort, an autoscaler, an Ingress"
        + (" and an HTTPRoute" if routed else "")
        + "; then without",
        "5 streams over the node's port went on when it was closed to new ones",
        "the API server took all of them" + ("" if routed else "; no HTTPRoute: this cluster has no Gateway API"),
    )
