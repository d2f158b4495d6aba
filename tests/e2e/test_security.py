"""Who may do what: no tokens in proxies, no right that is not used, pods patched in one annotation only."""

import json
import time

import pytest

from e2e.figures import Figures
from e2e.kube import KubectlError, Namespace, api, knows_routes, kubectl, settled, until
from e2e.release import Release
from e2e.traffic import Clients, Source
from unit.chart.chart_render import objects, render

PROXIES = "app.kubernetes.io/component=proxy"


def test_proxies_have_no_token_and_cannot_write(shop: Namespace, figures: Figures) -> None:
    assert "restricted" in kubectl("get", "namespace", shop.name, "-o", "jsonpath={.metadata.labels}")
    proxy = shop.list("pods", PROXIES)[0]["metadata"]["name"]
    look = "import os; print(os.path.exists('/var/run/secrets/kubernetes.io'), os.getuid(), os.access('/', os.W_OK))"
    told = shop.kubectl("exec", proxy, "--", "/opt/sse-gateway/bin/python", "-c", look)
    assert told.split() == ["False", "65532", "False"]
    figures.add(
        "operator and proxies in namespaces `restricted`", "", "admitted; proxies have no token, read-only root"
    )


def test_the_operator_may_patch_one_annotation_only(shop: Namespace, release: Release, source: Source) -> None:
    ours = shop.list("pods", PROXIES)[0]["metadata"]["name"]

    def annotate(pod: str, annotation: str) -> str:
        """Empty, or why not. Server-side apply, since the operator may not get pods as `kubectl patch` would."""
        metadata = {"name": pod, "annotations": {annotation: "1"}}
        document = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        try:
            shop.kubectl(
                *("apply", "--server-side", "--force-conflicts", "--validate=false", f"--as={release.account}"),
                *("-f", "-"),
                stdin=document,
            )
        except KubectlError as error:
            return str(error)
        return ""

    assert annotate(ours, "sse-gateway.dev/config-revision") == ""
    assert "ValidatingAdmissionPolicy" in annotate(ours, "other")
    assert "ValidatingAdmissionPolicy" in annotate("source", "sse-gateway.dev/config-revision")


def test_without_nudges_changes_take_the_kubelets_pace(
    shop: Namespace, source: Source, release: Release, figures: Figures
) -> None:
    release.upgrade("--set=nudge.enabled=false")
    try:
        with pytest.raises(KubectlError):
            kubectl("auth", "can-i", "patch", "pods", f"--as={release.account}")
        began = time.monotonic()
        shop.apply(api("unhurried", source.url("unhurried")))
        until("unhurried", lambda: settled(shop.get("sseapi", "unhurried")), timeout=180)
        figures.add("`nudge.enabled: false`", "", f"SseApi Ready after {time.monotonic() - began:.0f} s")
    finally:
        release.upgrade()
        shop.kubectl("delete", "sseapi", "unhurried", "--ignore-not-found")


def test_the_admin_port_is_for_the_operator_only(
    shop: Namespace, source: Source, release: Release, figures: Figures
) -> None:
    """The policy is there; whether the network enforces it is told, not claimed."""
    assert shop.get("networkpolicy", "sse-default")["spec"]["podSelector"]
    address = shop.list("pods", PROXIES)[0]["status"]["podIP"]
    shop.apply(api("probe", source.url("probe")))
    until("probe", lambda: settled(shop.get("sseapi", "probe")))
    stranger = Clients(shop, release.image, "stranger")
    stranger.start(shop.get("sseapi", "probe")["status"]["urls"][0], streams=1)
    try:
        reached = stranger.ask(f"http://{address}:9090/livez")
        assert stranger.ask(f"http://{address}:9090/config") in (0, 401)
    finally:
        stranger.stop()
        shop.kubectl("delete", "sseapi", "probe")
    told = "this cluster's network **does not enforce** it" if reached else "enforced: a stranger reaches no admin port"
    figures.add("NetworkPolicy for the admin port", "", f"{told}; `/config` needs the token all the same")


def test_rights_are_those_that_were_used(release: Release, figures: Figures) -> None:
    """Of all scenarios so far, by the API server's audit log: none is missing, none is idle."""
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    try:
        log = kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/logs/kubernetes/audit.log")
    except KubectlError:
        pytest.skip("no audit log here")
    used, allowed = set(), set()
    for event in map(json.loads, log.splitlines()):
        reference = event.get("objectRef")
        theirs = event["user"].get("username") == release.account and "impersonatedUser" not in event
        if not (theirs and reference and event["requestReceivedTimestamp"] >= release.installed_at):
            continue
        resource = reference["resource"] + (f"/{reference['subresource']}" if "subresource" in reference else "")
        use = (reference.get("apiGroup", ""), resource, event["verb"])
        used.add(use)
        if event.get("annotations", {}).get("authorization.k8s.io/decision") == "allow":
            allowed.add(use)
    granted = {
        (group, resource, verb)
        for role in objects(render("--set=rbac.aggregateClusterRoles=false"))
        for rule in role.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    # Server-side apply of what is not there yet is a patch in the log; the API server asks for `create` too.
    implied = {(group, resource, "create") for group, resource, verb in used if verb == "patch"} | IMPLIED
    if not knows_routes():
        implied |= {use for use in granted if use[1] == "httproutes"}
    assert used <= granted
    assert used - allowed == set()  # an API server that starts forbids all for a moment: once allowed is enough
    assert granted - used - implied == set()
    figures.add(
        "the operator's rights against the API server's audit log of all of the above",
        "",
        f"all {len(granted)} verbs on resources were used or implied, none was missing",
    )


IMPLIED = {
    ("sse-gateway.dev", "ssegateways/finalizers", "update"),  # for owner references, where the API server checks them
    ("networking.k8s.io", "networkpolicies", "delete"),  # for an operator that runs outside the cluster from now on
    ("sse-gateway.dev", "ssegateways", "get"),  # when somebody makes the default gateway at the same moment
}
