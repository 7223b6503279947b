"""What the tests of the package share: the wheel in an environment of its own, without a way to the network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

NO_NETWORK = """
import ipaddress, socket

def refuse(connect):
    def checked(self, address, *rest):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise OSError("no network in this test: " + host)
        return connect(self, address, *rest)
    return checked

socket.socket.connect = refuse(socket.socket.connect)
socket.socket.connect_ex = refuse(socket.socket.connect_ex)
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it.

    Attributes:
        wheel: the file that was installed.
        folder: the environment's.
        environment: variables for what runs in it: no checkout, no data set, an empty ODITS_HOME.
    """

    wheel: Path
    folder: Path
    environment: dict[str, str]

    @property
    def command(self) -> Path:
        return self.folder / "bin" / "odits"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder that is not the checkout."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )


def install_wheel(folder: Path) -> Installed:
    """Build the wheel from the checkout and install it; its requirements are those of the running environment."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), "."]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    place = folder / "environment"
    venv.create(place, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(wheel)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "sitecustomize.py").write_text(NO_NETWORK)
    hidden = ("PYTHONPATH", "ODITS_DATA", "HF_HUB_OFFLINE", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    home = folder / "home"
    home.mkdir()
    environment |= {"ODITS_HOME": str(home), "PYTHONNOUSERSITE": "1"}
    return Installed(wheel, place, environment)
