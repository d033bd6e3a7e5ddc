"""What users install is whole, and holds nothing else."""

import json
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("contracts", "node", "protocol", "sim")
NOT_SHIPPED = {"node_modules", "test", "tests", "src", "checks", "proofs", "out", "cache", "__pycache__", ".dev"}


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist as an index would have it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    run("tar", "-xzf", sdist, "-C", folder)
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        folder,
        cwd=folder / sdist.name[: -len(".tar.gz")],
    )
    (built,) = folder.glob("*.whl")
    return built


def fetched() -> set[str]:
    """The files of the web page that set-up takes from npm: not in the repository, but in the wheel."""
    web = ROOT / "node" / "web"
    packages = json.loads((web / "package.json").read_text())
    files = [file for name in packages["dependencies"] for file in packages["fetched"][name]["files"].values()]
    return {f"morphware/node/web/static/vendor/{file}" for file in [*files, "fetched.json"]}


def tracked(folder: str) -> set[str]:
    """Our own files below a shipped folder, by the name they have in the wheel."""
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", folder, cwd=ROOT).split("\n")
    return {f"morphware/{file}" for file in files if file and not NOT_SHIPPED & set(Path(file).parts[:-1])}


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {"morphware/__init__.py", "morphware/py.typed"}.union(
        fetched(), *(tracked(folder) for folder in SHIPPED)
    )
    if (ROOT / ".git").exists():
        assert names == expected
    assert not {part for name in names for part in Path(name).parts} & NOT_SHIPPED


def test_the_wheel_carries_what_is_no_python(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "morphware/contracts/artifacts/Market.json",
        "morphware/contracts/artifacts/MorphwareToken.json",
        "morphware/node/examples/digits/train.py",
        "morphware/node/examples/tabular/train.ipynb",
        "morphware/node/runner/launcher/launch.py",
    } <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_an_installed_wheel_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    # The dependencies are those of this environment; its own morphware is an editable .pth, which a path entry of
    # another environment does not follow.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    modules = [
        "morphware.protocol.market",
        "morphware.contracts.loader",
        "morphware.node.ports",
        "morphware.node.engine",
        "morphware.node.artifacts.session",
        "morphware.node.chain.rpc",
        "morphware.node.gossip.service",
        "morphware.node.runner.runner",
        "morphware.node.config_text",
    ]
    program = f"import morphware, {', '.join(modules)}; morphware.log(step=1, loss=0.5); print(morphware.__file__)"
    assert run(python, "-W", "ignore", "-c", program, cwd=tmp_path).strip() == str(site / "morphware" / "__init__.py")
    assert "testnet" in run(environment / "bin" / "morphware", "--help", cwd=tmp_path)


def test_everything_that_we_depend_on_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = {requirement.partition(">")[0].partition("=")[0].partition("[")[0] for requirement in wanted}
    assert names <= pins
    assert "torch" in pins
