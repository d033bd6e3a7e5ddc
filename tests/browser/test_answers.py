"""What the page does with answers that a real node gives seldom, and never when a test wants them."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from morphware.node.api.answers.jobs import Cost, Receipt
from morphware.node.api.answers.plain import Done
from morphware.node.api.answers.submitting import DryRunLine
from tests.browser.made_up import DRAFT_ID, JOB_ID, Lost, MadeUp, Refused, Told, draft, review, wallet, with_job

pytestmark = pytest.mark.browser
OTHER_ID = "ef" * 16
DROP = """([field, made]) => {
    const file = (name) => ({ isFile: true, name, file: (done) => done(new File(["x"], name)) });
    const folder = (name, inside) => ({
        isDirectory: true,
        name,
        createReader: () => ({
            readEntries: (done, failed) => inside === null ? failed(new Error()) : done(inside.splice(0)),
        }),
    });
    const inside = made === null ? null : Array.from({ length: made }, (_, i) => file(`${i}`));
    const entry = folder("dropped", inside);
    const event = new Event("drop", { bubbles: true, cancelable: true });
    event.dataTransfer = { items: [{ webkitGetAsEntry: () => entry }] };
    document.getElementById(field).closest(".drop").dispatchEvent(event);
}"""
"""Drops a folder with so many files (null: one that cannot be read), which a test could not put on a disk in time."""


@pytest.fixture
def made_up(browser: Browser) -> Iterator[MadeUp]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield MadeUp(page)
    context.close()
    assert errors == []


# --- submitting -----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A program, and data whose folder holds nothing but another folder."""
    (tmp_path / "train.py").write_text("def train(): ...\n")
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "images" / "0.txt").write_text("0")
    (tmp_path / "data" / "images" / ".hidden").write_text("0")
    return tmp_path


def choose_all(page: Page, files: Path) -> None:
    page.set_input_files("#program", files / "train.py")
    page.set_input_files("#train-folder", files / "data")
    page.set_input_files("#test-folder", files / "data")


def test_other_files_than_those_that_were_read_cannot_be_posted(made_up: MadeUp, files: Path) -> None:
    made_up.answers[f"GET /drafts/{DRAFT_ID}"] = draft()
    made_up.open(f"/submit/{DRAFT_ID}")
    page = made_up.page
    page.locator("#reserve_wei").fill("60")
    page.set_input_files("#program", files / "train.py")
    expect(page.get_by_role("button", name="Read the job")).to_be_enabled()
    expect(page.locator("#terms, #dry-run, #review")).to_have_count(0)
    page.get_by_role("button", name="Leave all files as they were").click()
    expect(page.locator("#reserve_wei")).to_have_value("60")
    page.get_by_role("button", name="Chance does").click()
    expect(page.locator("#terms, #dry-run, #review")).to_have_count(0)


def test_what_was_filled_in_stays_when_the_job_is_read_again(made_up: MadeUp, files: Path) -> None:
    made_up.answers |= {f"GET /drafts/{DRAFT_ID}": draft(), "POST /drafts": draft(OTHER_ID)}
    made_up.answers[f"POST /drafts/{OTHER_ID}/review"] = Refused(503, "The chain does not answer.")
    made_up.open(f"/submit/{DRAFT_ID}")
    page = made_up.page
    page.locator("#reserve_wei").fill("60")
    page.locator("#threshold").fill("0.9")
    choose_all(page, files)
    page.get_by_role("button", name="Read the job").click()
    page.wait_for_url(f"**/submit/{OTHER_ID}")
    expect(page.locator("#reserve_wei")).to_have_value("60")
    expect(page.locator("#threshold")).to_have_value("0.9")
    page.get_by_role("button", name="Review", exact=True).click()
    page.get_by_text("The chain does not answer.").wait_for()
    assert f"POST /drafts/{DRAFT_ID}/review" not in made_up.asked
    assert f"DELETE /drafts/{DRAFT_ID}" in made_up.asked, "what was replaced is let go"


