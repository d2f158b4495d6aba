"""A real Kubernetes API server on loopback: etcd and kube-apiserver, ready in about four seconds.

It serves what the real thing serves, because it is the real thing: CRDs with their CEL rules, RBAC, Leases,
server-side apply, watches, the audit log. It has no controllers, no scheduler and no kubelet, so:

- nothing collects garbage: objects stay when their owner goes;
- a namespace that is deleted stays Terminating, unless `delete_namespace` empties it as the controller would;
- a Deployment makes no pods, and a pod that a test creates never runs: a test writes their status itself;
- the ServiceAccount admission is off, since nothing makes the `default` account that a pod needs.

Rules: every process here is a child of this one, is ended by its process id, and dies with the thread that started
it even if that is killed (`PR_SET_PDEATHSIG`), so start a ControlPlane from the main thread. All data are in one
temporary folder. etcd listens on a Unix socket, the API server on one port of 127.0.0.1.

    with ControlPlane() as control_plane:
        control_plane.install_crds(Path("deploy/crds"))
        control_plane.apply_yaml(Path("examples/quickstart.yaml").read_text())

For a developer: `scripts/dev-apiserver`.
"""

import argparse
import base64
import contextlib
import ctypes
import http.client
import json
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self
from urllib.parse import quote, urlencode

import trustme
import yaml

from ports import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1  # prctl(2)
READY_TIMEOUT = 60.0  # seconds
ETCD_SOCKET = "etcd.sock"  # in the folder, which is both programs' own: a socket's whole path is limited to 107 bytes
ADMIN_GROUP = "system:masters"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}

Manifest = Mapping[str, Any]


class ControlPlaneError(Exception):
    """It did not start, or does not answer. The message ends with the last lines of the log."""


