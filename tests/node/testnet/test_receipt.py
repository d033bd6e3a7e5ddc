"""The receipt: complete, exact, conserved, and harmless to look at."""

import io
import json
from typing import Any

import msgspec
import pytest
from rich.console import Console

from morphware.node.describe import describe
from morphware.node.testnet.accounting import Balances, Gas, Holdings, NotConserved, Use
from morphware.node.testnet.display import JobDisplay
from morphware.node.testnet.receipt import Receipt, build_receipt, print_receipt, receipt_text
from morphware.protocol.units import TOKEN
from tests.node.testnet.recorded import ACCOUNTS, COMMITTEE, JOB_ID, NAMES, START_S, Recorder, paid_job
from tests.node.testnet.test_display import HOSTILE, STEERING

CHANGES = {"user-1": -51, "worker-2": 41} | dict.fromkeys(COMMITTEE, 2)


def followed(name: str | None = None) -> JobDisplay:
    recorder = Recorder()
    for _ in paid_job(recorder, name):
        pass
    display = JobDisplay(NAMES)
    display.begin(START_S)
    display.follow(JOB_ID.hex())
    for who, notice in recorder.notices:
        display.note(who, notice)
    return display


def described(display: JobDisplay, problem: str = "") -> dict[str, Any]:
    view = display.progress.view
    assert view is not None
    job = describe(view, account=ACCOUNTS["user-1"], problem=problem, model=None)
    return dict(msgspec.to_builtins(job)) | {"model_path": "/tmp/somewhere/model"}


def snapshot(changes: dict[str, int]) -> Balances:
    accounts = {name: Holdings((1000 + changes.get(name, 0)) * TOKEN, 0, 0) for name in ACCOUNTS}
    return Balances(1, accounts | {"deployer": Holdings(5_000 * TOKEN + 1, 0, 0)}, 0, 0, 0, 0, 16_000 * TOKEN + 1)


def gas() -> Gas:
    return Gas({("user", "post"): Use(1, 312_000, 10**12), ("worker", "commit"): Use(4, 216_000, 10**12)})


def receipt_of_a_paid_job(**changes: Any) -> Receipt:
    display = followed()
    values: dict[str, Any] = {
        "names": NAMES,
        "display": display,
        "submitted_at": START_S - 0.5,
        "before": snapshot({}),
        "after": snapshot(CHANGES),
        "gas": gas(),
        "model_metric": 0.9875,
    }
    return build_receipt(described(display), **(values | changes))


def drawn(receipt: Receipt, width: int = 100) -> str:
    stream = io.StringIO()
    print_receipt(receipt, Console(width=width, file=stream, force_terminal=True, color_system=None))
    return stream.getvalue()


def test_it_has_what_programs_look_for() -> None:
    receipt = json.loads(receipt_text(receipt_of_a_paid_job()))
    assert receipt["outcome"] == "PAID"
    assert receipt["job_id"] == JOB_ID.hex()
    assert receipt["reserve_wei"] == str(100 * TOKEN)
    assert receipt["price_wei"] == str(41 * TOKEN)
    assert receipt["winner"]["name"] == "worker-2"
    assert receipt["winner"]["bid_wei"] == str(38 * TOKEN)
    bids = {(bid["bidder"], bid["price_wei"], bid["is_authentic"]) for bid in receipt["bids"]}
    assert ("worker-3", str(17 * TOKEN), False) in bids
    assert ("worker-1", str(41 * TOKEN), True) in bids
    assert [bid["bidder"] for bid in receipt["bids"] if bid["is_winner"]] == ["worker-2"]
    assert [bid["bidder"] for bid in receipt["bids"] if bid["is_second"]] == ["worker-1"]
    assert [report["validator"] for report in receipt["reports"]] == COMMITTEE
    assert {report["metric"] for report in receipt["reports"]} == {0.9875}
    assert {report["fingerprint_e9"] for report in receipt["reports"]} == {41_234_567}
    assert (receipt["threshold"], receipt["metric"], receipt["model_metric"]) == (0.95, 0.9875, 0.9875)
    assert receipt["gas"]["transactions"] == 5
    assert receipt["gas"]["by_role"]["user"]["calls"]["post"]["gas"] == 312_000
    assert receipt["model_path"] == "/tmp/somewhere/model"


def test_the_winner_is_the_cheapest_authentic_bid_and_is_paid_the_second() -> None:
    receipt = receipt_of_a_paid_job()
    prices = sorted(int(bid["price_wei"]) for bid in receipt["bids"] if bid["is_authentic"])
    assert [int(receipt["winner"]["bid_wei"]), int(receipt["price_wei"])] == prices[:2]


def test_the_balances_list_everything_once_and_their_sums_agree() -> None:
    held = receipt_of_a_paid_job()["balances"]
    assert set(held["before"]) == {*ACCOUNTS, "deployer", "contract", "audits", "burned"}
    assert sum(map(int, held["before"].values())) == sum(map(int, held["after"].values()))
    assert held["sum"]["before"] == held["sum"]["after"] == str(sum(map(int, held["after"].values())))
    assert held["change"]["worker-2"] == str(41 * TOKEN)
    assert held["details"]["after"]["accounts"]["worker-2"]["wallet_wei"] == str(1041 * TOKEN)


def test_no_receipt_is_made_of_balances_that_do_not_add_up() -> None:
    with pytest.raises(NotConserved, match="changed by 1 tokens"):
        receipt_of_a_paid_job(after=snapshot(CHANGES | {"worker-1": 1}))