def test_a_mended_program_is_sent_alone_and_what_was_typed_outlives_a_reload(made_up: MadeUp, files: Path) -> None:
    made_up.answers |= {f"GET /drafts/{DRAFT_ID}": draft(), "POST /drafts": draft(OTHER_ID)}
    made_up.open(f"/submit/{DRAFT_ID}")
    page = made_up.page
    page.locator("#reserve_wei").fill("60")
    page.reload()
    expect(page.locator("#reserve_wei")).to_have_value("60")
    page.set_input_files("#program", files / "train.py")
    page.get_by_role("button", name="Read the job").click()
    page.wait_for_url(f"**/submit/{OTHER_ID}")
    [sent] = made_up.asked["POST /drafts"]
    assert sent.query == {"base": [DRAFT_ID], "keep": ["train,test"]}
    expect(page.locator("#reserve_wei")).to_have_value("60")


@pytest.mark.parametrize("is_working", [True, False])
def test_a_dry_run_tells_line_by_line_and_a_failed_one_is_remembered_before_money_moves(
    made_up: MadeUp, is_working: bool
) -> None:
    lines = [DryRunLine(kind="output", text=f"step {n}\n") for n in range(2)]
    result = DryRunLine(
        kind="result", text="Tried.", is_working=is_working, has_ended=True, tail="" if is_working else "KeyError: 'x'"
    )
    made_up.answers |= {
        f"GET /drafts/{DRAFT_ID}": draft(),
        f"POST /drafts/{DRAFT_ID}/dry-run": Told([*lines, result]),
        f"POST /drafts/{DRAFT_ID}/review": review(),
    }
    made_up.open(f"/submit/{DRAFT_ID}")
    page = made_up.page
    page.get_by_role("button", name="Try it").click()
    page.get_by_text("Tried.").wait_for()
    printed = "step 0\nstep 1\n" + ("" if is_working else "\nKeyError: 'x'\n")
    assert page.locator("#dry-run .output").text_content() == printed
    page.locator("#threshold").fill("0.9")
    page.locator("#reserve_wei").fill("60")
    page.get_by_role("button", name="Review", exact=True).click()
    page.get_by_role("button", name="Sign and post").wait_for()
    expect(page.get_by_text("The dry run of this job failed")).to_have_count(0 if is_working else 1)


def test_a_draft_that_is_gone_is_not_spoken_of_any_longer_than_it_is_asked_for(made_up: MadeUp) -> None:
    made_up.answers[f"GET /drafts/{DRAFT_ID}"] = Refused(404, "There is no such draft.")
    made_up.open(f"/submit/{DRAFT_ID}")
    said = made_up.page.get_by_text("There is no such draft.")
    said.wait_for()
    made_up.page.get_by_role("link", name="Submit", exact=True).click()
    expect(said).to_have_count(0)


def test_a_chosen_folder_is_sent_with_its_name_for_the_node_to_take_away(made_up: MadeUp, files: Path) -> None:
    """Taken away twice, a folder that holds only a folder would be sent as what is in that."""
    made_up.answers["POST /drafts"] = draft()
    made_up.open("/submit")
    page = made_up.page
    page.evaluate("""() => {
        window.sent = [];
        const append = FormData.prototype.append;
        FormData.prototype.append = function (...values) { window.sent.push(values[2]); append.apply(this, values); };
    }""")
    choose_all(page, files)
    expect(page.locator(".picker").filter(has=page.locator("#train"))).to_contain_text("1 file, 1 B; 1 hidden left out")
    page.get_by_role("button", name="Read the job").click()
    page.wait_for_url(f"**/submit/{DRAFT_ID}")
    assert page.evaluate("window.sent") == ["train.py", "data/images/0.txt", "data/images/0.txt"]


def test_more_files_than_a_node_takes_are_refused_and_not_left_out(made_up: MadeUp, files: Path) -> None:
    made_up.open("/submit")
    page = made_up.page
    page.locator("#program").wait_for(state="attached")
    choose_all(page, files)
    expect(page.get_by_role("button", name="Read the job")).to_be_enabled()
    page.evaluate(DROP, ["train", 20_001])
    expect(page.locator("#train-problem")).to_contain_text("put them into fewer, larger ones")
    expect(page.get_by_role("button", name="Read the job")).to_be_disabled()
    expect(page.get_by_text("hidden left out")).to_have_count(1)  # the testing data's


