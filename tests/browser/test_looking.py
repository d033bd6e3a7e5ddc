"""What a person sees of a live market: the job as it goes, every page in both themes and two widths, and its size."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, ViewportSize, expect

from morphware.node.errors import ExitStatus
from tests.browser.conftest import ARTIFACTS, PATIENCE_MS, Market, serious_faults
from tests.browser.wishes import clouds
from tests.e2e.processes import finish

pytestmark = pytest.mark.browser
FIRST_LOAD_BYTES_MOST = 300_000
LOADS = 5
"""The quickest of so many counts: what else this machine does is not the page's."""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')"
SCREENS: dict[str, ViewportSize] = {"1280": {"width": 1280, "height": 900}, "390": {"width": 390, "height": 844}}


def test_a_browser_that_was_not_let_in_is_told_how_to_get_in(market: Market, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(market.origin + "/jobs")
    page.get_by_role("heading", name="This page is locked").wait_for()
    assert page.get_by_text("morphware dashboard", exact=True).is_visible()
    assert page.request.get(market.origin + "/api/v1/status").status == 401
    assert serious_faults(page) == []
    context.close()


def test_the_command_prints_a_link_that_lets_one_browser_in_once(market: Market, browser: Browser) -> None:
    printed = finish("dashboard", "--no-browser", "--json", "--data-folder", market.client.data_folder)
    assert printed.returncode == ExitStatus.SUCCESS, printed.stderr
    told = json.loads(printed.stdout)
    assert told["is_opened"] is False
    for title in ("Jobs", "This page is locked"):
        context = browser.new_context()
        page = context.new_page()
        page.goto(told["url"])
        page.get_by_role("heading", name=title, level=1).wait_for(timeout=PATIENCE_MS)
        context.close()


def test_a_browser_whose_cookie_is_gone_is_told_how_to_get_in_again(let_in: Any) -> None:
    page: Page = let_in(viewport=SCREENS["390"]).page
    page.context.clear_cookies()
    page.get_by_role("link", name="Wallet").click()
    page.get_by_role("heading", name="This page is locked").wait_for()
    assert page.get_by_text("morphware dashboard", exact=True).is_visible()


def test_a_job_is_followed_live_to_its_end(market: Market, let_in: Any, tmp_path: Path) -> None:
    """From the list to PAID on one page that is never reloaded: the curve grows, and the model is there at the end."""
    market.until_paid()
    watched = let_in(viewport=SCREENS["1280"])
    page: Page = watched.page
    slow = "import time; time.sleep(1)"
    job_id = market.client.submit(clouds(tmp_path, "Clouds that take their time", each=slow))
    page.locator(f"a[href='/jobs/{job_id}']").click()
    expect(page.locator("h1")).to_have_text("Clouds that take their time")
    value = page.locator("#curves .legend-value small").first
    value.wait_for()
    steps = set()
    while not page.locator(".now.good, .now.ended").is_visible():
        steps.add(_step(value.inner_text()))
        page.wait_for_timeout(300)
    steps.add(_step(value.inner_text()))
    expect(page.locator(".now")).to_have_class(re.compile(r"\bgood\b"))
    assert len(steps) >= 2, "the curve grew while it was looked at"
    assert "paid" in page.locator(".now-reason").inner_text().lower()
    assert page.get_by_role("link", name="Model").is_visible()
    page.locator("#auction svg").wait_for()
    assert page.locator("#auction .row.winner").count() == 1
    assert page.locator("#committee .row.report").count() == 5
    expect(page.locator("#timeline")).to_contain_text("Verdict PASS")
    expect(page.locator("#timeline")).to_contain_text("Closed.")
    page.screenshot(path=ARTIFACTS / "followed.png", full_page=True)
    watched.check()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", SCREENS)
def test_every_page_is_sound(market: Market, let_in: Any, theme: str, width: str) -> None:
    """No error, nothing that the policy forbids, nothing wider than the screen, nothing that axe finds serious."""
    market.until_paid()
    job_id = market.first_job()
    watched = let_in(viewport=SCREENS[width], color_scheme=theme)
    page: Page = watched.page
    faults = {}
    for name, path in {
        "jobs": "/jobs",
        "job": f"/jobs/{job_id}",
        "submit": "/submit",
        "operator": "/operator",
        "network": "/network",
        "wallet": "/wallet",
        "nowhere": "/nowhere",
    }.items():
        if name == "nowhere":
            page.evaluate("history.pushState(null, '', '/nowhere'); dispatchEvent(new PopStateEvent('popstate'))")
        else:
            page.goto(market.origin + path)
        page.locator("main h1").wait_for()
        page.locator(".waiting").first.wait_for(state="detached")
        page.wait_for_function("document.fonts.ready.then(() => true)")
        page.wait_for_timeout(700)  # charts are drawn when their frame has its width
        page.screenshot(path=ARTIFACTS / f"{name}-{theme}-{width}.png", full_page=True)
        if name == "job":  # docs/page.png is the light and wide one
            page.set_viewport_size({"width": SCREENS[width]["width"], "height": 1200})
            page.screenshot(path=ARTIFACTS / f"readme-{theme}-{width}.png")
            page.set_viewport_size(SCREENS[width])
        faults[name] = serious_faults(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults[name].append("wider than the screen")
    assert {name: found for name, found in faults.items() if found} == {}
    watched.check()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", SCREENS)
def test_a_worker_is_paused_with_one_click_and_its_offers_are_changed_in_place(
    market: Market, let_in: Any, theme: str, width: str
) -> None:
    watched = let_in("worker-1", viewport=SCREENS[width], color_scheme=theme)
    page: Page = watched.page
    page.get_by_role("link", name="Operator").click()
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".available .big-number")).to_have_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".available .big-number")).not_to_have_text("Paused")
    page.locator(".waiting").first.wait_for(state="detached")
    price = page.get_by_label("Price per hour")
    before = price.input_value()
    offer = page.locator("form.offer").filter(has=price)
    price.fill("dear")
    offer.get_by_role("button", name="Save").click()
    expect(offer.locator(".field-problem")).to_be_visible()
    price.fill("7.5")
    offer.get_by_role("button", name="Save").click()
    offer.get_by_role("button", name="Go back to the configuration").click()
    expect(price).to_have_value(before)
    page.screenshot(path=ARTIFACTS / f"worker-{theme}-{width}.png", full_page=True)
    assert serious_faults(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert [error for error in watched.errors if not error.startswith("400 ")] == []
    assert page.evaluate("window.violations") == []


def test_the_first_load_is_small(market: Market, browser: Browser, let_in: Any) -> None:
    state = let_in(viewport=SCREENS["1280"]).page.context.storage_state()
    drawn_ms = []
    sizes: dict[str, int] = {}
    for _ in range(LOADS):
        context = browser.new_context(viewport=SCREENS["1280"], storage_state=state)  # with nothing in its cache
        page = context.new_page()
        finished = _finished(page)
        page.goto(market.origin + "/")
        page.locator("h1").wait_for(timeout=PATIENCE_MS)
        page.wait_for_load_state()
        page.wait_for_function(f"{FIRST_PAINT}.length", timeout=PATIENCE_MS)
        drawn_ms.append(page.evaluate(f"{FIRST_PAINT}[0].startTime"))
        sizes = {
            each.url.removeprefix(market.origin): sum(
                each.sizes()[part] for part in ("responseBodySize", "responseHeadersSize")
            )
            for each in finished
            if "/events" not in each.url
        }
        context.close()
    # how quickly is kept beside the pictures: other work on the machine must not fail a test
    (ARTIFACTS / "first-load.json").write_text(
        json.dumps({"bytes": sum(sizes.values()), "drawn_ms": sorted(map(round, drawn_ms)), "files": sizes}, indent=1)
    )
    assert {"/", "/static/app.css", "/static/app.js", "/static/vendor/preact.js", "/api/v1/status"} <= set(sizes)
    assert sizes["/static/vendor/preact.js"] > 2_000, "it came whole, out of no cache"
    assert sum(sizes.values()) < FIRST_LOAD_BYTES_MOST, sizes


def test_the_keyboard_reaches_the_content_and_every_page(let_in: Any) -> None:
    page: Page = let_in(viewport=SCREENS["1280"]).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('href')"))
    assert [to for to in reached if to] == ["/jobs", "/jobs", "/submit", "/operator", "/network", "/wallet", "/submit"]
    page.get_by_role("link", name="Wallet").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Wallet", level=1).wait_for()


def test_the_theme_is_chosen_and_kept(let_in: Any) -> None:
    page: Page = let_in(viewport=SCREENS["1280"], color_scheme="light").page
    ground = "getComputedStyle(document.body.parentElement).backgroundColor"
    light = page.evaluate(ground)
    for _ in range(2):
        page.get_by_role("button", name=re.compile("^Theme")).click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.get_by_role("heading", name="Jobs", level=1).wait_for()
    assert page.evaluate(ground) == dark


def _step(text: str) -> str:
    found = re.search(r"at (\S+)", text)
    return found[1] if found else ""


def _finished(page: Page) -> list[Request]:
    """Fills while the page loads."""
    finished: list[Request] = []

    def note(request: Request) -> None:
        finished.append(request)

    page.on("requestfinished", note)
    return finished
