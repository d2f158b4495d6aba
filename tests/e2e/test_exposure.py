"""What a gateway may have or not: a port on the nodes, an Ingress, an HTTPRoute, an autoscaler, TLS of its own."""

import time

import trustme

from e2e.figures import Figures
from e2e.kube import Document, Namespace, api, gateway, knows_routes, kubectl, settled, until
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


def certificate(authority: trustme.CA, host: str) -> Document:
    """The Secret of a certificate for the host, as cert-manager makes it."""
    issued = authority.issue_cert(host)
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "certificate", "labels": {"sse-gateway.dev/use": "true"}},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes().decode()},
    }


def test_tls_renewed_under_streams(shop: Namespace, source: Source, release: Release, figures: Figures) -> None:
    place = Namespace("e2e-tls")
    place.create()
    trusted, unknown, host = trustme.CA(), trustme.CA(), "sse-default.e2e-tls.svc"
    times = {}
    try:
        place.apply(
            certificate(trusted, host),
            gateway("default", tls={"certificateRefs": [{"name": "certificate"}]}),
            api("prices", source.url("prices")),
        )
        until("prices", lambda: settled(place.get("sseapi", "prices")))
        url = f"https://{host}/prices"
        assert url in place.get("sseapi", "prices")["status"]["urls"]
        clients = Clients(place, release.image, "secured")
        publish = source.messages("prices")
        clients.start(url, streams=20, publish=publish, authority=trusted.cert_pem.bytes().decode())
        until("events", lambda: clients.fresh().events)
        # Whether a new connection is trusted says which certificate it was shown.
        for what, authority, status in (("an unknown authority's", unknown, 0), ("a new one", trusted, 200)):
            began = time.monotonic()
            place.apply(certificate(authority, host))
            until(what, lambda status=status: clients.ask(url) == status)  # type: ignore[misc]
            times[what] = time.monotonic() - began
        counted = clients.fresh()
        assert (counted.open, counted.ended, counted.lost) == (20, 0, 0)
    finally:
        place.delete(wait=False)
    figures.add(
        "gateway with TLS of its own; its certificate is replaced twice under 20 streams",
        "nothing: all went on; new connections met the new certificate",
        ", ".join(f"{what} after {taken:.1f} s" for what, taken in times.items()),
    )
