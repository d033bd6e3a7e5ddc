"""What strangers wrote is shown as it is: no name, line or metric of theirs becomes markup, hides, or turns around."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from morphware.node.wishes import JobWish
from morphware.protocol.units import TOKEN, Wei
from tests.browser.conftest import ARTIFACTS, Market
from tests.e2e.market import JOBS, make_clouds

pytestmark = pytest.mark.browser
NAME = "<img src=x onerror=\"document.title='taken'\"> \u202eemag\u202c <script>document.title='taken'</script>"
LINE = "<svg onload=\"document.title='taken'\"> \x1b]0;taken\x07\x1b[31mred\x1b[0m \u202efdp.exe"


def test_a_hostile_job_is_shown_as_text_everywhere(market: Market, let_in: Any, tmp_path: Path) -> None:
    market.until_paid()
    train, test = make_clouds(tmp_path / "clouds")
    program = tmp_path / "train.py"
    source = (JOBS / "centroids" / "train.py").read_text()
    program.write_text(source.replace("    for step", f"    print({LINE!r})\n    for step", 1))
    wish = JobWish(
        program, train, test, "accuracy", 0.9, Wei(60 * TOKEN), name=NAME, estimated_s=10,
        training_s=90, testing_s=60, bidding_s=8, memory_bytes=512 << 20,
    )  # fmt: skip
    job_id = market.client.submit(wish)
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
    expect(output).to_contain_text("red ⟨202E⟩fdp.exe")
    page.screenshot(path=ARTIFACTS / "hostile.png", full_page=True)
    assert page.locator("main img, main script, main svg[onload]").count() == 0
    assert "taken" not in page.title().replace("document.title='taken'", "")
    watched.check()
