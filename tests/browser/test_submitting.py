"""A person's whole way: from a notebook on a disk through the page to a model that is paid, downloaded and loaded."""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trio
from playwright.sync_api import Page, expect

from morphware.node.ports import Limits
from morphware.node.runner.examples import ExampleJob, prepare_example
from morphware.node.runner.inspect import inspect_job
from morphware.node.runner.runner import SandboxRunner
from morphware.protocol.units import Address
from tests.browser.conftest import ARTIFACTS, Market, serious_faults

pytestmark = pytest.mark.browser
TESTING_S = 60


def test_a_notebook_is_submitted_and_its_model_is_downloaded_and_loaded(
    market: Market, let_in: Any, tmp_path: Path
) -> None:
    market.until_paid()
    example = prepare_example("tabular", tmp_path / "example", seed=3)
    watched = let_in(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page: Page = watched.page
    page.get_by_role("link", name="Submit", exact=True).click()
    _choose_files(page, example)
    assert serious_faults(page) == []
    page.screenshot(path=ARTIFACTS / "submit-terms.png", full_page=True)

    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#dry-run .result")).to_be_visible()
    _fill_terms(page)
    page.get_by_role("button", name="Review", exact=True).click()
    expect(page.locator("#review")).to_be_visible()
    assert serious_faults(page) == []
    page.screenshot(path=ARTIFACTS / "submit-review.png", full_page=True)

    page.get_by_role("button", name="Sign and post").click()
    page.wait_for_url("**/jobs/*")
    page.locator(".now.good").wait_for()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Model").click()
    archive = tmp_path / "model.zip"
    downloading.value.save_as(archive)
    model = tmp_path / "model"
    zipfile.ZipFile(archive).extractall(model)
    with ThreadPoolExecutor(1) as elsewhere:  # this thread's signals are Playwright's
        metric = elsewhere.submit(trio.run, _test, example, model, tmp_path).result()
    assert metric >= (example.config.threshold or 0)
    watched.check()


def test_wrong_input_is_answered_beside_its_field(market: Market, let_in: Any, tmp_path: Path) -> None:
    example = prepare_example("tabular", tmp_path / "example", seed=3)
    watched = let_in(viewport={"width": 1280, "height": 900})
    page: Page = watched.page
    page.goto(market.origin + "/submit")
    expect(page.get_by_role("button", name="Read the job")).to_be_disabled()
    _choose_files(page, example)
    for field, wrong, said in (
        ("reserve_wei", "much", "Give an amount of tokens"),
        ("threshold", "high", "Give a number"),
        ("seats", "4", "could tie"),
    ):
        page.locator(f"#{field}").fill(wrong)
        page.get_by_role("button", name="Review", exact=True).click()
        expect(page.locator(f"#{field}-problem")).to_contain_text(said)
        expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
        page.locator(f"#{field}").fill("5")
        expect(page.locator(f"#{field}-problem")).to_have_count(0)
    assert serious_faults(page) == []
    watched.check()


def _choose_files(page: Page, example: ExampleJob) -> None:
    page.locator("#program").wait_for(state="attached")
    page.set_input_files("#program-folder", example.code)
    page.set_input_files("#train-folder", example.train)
    page.set_input_files("#test-folder", example.test)
    page.get_by_role("button", name="Read the job").click()
    page.locator("#terms").wait_for()


def _fill_terms(page: Page) -> None:
    """As this market can take it: its blocks come every second, and nobody waits for a quarter of an hour."""
    page.locator("#reserve_wei").fill("60")
    page.get_by_text("Advanced", exact=True).click()
    for field, minutes in (("bidding_s", "0.15"), ("training_s", "2"), ("testing_s", "1")):
        page.locator(f"#{field}").fill(minutes)
    page.locator("#estimated_s").fill("0.4")


async def _test(example: ExampleJob, model: Path, folder: Path) -> float:
    """What the downloaded model reaches."""
    inspection = inspect_job(example.code / example.entry)
    scratch = folder / "scratch"
    scratch.mkdir()
    score = await SandboxRunner(scratch).evaluate(
        code=inspection.folder,
        entry=inspection.entry,
        model=model,
        test=example.test,
        metric=example.config.metric or "",
        validator=Address(bytes(20)),
        limits=Limits(wall_s=TESTING_S, threads=1),
    )
    return score.metric_e6 / 1e6
