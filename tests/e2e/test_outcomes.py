"""Real processes, a real chain, a real network: every way in which a job of this version can end."""

import signal
from pathlib import Path
from typing import Any

import pytest

from morphware.node.errors import BadInput
from morphware.node.testnet.network import SEAT_STAKE_WEI
from morphware.protocol.units import TOKEN, Wei
from tests.e2e.market import JOBS, Market, clouds_wish, open_market

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("show_logs")]
RESERVE = 100 * TOKEN


async def test_a_good_model_is_paid_at_the_second_lowest_authentic_price(tmp_path: Path) -> None:
    async with open_market(tmp_path / "net") as market:
        before = await market.tokens()
        job = await market.until_over(await market.submit(clouds_wish(tmp_path / "data")))
        after = await market.tokens()

        assert job["outcome"] == "PAID"
        prices = sorted(int(bid["price_wei"]) for bid in job["bids"] if bid["is_authentic"])
        winner = market.name(job["winner"]["account"])
        assert int(job["winner"]["bid_wei"]) == prices[0]
        assert int(job["price_wei"]) == prices[1]
        assert after[winner] - before[winner] == prices[1]
        fees = sum(int(report["fee_wei"]) for report in job["reports"])
        assert fees == 5 * 2 * TOKEN
        assert after["audits"] - before["audits"] == prices[1] // 100, "the end user pays it on top"
        assert before["user-1"] - after["user-1"] == prices[1] + prices[1] // 100 + fees
        assert sum(before.values()) == sum(after.values())
        assert all(report["metric"] >= 0.9 for report in job["reports"])
        assert (Path(job["model_path"]) / "model.npz").is_file()

        points = await market.network.nodes["user-1"].client.points(job["job_id"])
        assert len([name for _, _, name, _ in points if name == "loss"]) == 20, (
            "the loss that the worker streamed is in the end user's journal"
        )
        _no_plaintext_left_the_end_user(market, tmp_path / "data" / "test", winner)
        await _a_job_whose_model_misses_the_threshold_is_rejected(market, tmp_path / "junk")
        await _a_reserve_below_every_cost_finds_no_bids(market, tmp_path / "cheap")
        await _bad_input_is_answered_with_a_sentence(market, tmp_path / "bad")


def _no_plaintext_left_the_end_user(market: Market, test: Path, winner: str) -> None:
    """Search the winner's whole folder for the testing data."""
    secret = (test / "labels.npy").read_bytes()[-64:]
    for path in (market.network.folder / "nodes" / winner).rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), f"the testing data's labels reached the worker: {path}"


async def _a_job_whose_model_misses_the_threshold_is_rejected(market: Market, data: Path) -> None:
    before = await market.tokens()
    job = await market.until_over(await market.submit(clouds_wish(data, is_learnable=False, privacy="public")))
    after = await market.tokens()
    assert job["outcome"] == "REJECTED"
    assert job["verdict"] == "FAIL"
    winner = market.name(job["winner"]["account"])
    bond = RESERVE // 2
    assert before[winner] - after[winner] == bond * 30 // 100
    assert before["user-1"] - after["user-1"] == 5 * 2 * TOKEN, "an honest fail costs the fees and nothing else"
    assert sum(before.values()) - sum(after.values()) == int(job["burned_wei"]) == bond * 30 // 100


async def _a_reserve_below_every_cost_finds_no_bids(market: Market, data: Path) -> None:
    before = await market.tokens()
    least = Wei(25 * TOKEN // 4)  # that a committee of one is worth; ten minutes cost every worker ten tokens at least
    wish = clouds_wish(data, reserve_wei=least, seats=1, estimated_s=600, training_s=600)
    job = await market.until_over(await market.submit(wish))
    assert job["outcome"] == "NO_BIDS"
    assert await market.tokens() == before, "everything went back"


async def _bad_input_is_answered_with_a_sentence(market: Market, folder: Path) -> None:
    """Nothing is lost, and the sentence says what to do."""
    before = await market.tokens()
    good = clouds_wish(folder / "good")
    broken = folder / "broken.py"
    broken.write_text("def train(:\n")
    empty = folder / "empty"
    empty.mkdir()
    wrong: dict[str, dict[str, Any]] = {
        "line 1": {"program": broken},
        "does not exist": {"train": folder / "nowhere"},
        "is empty": {"test": empty},
        "never reports bleu": {"metric": "bleu"},
        "needs 16500 tokens": {"reserve_wei": Wei(11_000 * TOKEN), "fee_wei": Wei(0)},
        "get more tokens": {"reserve_wei": Wei(SEAT_STAKE_WEI), "fee_wei": Wei(2_000 * TOKEN)},
        "odd number": {"seats": 4},
        "at least 18.75 tokens": {"reserve_wei": Wei(TOKEN // 100)},
        "at least 1 tokens": {"fee_wei": Wei(TOKEN - 1)},
    }
    for sentence, change in wrong.items():
        wish = type(good)(**({name: getattr(good, name) for name in good.__slots__} | change))
        with pytest.raises(BadInput) as refused:
            await market.submit(wish)
        expected = "at most" if sentence == "needs 16500 tokens" else sentence
        assert expected in str(refused.value), refused.value
    assert await market.tokens() == before


async def test_a_worker_that_dies_for_good_compensates_the_end_user(tmp_path: Path) -> None:
    async with open_market(tmp_path / "net") as market:
        before = await market.tokens()
        patient = JOBS / "patient" / "train.py"
        job_id = await market.submit(clouds_wish(tmp_path / "data", program=patient, training_s=20))
        job = await market.until(job_id, lambda job: job["state"] == "TRAINING")
        winner = market.name(job["winner"]["account"])
        await market.network.end(winner, signal.SIGKILL)
        job = await market.until_over(job_id)
        after = await market.tokens()
        bond = RESERVE // 2
        assert job["outcome"] == "WORKER_FAULT"
        assert after["user-1"] - before["user-1"] == bond // 2
        assert before[winner] - after[winner] == bond
        assert sum(before.values()) - sum(after.values()) == int(job["burned_wei"]) == bond // 2


async def test_a_validator_that_dies_costs_nobody_else(tmp_path: Path) -> None:
    async with open_market(tmp_path / "net") as market:
        before = await market.tokens()
        job_id = await market.submit(clouds_wish(tmp_path / "data", testing_s=25))
        job = await market.until(job_id, lambda job: len(job["committee"]) == 5)
        victim = market.name(job["committee"][0])
        await market.network.end(victim, signal.SIGKILL)
        job = await market.until_over(job_id)
        after = await market.tokens()
        assert job["outcome"] == "PAID"
        reports = {market.name(report["validator"]): report for report in job["reports"]}
        assert reports[victim]["metric"] is None or reports[victim]["is_committed"]
        if reports[victim]["metric"] is None:
            slash = SEAT_STAKE_WEI * 20 // 100
            assert before[victim] - after[victim] == slash
            assert int(job["burned_wei"]) == slash - slash // 5, "a fifth is for random audits"
