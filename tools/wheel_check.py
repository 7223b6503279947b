"""Build the package, install it with all it needs into an empty environment elsewhere, cut the network and use it.

The requirements come from the package index as for anybody; only then the network is cut, by a network namespace where
the system allows one, else by a proxy that does not answer. Words and objects of a picture are asked for, and the
explorer is started and each of its pages run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PORT = 8599
OPEN_PAGES = """
import sys
from pathlib import Path
from odits.core.files import app_folder
from streamlit.testing.v1 import AppTest
sys.path.insert(0, str(app_folder()))
for page in sorted(app_folder().glob("pages/*.py")):
    if page.stem == "__init__":
        continue
    app = AppTest.from_file(str(page), default_timeout=300).run()
    problems = [item.value for item in (*app.exception, *app.error)]
    print(page.stem, problems or "opens", flush=True)
    if problems:
        sys.exit(1)
"""


def build_and_install(folder: Path, constraints: list[str]) -> Path:
    """Build the wheel and install it into a new environment.

    Args:
        folder: where the environment is made.
        constraints: further arguments for pip.

    Returns:
        The environment's folder of programs.
    """
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(ROOT)], check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    place = folder / "environment"
    venv.create(place, with_pip=True)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([str(programs / "python"), "-m", "pip", "install", "-q", *constraints, str(wheel)], check=True)
    return programs


def without_network(arguments: list[str]) -> None:
    """Start this program again in a network namespace that has nothing but its own loopback, where that can be had."""
    inner = " && ".join(["ip link set lo up", 'exec "$@"'])
    command = ["unshare", "--net", "--map-root-user", "sh", "-c", inner, "sh", sys.executable, __file__, *arguments]
    if shutil.which("unshare") and shutil.which("ip"):
        trial = subprocess.run(["unshare", "--net", "--map-root-user", "ip", "link", "set", "lo", "up"], check=False)
        if trial.returncode == 0:
            sys.exit(subprocess.run(command, check=False).returncode)
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "localhost,127.0.0.1"}
    sys.exit(subprocess.run([sys.executable, __file__, *arguments], env=environment, check=False).returncode)


def use(programs: Path, folder: Path) -> None:
    """Use the installed package as somebody would who has one picture and no network."""
    hidden = ("PYTHONPATH", "ODITS_DATA", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["ODITS_HOME"] = str(folder / "home")
    picture = folder / "street.jpg"
    shutil.copy(ROOT / "assets" / "demo" / "cafe.jpg", picture)

    def ask(*command: str) -> list[dict[str, object]]:
        done = subprocess.run(
            [str(programs / "odits"), *command], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE
        )
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found

    (words,) = ask("words", str(picture), "--json")
    print("words:", words["words"])
    (objects,) = ask("objects", str(picture), "--json")
    print("objects:", len(objects["objects"]))  # type: ignore[arg-type]
    command = [str(programs / "odits"), "app", "--port", str(PORT), "--server.headless=true"]
    server = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        wait_for(f"http://localhost:{PORT}/_stcore/health", server)
        print("the explorer answers")
    finally:
        server.terminate()
        server.wait(timeout=60)
    subprocess.run([str(programs / "python"), "-c", OPEN_PAGES], cwd=folder, env=environment, check=True)


def wait_for(address: str, server: subprocess.Popen[bytes], limit_s: float = 120) -> None:
    """Wait until an address answers.

    Raises:
        SystemExit: the server ended, or the time is over.
    """
    end = time.monotonic() + limit_s
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.3)
    raise SystemExit("The explorer did not start.")


def main() -> None:
    """Build, install, cut the network, and use."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--use", nargs=2, metavar=("PROGRAMS", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("pip", nargs="*", help="further arguments for pip install, after --")
    options = parser.parse_args()
    if options.use:
        use(Path(options.use[0]), Path(options.use[1]))
        print("The wheel works.")
        return
    with tempfile.TemporaryDirectory(prefix="odits-wheel-") as name:
        folder = Path(name)
        programs = build_and_install(folder, options.pip)
        without_network(["--use", str(programs), str(folder)])


if __name__ == "__main__":
    main()