def test_the_seconds_add_up() -> None:
    seconds = receipt_of_a_paid_job()["seconds"]
    assert list(seconds["phases"])[:2] == ["PREPARING", "BIDDING"]
    assert "CLOSED" not in seconds["phases"]
    assert sum(seconds["phases"].values()) == pytest.approx(seconds["total"], abs=0.02)
    assert seconds["phases"]["PREPARING"] == pytest.approx(1.7, abs=0.1)  # half a second before the display began
    assert seconds["training"] == 7.9
    assert seconds["overhead"] == pytest.approx(
        seconds["total"] - seconds["training"] - seconds["evaluation"], abs=0.01
    )
    assert seconds["delivery"] == pytest.approx(0.5, abs=0.1)


def test_a_loss_is_a_positive_number_for_people() -> None:
    display = followed()
    job = described(display) | {"metric": "rmse", "threshold": -0.25, "metric_value": -0.2}
    job["reports"] = [report | {"metric": -0.2} for report in job["reports"]]
    receipt = build_receipt(job, names=NAMES, display=display, model_metric=-0.2)
    assert (receipt["threshold"], receipt["metric"], receipt["model_metric"]) == (0.25, 0.2, 0.2)
    assert "rmse 0.2 (promised: at most 0.25)" in drawn(receipt)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_tables_fit_and_say_the_same(width: int) -> None:
    text = drawn(receipt_of_a_paid_job(), width)
    assert max(map(len, text.splitlines())) <= width
    for words in ("PAID", "worker-2", "41 MWT", "0.041234567", "validator-7", "sum", "312,000"):
        assert words in text
    assert "Loaded again, it has accuracy 0.9875: as reported." in " ".join(text.split())


def test_a_model_that_does_not_keep_its_word_is_said() -> None:
    text = " ".join(drawn(receipt_of_a_paid_job(model_metric=0.5)).split())
    assert "Loaded again, it has accuracy 0.5, not 0.9875 as reported." in text


def test_a_job_that_nobody_wanted_has_a_receipt_too() -> None:
    display = JobDisplay(NAMES)
    job = {"job_id": JOB_ID.hex(), "state": "NONE", "outcome": "NOT_POSTED", "is_mine": True, "problem": "Too poor."}
    receipt = build_receipt(job, names=NAMES, display=display)
    assert "balances" not in receipt
    assert "Too poor." in drawn(receipt)
    closed = job | {"outcome": "NO_BIDS", "reserve_wei": str(TOKEN), "bids": [], "reports": [], "reason": "nobody"}
    assert "NO_BIDS" in drawn(build_receipt(closed, names=NAMES, display=display))


def test_appeals_that_were_not_heard_are_told_with_what_they_cost() -> None:
    display = followed()
    unheard = [
        {"appellant": None, "bond_wei": str(6 * TOKEN), "kept_wei": str(6 * TOKEN)},
        {"appellant": "0x" + "11" * 20, "bond_wei": str(22 * TOKEN), "kept_wei": str(10 * TOKEN)},
    ]
    job = described(display) | {"unheard": unheard}
    receipt = build_receipt(job, names=NAMES, display=display)
    text = " ".join(drawn(receipt).split())
    for what, bond, kept in (("a random audit", 6, 6), ("an appeal", 22, 10)):
        sentence = (
            f"{what}: no committee could be drawn for it; of its bond of {bond} MWT the audit pool got {kept} MWT"
        )
        assert sentence in text
    assert "Unheard" not in drawn(build_receipt(described(display), names=NAMES, display=display))


def test_codes_and_missing_reports_are_words() -> None:
    display = followed()
    job = described(display)
    job["reports"][0] |= {"metric": "NO_MODEL"}
    job["reports"][1] |= {"metric": None, "fingerprint_e9": None, "fee_wei": None, "slash_wei": None}
    job["reports"][2] |= {"slash_wei": str(50 * TOKEN)}
    job["bids"][0] |= {"is_opened": False, "price_wei": None, "is_authentic": None}
    text = drawn(build_receipt(job, names=NAMES, display=display))
    for words in ("NO_MODEL", "no report", "slashed 50", "never opened"):
        assert words in text


def test_hostile_texts_in_a_receipt_stay_texts() -> None:
    display = followed(HOSTILE[:80])
    job = described(display, problem=HOSTILE) | {"model_path": f"/tmp/{HOSTILE}", "metric": HOSTILE}
    names = NAMES | {ACCOUNTS["worker-2"]: HOSTILE}
    receipt = build_receipt(job, names=names, display=display, model_metric=0.1)
    text = drawn(receipt)
    assert not STEERING.search(text)
    assert "[bold red]boo[/]" in text
    assert json.loads(receipt_text(receipt))["winner"]["name"] == HOSTILE


def test_the_receipt_says_how_many_transactions_the_job_would_take_if_nobody_shared_one() -> None:
    shared = Gas({("user", "commitBatch"): Use(1, 200_000, 1, 5), ("worker", "deposit"): Use(2, 90_000, 1, 2)})
    receipt = receipt_of_a_paid_job(gas=shared)
    assert receipt["gas"]["job"] == {"transactions": 1, "gas": 200_000, "fee_wei": "1", "apart": 5}
    assert "instead of 5 transactions" in drawn(receipt)
    alone = Gas({("worker", "commit"): Use(4, 216_000, 1, 4)})
    assert "instead of" not in drawn(receipt_of_a_paid_job(gas=alone))


def test_the_models_path_can_be_copied_from_a_narrow_terminal() -> None:
    path = "/tmp/" + "a-folder-with-a-long-name/" * 6 + "user/model"
    assert path in drawn(receipt_of_a_paid_job() | {"model_path": path}, width=60)
