"""The bench's arithmetic: sums, costs per bid, ratios and targets, from figures that are easy to check."""

import io
from typing import Any

from rich.console import Console

from morphware.node.bench.gas.measured import Auctions, Measurement, Run, Spent
from morphware.node.bench.gas.report import build_report, reading
from morphware.node.bench.gas.table import render


def auctions(bids: int, *, commitment: int = 40_000, opening: int = 15_000, rest: int = 700_000) -> Auctions:
    relayed = (
        Spent("post", 200_000),
        Spent("commitBatch", commitment * bids, bids),
        Spent("poke+revealBatch", opening * bids, bids),
        Spent("poke (settles)", rest),
    )
    self_sent = (
        Spent("post", 200_000),
        *[Spent("commit", 60_000)] * bids,
        Spent("poke", 30_000),
        *[Spent("revealBatch", 40_000)] * bids,
        Spent("poke", 25_000),
        Spent("poke (settles)", rest),
    )
    blind = (
        Spent("open", 70_000),
        *[Spent("bid", 90_000)] * bids,
        *[Spent("reveal", 50_000)] * bids,
        Spent("end", 50_000),
    )
    naive = (
        Spent("post", 90_000),
        *[Spent("commit", 100_000)] * bids,
        *[Spent("reveal", 80_000)] * bids,
        Spent("award", 15_000 * bids),
    )
    return Auctions(*(Run(bids, each) for each in (relayed, self_sent, blind, naive)))


def report_of(batch: int | None = None, **by_bids: Auctions) -> dict[str, Any]:
    runs = {int(bids.removeprefix("bids_")): each for bids, each in by_bids.items()}
    openings = None if batch is None else Run(16, (Spent("poke", 30_000), Spent("revealBatch", batch, 16)))
    # What lies amid the phase costs half of what starts or ends it: only that may be counted.
    dear, cheap = Spent("revealBatch", 2 * (batch or 0), 16), Spent("revealBatch", batch or 0, 16)
    batches = None if batch is None else Run(64, (dear, cheap, cheap, dear))
    first = Run(2, (Spent("post", 1_000_000),))
    return build_report(
        Measurement(5, runs, first, openings, batches, {"Market": 5_000_000}, "anvil", "solc", "cancun")
    )


def test_a_whole_job_is_the_sum_of_its_calls() -> None:
    report = report_of(bids_5=auctions(5))
    for key, way in (("whole_job", "relayed"), ("whole_job_self_sent", "self_sent")):
        assert report[key]["5"] == sum(kind["gas"] for kind in report["per_call"]["5"][way].values())


def test_only_the_poke_that_ends_the_bidding_is_paid_by_the_bids() -> None:
    per_bid = report_of(bids_5=auctions(5))["per_bid"]["5"]
    assert per_bid["relayed"] == {"commitment": 40_000, "opening": 15_000, "both": 55_000}
    assert per_bid["self_sent"] == {"commitment": 60_000, "opening": 46_000, "both": 106_000}


def test_a_baseline_is_counted_until_the_losers_have_their_bonds_back() -> None:
    baselines = report_of(bids_5=auctions(5))["baselines"]
    assert baselines["blind_auction"]["auction"]["5"] == 70_000 + 5 * 140_000  # without the payment
    assert baselines["naive_auction"]["per_bid"]["5"] == 195_000
    assert baselines["naive_auction"]["ratio"]["5"]["relayed"] == {
        "auction": round((200_000 + 275_000) / (90_000 + 975_000), 3),
        "per_bid": round(55_000 / 195_000, 3),
    }


def test_a_target_is_met_by_what_was_measured_and_by_nothing_else() -> None:
    good = report_of(bids_5=auctions(5), bids_16=auctions(16), batch=16 * 16_000)["targets"]
    assert {name: target["met"] for name, target in good.items()} == dict.fromkeys(good, True)
    dear = report_of(
        bids_5=auctions(5, rest=1_000_000), bids_16=auctions(16, commitment=52_001, opening=16_001), batch=256_001
    )
    assert not any(target["met"] for target in dear["targets"].values())
    assert dear["targets"]["relayed_commitment_all_in"] == {"most": 52_000, "measured": 52_001, "met": False}
    assert dear["targets"]["opening_in_a_batch_of_16"]["measured"] == 16_001
    assert dear["targets"]["opening_in_a_batch_of_16_amid_the_phase"]["measured"] == 16_001
    assert dear["targets"]["growth_of_a_bids_cost_with_more_bids"]["measured"] == 13_002
    assert "missed: whole job of 5 bids, relayed commitment" in reading(dear)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    report = report_of(bids_2=auctions(2))
    assert report["targets"]["whole_job_of_5_bids"] == {"most": 1_300_000, "measured": None, "met": None}
    assert report["targets"]["growth_of_a_bids_cost_with_more_bids"]["met"] is None
    assert report["targets"]["relayed_commitment_all_in"]["met"] is True
    assert "(4 were not)" in reading(report)
    assert "the first job of all, of 2 bids, cost 1,000,000" in reading(report)


def test_the_table_shows_every_kind_of_call_in_80_columns_and_ends_with_the_reading() -> None:
    report = report_of(bids_2=auctions(2), bids_5=auctions(5), bids_16=auctions(16), bids_64=auctions(64))
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(render(report))
    text = console.export_text()
    for cell in ("commitBatch", "poke+revealBatch", "64 x 60,000", "award", "opening in a batch of 16", "not measured"):
        assert cell in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert " ".join(reading(report).split()) in " ".join(text.split())
