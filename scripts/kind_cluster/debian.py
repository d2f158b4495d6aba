"""Debian as a source: packages for this machine, and root file systems for images."""

import os
import re
import shutil
from collections.abc import Sequence

from kind_cluster.progress import ClusterError, call, step

# What no image needs, 60 of 380 MB.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def install(programs: dict[str, str]) -> None:
    """Install the packages (values) of those programs (keys) that are not on this machine."""
    packages = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(f"missing here: {', '.join(packages)}. Install them, or run this as root on Debian")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {', '.join(packages)} from Debian's packages", "20 s"):
        call(["apt-get", "update", "-qq"], environment=environment)
        call(["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages], environment=environment)


def mirrors() -> list[str]:
    """The mirrors of Debian itself that this machine's apt is set to; empty means: the tools' own default."""
    if not shutil.which("apt-get"):
        return []
    told = call(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(COMPONENT)|$(SITE)", "Created-By: Packages"])
    sites = [line.split("|")[2] for line in told.splitlines() if re.match(r"Debian\|main\|", line)]
    return list(dict.fromkeys(site for site in sites if "security" not in site))[:1]


def root_file_system(suite: str, packages: Sequence[str]) -> list[str]:
    """The command that writes a minimal Debian with these packages, a tar, to its standard output."""
    install({"mmdebstrap": "mmdebstrap"})
    command = ["mmdebstrap", "--variant=minbase", "--quiet", f"--include={','.join(packages)}"]
    command += [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    return [*command, suite, "-", *mirrors()]
