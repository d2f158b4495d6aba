"""The command `sse-gateway`: its sub-commands, its help, its exit codes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sse_operator.command import SUB_COMMANDS
from unit.local.manifest_files import sse_api, write


def sse_gateway(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sse_operator.command", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("command", SUB_COMMANDS)
def test_every_flag_has_help(command: str) -> None:
    done = sse_gateway(command, "--help")
    assert done.returncode == 0, done.stderr
    options = done.stdout.partition("options:\n")[2]
    flags = [line for line in options.splitlines() if line.startswith("  -")]
    assert flags
    for number, line in enumerate(flags):
        told = options.splitlines()[options.splitlines().index(line) + 1 :][:1]
        assert "  " in line.strip() or (told and told[0].startswith(" " * 20)), f"{command}: flag {number}: {line}"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "sse-gateway: the following arguments are required: COMMAND (see sse-gateway --help)\n"),
        (["validate"], "sse-gateway validate: the following arguments are required: -f/--file"),
        (["run", "-f", "x", "--listen", "eighty"], "eighty is no address: write host:port, such as 127.0.0.1:8080"),
        (["run", "-f", "x", "--gateway", "prod"], "prod is not NAMESPACE/NAME"),
        (["run", "-f", "-"], "standard input has no changes to follow"),
        (["demo-source", "--keep-alive", "60"], "must be a duration with units such as 70s"),
        (["demo-source", "--user", "demo"], "must be USER:PASSWORD"),
        (["demo-source", "--lis", ":1"], "sse-gateway demo-source: unrecognized arguments: --lis :1"),
        (["serve"], "invalid choice: 'serve'"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], told: str) -> None:
    done = sse_gateway(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_version() -> None:
    done = sse_gateway("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("sse-gateway ")


def test_the_operator_without_its_extra() -> None:
    code = (
        "import sys\nsys.modules['kopf'] = sys.modules['kubernetes'] = None\n"
        "from sse_operator.command import main\nsys.exit(main(['operator']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "pip install 'sse-gateway[operator]'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("kubeconfig", [None, "{", "kind: Config"])
def test_the_operator_without_a_login(kubeconfig: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kubeconfig"
    if kubeconfig is not None:
        file.write_text(kubeconfig)
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    done = sse_gateway("operator")
    assert done.returncode == 1
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["level"], last["message"].partition(":")[0]) == ("error", "ending")
    assert "no way to log in" in last["message"]


def test_only_what_a_sub_command_needs_is_imported() -> None:
    code = (
        "import sys\nfrom sse_operator.command import main\n"
        "try:\n    main(['validate', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('kopf', 'kubernetes', 'aiohttp') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == "[]\n"


def test_validate_reads_standard_input() -> None:
    done = sse_gateway("validate", "-f", "-", stdin=sse_api("ably", "sse"))
    assert done.returncode == 1
    assert done.stdout == "<stdin>:6: SseApi/ably: spec.contextPath: must start with /\n"


def test_validate_of_good_files(tmp_path: Path) -> None:
    done = sse_gateway("validate", "-f", write(tmp_path / "a.yaml", sse_api()))
    assert (done.returncode, done.stdout, done.stderr) == (0, "valid: 1 SseApi and 0 SseGateways\n", "")


def test_a_reader_that_goes_is_no_traceback(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", *(sse_api(f"api-{number}", "no-slash") for number in range(2000)))
    command = [sys.executable, "-m", "sse_operator.command", "validate", "-f", file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 128 + signal.SIGPIPE