class ApiError(Exception):
    """The API server refused a request. `status` is the HTTP status, `reason` Kubernetes' word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class ControlPlane:
    """etcd and kube-apiserver from `start()` to `close()`, or as a context manager.

    `folder` holds everything (default: a temporary one, removed by `close`). `port` is the API server's (default: a
    free one); it stays the same over `stop_api_server` and `start_api_server`. `audit` writes every request to the
    audit log, which `audit_events` reads.

    After `start`: `url`, `kubeconfig` (the path of an administrator's).
    """

    def __init__(self, folder: Path | None = None, *, port: int | None = None, audit: bool = True) -> None:
        self._temporary = folder is None
        self.folder = folder.absolute() if folder else Path(tempfile.mkdtemp(prefix="sse-gateway-apiserver-"))
        self.audit = audit
        self._given_port = port
        self.port = port or 0
        self._assets = Path()
        self._etcd: subprocess.Popen[bytes] | None = None
        self._api_server: subprocess.Popen[bytes] | None = None
        self._ca = trustme.CA(organization_name="sse-gateway tests")
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}
        self._admin: trustme.LeafCert | None = None
        self._tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """Of the API server and of etcd, as far as they run."""
        api_server, etcd = self._api_server, self._etcd
        return api_server.pid if api_server else None, etcd.pid if etcd else None

    # Processes

    def start(self) -> None:
        """Start both and return when the API server is ready. Raises ControlPlaneError."""
        self._assets = assets()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_keys()
            self._start_etcd()
            self.start_api_server()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill both, and remove the temporary folder. May be called twice."""
        self.stop_api_server()
        if self._etcd:
            _kill(self._etcd)
            self._etcd = None
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start_api_server(self) -> None:
        """Start the API server, on the same port and with the same data as before."""
        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            self.port = self.port or free_port()
            self._api_server = self._spawn("kube-apiserver", self._api_server_flags())
            try:
                self._wait_ready(deadline)
            except ControlPlaneError as error:
                self.stop_api_server()
                if self._given_port or "address already in use" not in str(error):
                    raise
                self.port = 0
            else:
                assert self._admin
                self._write_kubeconfig(self.kubeconfig, _certificate_user(self._admin))
                return

    def stop_api_server(self) -> None:
        """Kill the API server: every watch breaks, etcd keeps the data."""
        if self._api_server:
            _kill(self._api_server)
            self._api_server = None

    def _start_etcd(self) -> None:
        self._etcd = self._spawn(
            "etcd",
            [
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls=unix://{ETCD_SOCKET}",
                "--advertise-client-urls=http://127.0.0.1:1",  # has to be a host and port; nobody asks for it
                "--listen-peer-urls=http://127.0.0.1:0",
                "--unsafe-no-fsync",  # the data outlive the process, not the machine
                "--log-level=warn",
            ],
        )
        deadline = time.monotonic() + READY_TIMEOUT
        while not (self.folder / ETCD_SOCKET).exists():
            self._check_alive(self._etcd, "etcd", deadline)
            time.sleep(0.02)

    def _api_server_flags(self) -> list[str]:
        flags = [
            f"--etcd-servers=unix://{ETCD_SOCKET}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={self.folder / 'server.crt'}",
            f"--tls-private-key-file={self.folder / 'server.key'}",
            f"--client-ca-file={self.folder / 'ca.crt'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-signing-key-file={self.folder / 'service-accounts.key'}",
            f"--service-account-key-file={self.folder / 'service-accounts.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
        ]
        if self.audit:
            flags += [
                f"--audit-policy-file={self.folder / 'audit-policy.yaml'}",
                f"--audit-log-path={self.audit_log}",
                "--audit-log-mode=blocking-strict",
            ]
        return flags

    def _spawn(self, program: str, flags: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [str(self._assets / program), *flags],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for this process, which then ends that one
                preexec_fn=_die_with_parent,
            )

    def _check_alive(self, process: subprocess.Popen[bytes], program: str, deadline: float) -> None:
        code = process.poll()
        if code is None and time.monotonic() < deadline:
            return
        log = (self.folder / f"{program}.log").read_text(errors="replace").splitlines()[-15:]
        what = f"is not ready after {READY_TIMEOUT:.0f} s" if code is None else f"ended with status {code}"
        raise ControlPlaneError("\n".join([f"{program} {what}:", *log]))

    def _wait_ready(self, deadline: float) -> None:
        assert self._api_server
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException, ApiError):
                self.request("GET", "/readyz")
                self.request("GET", "/api/v1/namespaces/default")
                return
            self._check_alive(self._api_server, "kube-apiserver", deadline)
            time.sleep(0.05)

    # Who asks

    def _write_keys(self) -> None:
        self._ca.cert_pem.write_to_path(str(self.folder / "ca.crt"))
        for name, identities in {
            "server": ("127.0.0.1", "localhost", "kubernetes.default.svc"),
            "service-accounts": ("service-accounts",),
        }.items():
            pair = self._ca.issue_cert(*identities)
            pair.private_key_pem.write_to_path(str(self.folder / f"{name}.key"))
            pair.cert_chain_pems[0].write_to_path(str(self.folder / f"{name}.crt"))
        (self.folder / "audit-policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY))
        self._admin = self._issue("admin", ADMIN_GROUP)
        self._tls = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        with self._admin.private_key_and_cert_chain_pem.tempfile() as path:
            self._tls.load_cert_chain(path)

    def _issue(self, user: str, group: str | None) -> trustme.LeafCert:
        # Without an identity the list of alternative names is empty and critical, which Go refuses.
        return self._ca.issue_cert("client.invalid", common_name=user, organization_name=group)

    def administrator(self) -> contextlib.AbstractContextManager[str]:
        """While it is open, the path of the administrator's key and certificate."""
        assert self._admin
        return self._admin.private_key_and_cert_chain_pem.tempfile()

    def user_kubeconfig(self, user: str, group: str | None = None, *, namespace: str = "default") -> Path:
        """A kubeconfig for this user, member of this group, who may do what RBAC lets them (at first nothing)."""
        path = self.folder / f"user-{quote(user, safe='')}.kubeconfig"
        self._write_kubeconfig(path, _certificate_user(self._issue(user, group)), namespace)
        return path

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token (of one hour) of this ServiceAccount, which must exist."""
        answer = self.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        )
        path = self.folder / f"serviceaccount-{namespace}-{name}.kubeconfig"
        self._write_kubeconfig(path, {"token": answer["status"]["token"]}, namespace)
        return path

    def _write_kubeconfig(self, path: Path, user: Mapping[str, str], namespace: str = "default") -> None:
        ca = self._ca.cert_pem.bytes()
        cluster = {"server": self.url, "certificate-authority-data": _base64(ca)}
        context = {"cluster": "control-plane", "user": "user", "namespace": namespace}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "control-plane", "cluster": cluster}],
            "users": [{"name": "user", "user": dict(user)}],
            "contexts": [{"name": "control-plane", "context": context}],
            "current-context": "control-plane",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document))

    # What is asked

    def request(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        content_type: str = "application/json",
        **query: str,
    ) -> Any:
        """One request as the administrator: the JSON that came back (text where it is none). Raises ApiError."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self._tls, timeout=30)
        with contextlib.closing(connection):
            target = f"{path}?{urlencode(query)}" if query else path
            headers = {"Content-Type": content_type} if body is not None else {}
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode()
        answer = json.loads(text) if response.headers.get_content_type() == "application/json" else text
        if response.status < 400:
            return answer
        status = answer if isinstance(answer, dict) else {"reason": response.reason, "message": text}
        raise ApiError(response.status, status.get("reason", response.reason), status.get("message", text))

    def resource_path(self, manifest: Manifest) -> str:
        """Where the object that a manifest describes is served. Raises LookupError for a kind that is not."""
        version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        prefix = _prefix(version)
        if (version, kind) not in self._kinds:
            with contextlib.suppress(ApiError):
                for resource in self.request("GET", prefix)["resources"]:
                    if "/" not in resource["name"]:
                        key = (version, resource["kind"])
                        self._kinds[key] = (resource["name"], resource["namespaced"])
        try:
            plural, namespaced = self._kinds[version, kind]
        except KeyError:
            raise LookupError(f"the API server serves no {kind} of {version}") from None
        scope = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{prefix}{scope}/{plural}/{metadata['name']}"

    def apply(self, *manifests: Manifest, manager: str = "kubectl") -> list[Any]:
        """Server-side apply each manifest, in order; the objects as they are now. Raises ApiError, LookupError."""
        return [
            self.request(
                "PATCH",
                self.resource_path(manifest),
                manifest,
                content_type="application/apply-patch+yaml",
                fieldManager=manager,
                force="true",
                fieldValidation="Strict",
            )
            for manifest in manifests
        ]

    def apply_yaml(self, text: str, *, namespace: str | None = None, manager: str = "kubectl") -> list[Any]:
        """`apply` for a YAML text of one or more documents; `namespace` is put into those that name none."""
        manifests = [document for document in yaml.safe_load_all(text) if document]
        for manifest in manifests:
            if namespace:
                manifest["metadata"].setdefault("namespace", namespace)
        return self.apply(*manifests, manager=manager)

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Any:
        """The object, or None where there is none."""
        manifest = {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"namespace": namespace, "name": name},
        }
        try:
            return self.request("GET", self.resource_path(manifest))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def install_crds(self, folder: Path) -> list[str]:
        """Apply every CRD of the folder's YAML files and wait until each is served; their names."""
        names = []
        for path in sorted(folder.glob("*.yaml")):
            names += [crd["metadata"]["name"] for crd in self.apply_yaml(path.read_text())]
        if not names:
            raise FileNotFoundError(f"{folder} has no *.yaml with a CustomResourceDefinition")
        deadline = time.monotonic() + READY_TIMEOUT
        for name in names:
            while not self._served(name):
                if time.monotonic() > deadline:
                    raise ControlPlaneError(f"{name} is not established after {READY_TIMEOUT:.0f} s")
                time.sleep(0.02)
        return names

    def _served(self, crd_name: str) -> bool:
        crd = self.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd_name}")
        spec = crd["spec"]
        for version in spec["versions"]:
            try:
                self.request("GET", f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}")
            except ApiError:
                return False
        conditions = {each["type"]: each["status"] for each in crd.get("status", {}).get("conditions", [])}
        return conditions.get("Established") == "True"

    def create_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        metadata = {"name": name, "labels": dict(labels or {})}
        self.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        return name

    def delete_namespace(self, name: str) -> None:
        """Delete the namespace and all that is in it, as the namespace controller of a whole cluster would."""
        path = f"/api/v1/namespaces/{name}"
        self.request("DELETE", path)
        for collection in self._namespaced_collections(name):
            with contextlib.suppress(ApiError):  # a kind that went meanwhile
                self.request("DELETE", collection)
        with contextlib.suppress(ApiError):
            namespace = self.request("GET", path)
            self.request("PUT", f"{path}/finalize", {**namespace, "spec": {"finalizers": []}})

    def _namespaced_collections(self, namespace: str) -> Iterator[str]:
        groups = self.request("GET", "/apis")["groups"]
        for version in ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]:
            for resource in self.request("GET", _prefix(version))["resources"]:
                if resource["namespaced"] and "deletecollection" in resource["verbs"]:
                    yield f"{_prefix(version)}/namespaces/{namespace}/{resource['name']}"

    def audit_events(self) -> list[dict[str, Any]]:
        """Every finished request since the start (audit.k8s.io/v1 Event): `verb`, `user`, `objectRef`, …"""
        if not self.audit_log.exists():
            return []
        return [json.loads(line) for line in self.audit_log.read_text().splitlines()]


