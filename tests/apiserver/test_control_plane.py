"""The harness keeps its promises: a real API server, users of one's own, nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import kubernetes
import pytest

from apiserver.control_plane import ApiError, ControlPlane

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.harness.test}
spec:
  group: harness.test
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties: {size: {type: integer}}
              x-kubernetes-validations: [{rule: self.size < 3, message: a widget is smaller than 3}]
"""


def config_map(namespace: str, name: str, **data: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": data,
    }


def client(kubeconfig: Path) -> kubernetes.client.CoreV1Api:
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(  # type: ignore[no-untyped-call]
        str(kubeconfig), client_configuration=configuration
    )
    return kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))


@pytest.fixture
def widgets(control_plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "widgets.yaml").write_text(WIDGETS)
    assert control_plane.install_crds(tmp_path) == ["widgets.harness.test"]


@pytest.mark.usefixtures("widgets")
def test_an_installed_crd_is_served_at_once_with_its_cel_rules(control_plane: ControlPlane, namespace: str) -> None:
    text = "{{apiVersion: harness.test/v1, kind: Widget, metadata: {{name: {}}}, spec: {{size: {}}}}}"
    control_plane.apply_yaml(text.format("small", 2), namespace=namespace)
    with pytest.raises(ApiError, match="a widget is smaller than 3") as refused:
        control_plane.apply_yaml(text.format("big", 3), namespace=namespace)
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    small = control_plane.get("harness.test/v1", "Widget", namespace, "small")
    assert small["metadata"]["managedFields"][0]["manager"] == "kubectl"
    assert control_plane.get("harness.test/v1", "Widget", namespace, "big") is None


def test_a_kind_that_is_not_served_is_named(control_plane: ControlPlane) -> None:
    with pytest.raises(LookupError, match=r"no Gadget of harness\.test/v1"):
        control_plane.apply({"apiVersion": "harness.test/v1", "kind": "Gadget", "metadata": {"name": "a"}})


def test_an_empty_folder_of_crds_is_an_error(control_plane: ControlPlane, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        control_plane.install_crds(tmp_path)


def test_the_administrators_kubeconfig_serves_the_python_client(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(config_map(namespace, "a", key="value"))
    found = client(control_plane.kubeconfig).read_namespaced_config_map("a", namespace)
    assert found.data == {"key": "value"}


def grant_reading_config_maps(control_plane: ControlPlane, namespace: str, subject: dict[str, str]) -> None:
    api, metadata = "rbac.authorization.k8s.io", {"namespace": namespace, "name": "reader"}
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "reader"},
        "subjects": [subject],
    }
    control_plane.apply(role, binding)


def wait_to_be_allowed(api: kubernetes.client.CoreV1Api, namespace: str, name: str) -> None:
    """Read a ConfigMap; the authorizer sees a new RoleBinding some milliseconds after it was written."""
    deadline = time.monotonic() + 30
    while True:
        try:
            api.read_namespaced_config_map(name, namespace)
            return
        except kubernetes.client.ApiException as error:
            if error.status != 403 or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_a_user_may_do_what_rbac_lets_them(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(config_map(namespace, "a"))
    alice = client(control_plane.user_kubeconfig("alice", "readers"))
    with pytest.raises(kubernetes.client.ApiException, match="cannot get resource") as refused:
        alice.read_namespaced_config_map("a", namespace)
    assert refused.value.status == 403
    readers = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}
    grant_reading_config_maps(control_plane, namespace, readers)
    wait_to_be_allowed(alice, namespace, "a")


def test_a_service_account_has_a_token_and_is_in_the_audit_log(control_plane: ControlPlane, namespace: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": "robot"}}
    control_plane.apply(account, config_map(namespace, "a"))
    grant_reading_config_maps(
        control_plane, namespace, {"kind": "ServiceAccount", "namespace": namespace, "name": "robot"}
    )
    robot = client(control_plane.service_account_kubeconfig(namespace, "robot"))
    wait_to_be_allowed(robot, namespace, "a")
    user = f"system:serviceaccount:{namespace}:robot"
    mine = [event for event in control_plane.audit_events() if event["user"]["username"] == user]
    assert {(event["verb"], event["objectRef"]["resource"]) for event in mine} == {("get", "configmaps")}


def test_a_deleted_namespace_goes_with_all_that_is_in_it(control_plane: ControlPlane) -> None:
    name = control_plane.create_namespace("to-be-deleted")
    control_plane.apply(config_map(name, "a"))
    control_plane.delete_namespace(name)
    assert control_plane.get("v1", "ConfigMap", name, "a") is None
    assert control_plane.get("v1", "Namespace", "", name) is None


def test_an_api_server_that_was_stopped_comes_back_with_its_data(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(config_map(namespace, "a"))
    url = control_plane.url
    control_plane.stop_api_server()
    with pytest.raises(ConnectionRefusedError):
        control_plane.get("v1", "ConfigMap", namespace, "a")
    control_plane.start_api_server()
    assert control_plane.url == url
    assert control_plane.get("v1", "ConfigMap", namespace, "a")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_nothing_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from apiserver.control_plane import ControlPlane\n"
        "plane = ControlPlane(Path(sys.argv[1])); plane.start(); print(plane.port, flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        assert listens(port)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(port)
