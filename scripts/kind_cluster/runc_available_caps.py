"""An OCI runtime: runc, asked for no capability that this machine does not have.

kind starts its nodes with --privileged. Where the machine itself lacks a capability (a container, a sandbox, a small
virtual machine; most often CAP_SYS_RESOURCE), runc then fails with "unable to apply caps: operation not permitted".
dockerd runs this file instead of runc, with runc's arguments.
"""

import json
import os
import shutil
import sys

# By number, from linux/capability.h.
CAPABILITIES = (  # noqa: SIM905
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
    "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()


def available() -> set[str]:
    """The capabilities of this process' bounding set, as `CAP_…`."""
    with open("/proc/self/status") as status:
        bounding = next(line for line in status if line.startswith("CapBnd:"))
    bits = int(bounding.split()[1], 16)
    return {f"CAP_{name}" for number, name in enumerate(CAPABILITIES) if bits >> number & 1}


def lacks_any() -> bool:
    """Whether runc alone would fail to start a privileged container here."""
    return len(available()) < len(CAPABILITIES)


def restrict(path: str) -> None:
    """Rewrite an OCI configuration (of a container, or of a process to be started in one)."""
    with open(path) as file:
        specification = json.load(file)
    process = specification.get("process", specification)
    allowed = available()
    for kind, names in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in names if name in allowed]
    with open(path, "w") as file:
        json.dump(specification, file)


def main() -> None:
    arguments = sys.argv[1:]
    if "--process" in arguments:  # runc exec
        restrict(arguments[arguments.index("--process") + 1])
    elif "create" in arguments and "--bundle" in arguments:
        restrict(f"{arguments[arguments.index('--bundle') + 1]}/config.json")
    runc = shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") or "runc"
    os.execvp(runc, ["runc", *arguments])


if __name__ == "__main__":
    main()