def test_a_dropped_folder_that_cannot_be_read_says_so(made_up: MadeUp) -> None:
    made_up.open("/submit")
    made_up.page.locator("#program").wait_for(state="attached")
    made_up.page.evaluate(DROP, ["train", None])
    expect(made_up.page.locator("#train-problem")).to_contain_text("could not read what was dropped")


# --- asking ---------------------------------------------------------------------------------------------------------


def test_a_page_is_shown_while_the_node_cannot_say_its_state(made_up: MadeUp) -> None:
    made_up.answers["GET /status"] = Refused(503, "The chain does not answer.")
    made_up.open("/network")
    made_up.page.get_by_role("heading", name="Network", level=1).wait_for()


def test_a_question_is_heard_to_its_end_however_often_a_page_asks_again(made_up: MadeUp) -> None:
    page = made_up.page
    made_up.answers["GET /wallet"] = wallet()
    made_up.held["GET /wallet"] = []
    page.clock.install()
    made_up.open("/wallet")
    page.get_by_text("The node asks the chain for the balances.").wait_for()
    for _ in range(3):
        made_up.tell("chain")
        page.clock.run_for(2_000)
    assert len(made_up.held["GET /wallet"]) == 1
    with page.expect_request("**/api/v1/wallet"):  # one more follows
        made_up.release("GET /wallet")
    page.locator("#balances .sum").wait_for()
    assert len(made_up.asked["GET /wallet"]) == 2


# --- money ----------------------------------------------------------------------------------------------------------


def deposit(made_up: MadeUp, tokens: str, answer: Any) -> tuple[str, str]:
    """(amount, name) of the request that the node is sent."""
    made_up.answers["POST /wallet/deposit"] = answer
    form = made_up.page.locator("form.deed").filter(has=made_up.page.locator("#deposit"))
    form.locator("input").fill(tokens)
    with made_up.page.expect_request("**/wallet/deposit"):
        form.get_by_role("button", name="Deposit", exact=True).click()
    expect(form.get_by_role("button", name="Deposit", exact=True)).to_be_enabled()
    body = made_up.asked["POST /wallet/deposit"][-1].body
    return body["amount_wei"], body["request_id"]


def test_a_requests_name_stands_for_one_amount_until_the_node_has_said_what_became_of_it(made_up: MadeUp) -> None:
    made_up.answers["GET /wallet"] = wallet()
    made_up.open("/wallet")
    _, lost = deposit(made_up, "100", Lost())
    assert deposit(made_up, "100", Refused(503, "The chain does not answer."))[1] == lost, "it may have been done"
    amount, other = deposit(made_up, "50", Lost())
    assert amount == str(50 * 10**18)
    assert other != lost, "another amount is another request"
    assert deposit(made_up, "50", Refused(400, "The chain refused it."))[1] == other
    _, fresh = deposit(made_up, "50", Done(sentence="Deposited."))
    assert fresh != other, "what was refused can be tried again"
    assert deposit(made_up, "50", Done(sentence="Deposited."))[1] != fresh


def test_seats_that_leave_are_told_and_cannot_be_given_up_again_but_busy_ones_can(made_up: MadeUp) -> None:
    made_up.answers |= {"GET /wallet": wallet(), "POST /seats/unstake": Done(sentence="2 seats leave.")}
    made_up.open("/wallet")
    page = made_up.page
    expect(page.locator("#balances")).to_contain_text("3 seats, 1 busy, 1 leaving")
    page.locator("#unstake").fill("3")
    page.get_by_role("button", name="Unstake").click()
    expect(page.locator("#unstake-problem")).to_have_text("At most 2 seats can be given up.")
    page.locator("#unstake").fill("2")
    page.get_by_role("button", name="Unstake").click()
    page.get_by_text("2 seats leave.").wait_for()