def assets() -> Path:
    """The folder with etcd and kube-apiserver; they are built where they are missing, which takes minutes."""
    script = CHECKOUT / "scripts" / "kube-assets"
    run = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        raise ControlPlaneError(f"{script} failed: its messages are above")
    return Path(run.stdout.splitlines()[-1])


def _prefix(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _certificate_user(pair: trustme.LeafCert) -> dict[str, str]:
    return {
        "client-certificate-data": _base64(pair.cert_chain_pems[0].bytes()),
        "client-key-data": _base64(pair.private_key_pem.bytes()),
    }


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _end(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one must not stop the cleaning up
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(0 if number == signal.SIGINT else 128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev-apiserver", description="Run a Kubernetes API server until Ctrl-C.")
    parser.add_argument("--port", type=int, help="the API server's port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--data", type=Path, help="keep the data in this folder (default: a temporary one)")
    parser.add_argument("--crds", type=Path, default=CHECKOUT / "deploy" / "crds", help="CRDs to install")
    arguments = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _end)
    began = time.monotonic()
    try:
        with ControlPlane(arguments.data, port=arguments.port) as control_plane:
            names = control_plane.install_crds(arguments.crds)
            print(f"ready in {time.monotonic() - began:.1f} s, serves {', '.join(names)}; Ctrl-C ends it")
            print(f"export KUBECONFIG={control_plane.kubeconfig}", flush=True)
            signal.pause()
    except (ControlPlaneError, FileNotFoundError) as error:
        print(f"dev-apiserver: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
