"""What strangers wrote is shown as it is: no name, line or metric of theirs becomes markup, hides, or turns around."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ARTIFACTS, Market
from tests.browser.wishes import clouds

pytestmark = pytest.mark.browser
NAME = "<img src=x onerror=\"document.title='taken'\"> \u202eemag\u202c <script>document.title='taken'</script>"
LINE = "<svg onload=\"document.title='taken'\"> \x1b]0;taken\x07\x1b[31mred\x1b[0m \u202efdp.exe"


def test_a_hostile_job_is_shown_as_text_everywhere(market: Market, let_in: Any, tmp_path: Path) -> None:
    market.until_paid()
    job_id = market.client.submit(clouds(tmp_path, NAME, before=f"print({LINE!r})"))
    watched = let_in(viewport={"width": 1280, "height": 900})
    page: Page = watched.page
    link = page.locator(f"a[href='/jobs/{job_id}']")
    expect(link).to_contain_text("<img src=x onerror=")
    expect(link).to_contain_text("⟨202E⟩emag")
    link.click()
    expect(page.locator("h1")).to_contain_text("<script>")
    page.locator(".now.good").wait_for()
    output = page.locator("#output pre")
    expect(output).to_contain_text("<svg onload=")
    assert not set("\x1b\x07\u202e") & set(output.inner_text()), (
        "a terminal's orders and what turns text around are gone"
    )
    page.screenshot(path=ARTIFACTS / "hostile.png", full_page=True)
    assert page.locator("main img, main script, main svg[onload]").count() == 0
    assert "taken" not in page.title().replace("document.title='taken'", "")
    watched.check()