def test_what_the_command_line_moves_is_seen_without_a_reload(made_up: MadeUp) -> None:
    made_up.answers["GET /wallet"] = wallet()
    made_up.open("/wallet")
    made_up.page.locator("#balances .sum").wait_for()
    with made_up.page.expect_request("**/api/v1/wallet"):
        made_up.tell("account", event={})


def test_a_refused_copy_is_not_called_one(made_up: MadeUp) -> None:
    """A page that did not come by HTTPS or from this machine has no clipboard."""
    made_up.answers["GET /wallet"] = wallet()
    made_up.open("/wallet")
    made_up.page.get_by_role("button", name=re.compile("^Copy the account.s address")).click()
    made_up.page.get_by_role("button", name="The browser refused: mark the text and copy it by hand").wait_for()


def test_a_fee_is_said_in_the_chains_coin(made_up: MadeUp) -> None:
    with_job(made_up)
    cost = Cost(job_id=JOB_ID, role="user", call="post", gas=1234567, fee_wei=str(10**15))
    made_up.answers[f"GET /jobs/{JOB_ID}/receipt"] = Receipt(job_id=JOB_ID, is_final=False, moves=[], costs=[cost])
    made_up.open(f"/jobs/{JOB_ID}")
    money = made_up.page.locator("#money")
    expect(money).to_contain_text("1 transaction cost:")
    expect(money.locator("td .amount")).to_have_attribute("title", re.compile("^0.001 of the chain.s coin"))


# --- jobs -----------------------------------------------------------------------------------------------------------


def test_every_word_is_searched_for_and_the_field_shows_what_is(made_up: MadeUp) -> None:
    page = made_up.page
    made_up.open("/jobs")
    search = page.get_by_role("searchbox")
    search.fill("1")
    page.wait_for_url("**/jobs?*q=1*")
    page.get_by_role("link", name="Show all of them").click()
    expect(search).to_have_value("")
    assert made_up.asked["GET /jobs"][-1].query.get("q") is None


def test_a_state_that_is_chosen_while_one_types_stays(made_up: MadeUp) -> None:
    page = made_up.page
    page.clock.install()
    made_up.open("/jobs")
    page.get_by_role("searchbox").wait_for()
    page.clock.pause_at("2100-01-01")
    page.get_by_role("searchbox").fill("digits")
    page.get_by_role("button", name="Paid").click()
    page.clock.run_for(2_000)
    page.wait_for_url("**/jobs?*q=digits*")
    assert "state=paid" in page.url


def test_the_last_part_of_a_curve_is_what_is_pressed_on_both_axes_and_grows(made_up: MadeUp) -> None:
    with_job(made_up)
    made_up.open(f"/jobs/{JOB_ID}")
    page = made_up.page
    loss = page.get_by_role("group", name="loss", exact=True)
    last = loss.locator(".legend-value small")
    expect(last).to_have_text("at 100")
    with asking(page, "loss", "step", "90"):
        page.get_by_role("button", name="Last tenth").click()
    with asking(page, "loss", "time", "180"):
        page.get_by_role("button", name="Time", exact=True).click()
    with asking(page, "loss", "step", "90"):
        page.get_by_role("button", name="Steps", exact=True).click()
    with asking(page, "d", "step", "90"):
        page.get_by_role("button", name="Show 1 more").click()
    expect(last).to_have_text("at 100")
    made_up.tell("points", job_id=JOB_ID, points=[[101, 202.0, "loss", 0.4]])
    expect(last).to_have_text("at 101")
    expect(page.get_by_role("button", name="Last tenth")).to_have_attribute("aria-pressed", "true")


def asking(page: Page, name: str, axis: str, first: str) -> AbstractContextManager[Any]:
    """While a curve is asked for from a place on."""

    def is_it(request: Request) -> bool:
        query = parse_qs(urlsplit(request.url).query)
        return (query.get("name"), query.get("axis"), query.get("first")) == ([name], [axis], [first])

    return page.expect_request(is_it)
