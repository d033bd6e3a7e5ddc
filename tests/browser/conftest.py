"""A market of real node processes, and Debian's Chromium to look at its end user's page."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

from morphware.node.client import Client
from morphware.node.errors import MorphwareError
from tests.e2e.processes import Started, started

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "tests" / "artifacts" / "browser"
AXE = ROOT / ".cache" / "browser" / "axe.min.js"
CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 120_000
"""Far more than anything takes here: a busy machine must not fail a test."""
NOTE_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
        window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
    });
"""


expect.set_options(timeout=PATIENCE_MS)
ARTIFACTS.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Market:
    """A running testnet, and the client of its end user's node."""

    program: Started
    folder: Path
    client: Client

    @cached_property
    def origin(self) -> str:
        """Where the end user's page is; the node is asked once, as each answer is a link of its own."""
        return self.client.link().rpartition("/open")[0]

    def first_job(self) -> str:
        """The id of the testnet's own job, once it is known."""
        return str(self.program.until(self._jobs)[0].job_id)

    def until_paid(self) -> None:
        """Wait until the testnet's own job is paid."""
        self.program.until(lambda: any(job.outcome == "PAID" for job in self._jobs()))

    def _jobs(self) -> list[Any]:
        try:
            return self.client.all_jobs()
        except MorphwareError:
            return []


@pytest.fixture(scope="package")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """The demonstration's market, with its job on the way, open until the tests end."""
    folder = tmp_path_factory.mktemp("browser")
    arguments = ("testnet", "--job", "digits", "--keep", "--json", "--folder", folder / "net")
    with started(folder, *arguments) as program:
        user = folder / "net" / "nodes" / "user-1"
        market = Market(program, folder / "net", Client(user))

        def is_served() -> bool:
            try:
                return bool(market.client.link())
            except MorphwareError:
                return False

        program.until(is_served)
        yield market


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium; as root it cannot have its sandbox."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page of the browser, with everything that went wrong on it."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note console errors, exceptions, and failed requests from now on."""
        self.page.add_init_script(NOTE_VIOLATIONS)
        self.page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        self.page.on("console", self._note_console)
        self.page.on("response", self._note_response)
        self.page.set_default_timeout(PATIENCE_MS)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(f"console: {message.text}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} from {response.url}")

    def check(self) -> None:
        """Nothing went wrong so far."""
        assert self.errors == []
        assert self.page.evaluate("window.violations") == []


@pytest.fixture
def let_in(market: Market, browser: Browser) -> Iterator[Any]:
    """Makes contexts of the browser that were let in by a link of their own, to the end user's page or another's."""
    contexts: list[BrowserContext] = []

    def make(node: str = "user-1", **options: Any) -> Watched:
        context = browser.new_context(**options)
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.watch()
        watched.page.goto(Client(market.folder / "nodes" / node).link())
        watched.page.get_by_role("heading", name="Jobs", level=1).wait_for()
        return watched

    yield make
    for context in contexts:
        context.close()


def serious_faults(page: Page) -> list[str]:
    """What axe finds on the page that is serious or critical, in words."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['impact']} {each['id']}: {each['help']} ({json.dumps([node['target'] for node in each['nodes'][:4]])})"
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
