"""The page's files as they are sent: whole, compressed, again only when they changed, and nothing beside them."""

import ast
import base64
import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from starlette.applications import Starlette

from morphware.node.api.guard import content_security_policy
from morphware.node.web.pages import FOLDER, SHELL, VENDORED, Pages, load_pages

PACKAGES = json.loads((FOLDER.parent / "package.json").read_text())
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    """Our own files with a stand-in for those that set-up fetches."""
    folder = tmp_path / "static"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("vendor"))
    (folder / "vendor").mkdir()
    (folder / VENDORED).write_text("{}")
    return load_pages(folder)


async def ask(pages: Pages, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=pages.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
        return await http.get(path, headers=headers)


@pytest.mark.parametrize("path", ["/", "/jobs", f"/jobs/{'ab' * 32}", "/submit", "/operator", "/network", "/wallet"])
async def test_each_of_the_pages_addresses_is_answered_with_the_shell(pages: Pages, path: str) -> None:
    response = await ask(pages, path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.content == (FOLDER / SHELL).read_bytes()


async def test_without_the_parts_by_others_the_shell_says_what_to_do(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "static", ignore=shutil.ignore_patterns("vendor"))
    response = await ask(load_pages(tmp_path / "static"), "/")
    assert response.status_code == 503
    assert "make setup" in response.text


async def test_a_file_is_compressed_and_not_sent_again_while_it_is_the_same(pages: Pages) -> None:
    first = await ask(pages, "/static/app.js", **{"accept-encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    assert first.content == (FOLDER / "app.js").read_bytes()
    packed = pages.files["app.js"].packed
    assert packed is not None
    assert gzip.decompress(packed) == first.content
    plain = await ask(pages, "/static/app.js", **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == first.content
    again = await ask(pages, "/static/app.js", **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["pages.py", "../pages.py", "..%2fpages.py", "%2e%2e/package.json", "", "vendor", "app.js/"]
)
async def test_nothing_but_the_pages_files_is_sent(pages: Pages, path: str) -> None:
    response = await ask(pages, f"/static/{path}")
    assert response.status_code == 404


def test_the_policy_allows_the_shells_inline_scripts_by_their_hash_and_no_other(pages: Pages) -> None:
    scripts = re.findall(rb"<script([^>]*)>(.*?)</script>", (FOLDER / SHELL).read_bytes(), re.DOTALL)
    inline = [text for attributes, text in scripts if b"src=" not in attributes]
    assert len(inline) == 1, "the import map"
    assert pages.script_hashes == ["sha256-" + base64.b64encode(hashlib.sha256(inline[0]).digest()).decode()]
    policy = content_security_policy(pages.script_hashes)
    assert f"script-src 'self' '{pages.script_hashes[0]}'" in policy
    assert "unsafe" not in policy


def test_the_shell_has_no_inline_style_and_no_inline_handler() -> None:
    shell = (FOLDER / SHELL).read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", shell)


OWN = sorted(path for path in FOLDER.glob("*.js"))


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_script_sets_markup_or_asks_another_place(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|eval\(", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text), "the page works without the internet"
    mapped = json.loads(re.findall(r"importmap\">(.*?)</script>", (FOLDER / SHELL).read_text(), re.DOTALL)[0])[
        "imports"
    ]
    for imported in re.findall(r"""^(?:import|export) [^;]*?from "([^"]+)";|import\("([^"]+)"\)""", text, re.MULTILINE):
        [name] = filter(None, imported)
        assert name in mapped or (FOLDER / name.removeprefix("/static/")).is_file(), name


def test_what_the_first_page_needs_is_asked_for_at_once() -> None:
    """The shell names each module that is imported at the start: a browser would find them one after another."""
    named = set(re.findall(r'modulepreload" href="/static/([^"]+)"', (FOLDER / SHELL).read_text())) | {"app.js"}
    needed, look = set(), ["app.js"]
    while look:
        name = look.pop()
        needed.add(name)
        found = re.findall(r'^import [^;]*?from "/static/([^"]+)"', (FOLDER / name).read_text(), re.MULTILINE)
        found += re.findall(r'^export [^;]*?from "/static/([^"]+)"', (FOLDER / name).read_text(), re.MULTILINE)
        look += [each for each in found if each not in needed]
    assert needed <= named


def test_every_package_that_is_fetched_is_pinned_to_a_version_and_to_a_hash() -> None:
    versions = PACKAGES["dependencies"] | PACKAGES["devDependencies"]
    assert set(versions) == set(PACKAGES["fetched"])
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    for package in PACKAGES["fetched"].values():
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"])


def test_the_files_by_others_come_with_their_licences() -> None:
    for name in PACKAGES["dependencies"]:
        files = PACKAGES["fetched"][name]["files"]
        assert any(target.endswith(".license.txt") for target in files.values()), name


def test_every_kind_of_notice_that_the_node_tells_is_listened_for() -> None:
    """A browser's stream is silent about kinds that nobody named to it."""
    told = set()
    for path in (ROOT / "node").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("feed.say"):
                told |= {each.value for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant)}
    [listed] = re.findall(r"const KINDS = \[(.*?)\]", (FOLDER / "events.js").read_text(), re.DOTALL)
    assert {"account", "frozen", "paused", "transfer"} <= told
    assert told <= set(re.findall(r'"(\w+)"', listed))


@pytest.fixture
def fetch_web() -> ModuleType:
    """The script, which has no ending that says what it is."""
    loader = SourceFileLoader("fetch_web", str(ROOT / "scripts" / "fetch_web"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_a_file_that_a_package_has_not_is_named(fetch_web: ModuleType, tmp_path: Path) -> None:
    archive = tmp_path / "package.tgz"
    with tarfile.open(archive, "w:gz") as made:
        info = tarfile.TarInfo("package/there.js")
        info.size = 2
        made.addfile(info, io.BytesIO(b"()"))
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    package = {"integrity": integrity, "files": {"there.js": "here.js"}}
    assert fetch_web.take_out(archive, "made-up", package) == {"here.js": b"()"}
    with pytest.raises(SystemExit, match=r"made-up has no file gone\.js"):
        fetch_web.take_out(archive, "made-up", {"integrity": integrity, "files": {"gone.js": "here.js"}})
