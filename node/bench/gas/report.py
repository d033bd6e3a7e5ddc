"""From what was measured to what is said of it: sums, costs per bid, ratios, targets. Pure, and the shape of the JSON.

"All in" means that a batch's whole transaction is divided by what is in it: the 21,000 of the transaction, the poke
that shares it and the award are paid by the bids.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from morphware.node.bench.gas.measured import Auctions, Measurement, Run

MOST_WHOLE_JOB: Final = 1_300_000
MOST_COMMITMENT: Final = 52_000
MOST_OPENING: Final = 16_000
JOB_BIDS: Final = 5
"""The job of the first target."""

OUR_POSTING: Final = ("post",)
OUR_COMMITMENTS: Final = ("commitBatch", "commit")
OUR_OPENINGS: Final = ("poke+revealBatch", "poke", "revealBatch")
"""In a self-sent job the poke that ends the bidding is the first of two; the second one moves the verdict."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Another way to run the same auction."""

    what: str
    run_of: Callable[[Auctions], Run]
    posting: tuple[str, ...]
    """The calls that post an auction."""
    bidding: tuple[str, ...]
    """The calls that the bids need, until the winner is known and everybody else has his bond back."""


BASELINES: Final = {
    "blind_auction": Baseline(
        what="the pattern of the Solidity documentation's blind auction, reversed: each bid a transaction with its "
        "deposit in ether, opened by its bidder alone, outbid bonds withdrawn one by one; first price",
        run_of=lambda auctions: auctions.blind,
        posting=("open",),
        bidding=("bid", "reveal", "withdraw"),
    ),
    "naive_auction": Baseline(
        what="the market's auction as one writes it first: each bid and each opening a transaction, bonds by "
        "transferFrom, every bid stored in full, a loop over all bids at the award",
        run_of=lambda auctions: auctions.naive,
        posting=("post",),
        bidding=("commit", "reveal", "award"),
    ),
}


def build_report(measurement: Measurement) -> dict[str, Any]:
    """Everything that ``morphware bench gas --json`` prints."""
    runs = measurement.by_bids
    return {
        "bids": list(runs),
        "seats": measurement.seats,
        "whole_job": {str(bids): auctions.relayed.gas for bids, auctions in runs.items()},
        "first_job": {"bids": measurement.first.bids, "gas": measurement.first.gas},
        "whole_job_self_sent": {str(bids): auctions.self_sent.gas for bids, auctions in runs.items()},
        "per_call": {
            str(bids): {"relayed": _calls(auctions.relayed), "self_sent": _calls(auctions.self_sent)}
            for bids, auctions in runs.items()
        },
        "per_bid": {str(bids): _per_bid(auctions) for bids, auctions in runs.items()},
        "auction": {
            str(bids): {"relayed": auction_gas(auctions.relayed), "self_sent": auction_gas(auctions.self_sent)}
            for bids, auctions in runs.items()
        },
        "baselines": {name: _baseline(name, measurement) for name in BASELINES},
        "targets": targets(measurement),
        "deployments": measurement.deployments,
        "tools": {"chain": measurement.chain, "compiler": measurement.compiler, "hardfork": measurement.hardfork},
    }


def targets(measurement: Measurement) -> dict[str, dict[str, Any]]:
    """What was promised and what was measured; ``met`` is null where the bench ran without the bids that it needs.

    The batch of openings is a whole transaction with its 21,000 and the award, but not the poke that ends the bidding.
    """
    runs = {bids: auctions.relayed for bids, auctions in measurement.by_bids.items()}
    whole_job = runs[JOB_BIDS].gas if JOB_BIDS in runs else None
    batch = measurement.batch
    opening = None if batch is None else batch.gas_of(("revealBatch",)) / batch.bids
    batches = measurement.batches
    reveals = [] if batches is None else [each for each in batches.spent if each.call == "revealBatch"][1:-1]
    middle = max((each.gas / each.items for each in reveals), default=None)
    commitments = [_commitments(run) / bids for bids, run in runs.items() if bids > 1]
    costs = [bids_gas(run) / bids for bids, run in sorted(runs.items())]
    growth = max((after - before for before, after in pairwise(costs)), default=None)
    return {
        "whole_job_of_5_bids": _target(MOST_WHOLE_JOB, whole_job),
        "relayed_commitment_all_in": _target(MOST_COMMITMENT, max(commitments, default=None)),
        "opening_in_a_batch_of_16": _target(MOST_OPENING, opening),
        "opening_in_a_batch_of_16_amid_the_phase": _target(MOST_OPENING, middle),
        "growth_of_a_bids_cost_with_more_bids": _target(0, growth),
    }


def auction_gas(run: Run) -> int:
    """Posting, bids and award of a job on the market."""
    return run.gas_of(OUR_POSTING) + bids_gas(run)


def bids_gas(run: Run) -> int:
    """What a job's bids cost on the market, from the first commitment to the award."""
    return _commitments(run) + _openings(run)


def _commitments(run: Run) -> int:
    return run.gas_of(OUR_COMMITMENTS)


def _openings(run: Run) -> int:
    """The openings with the poke before them."""
    first_poke = next((each.gas for each in run.spent if each.call == "poke"), 0)
    return first_poke + run.gas_of(("poke+revealBatch", "revealBatch"))


def _calls(run: Run) -> dict[str, dict[str, int]]:
    return {
        kind.call: {"transactions": kind.transactions, "items": kind.items, "gas": kind.gas} for kind in run.kinds()
    }


def _per_bid(auctions: Auctions) -> dict[str, dict[str, int]]:
    return {
        name: {
            "commitment": _rounded(_commitments(run) / run.bids),
            "opening": _rounded(_openings(run) / run.bids),
            "both": _rounded(bids_gas(run) / run.bids),
        }
        for name, run in (("relayed", auctions.relayed), ("self_sent", auctions.self_sent))
    }


def _baseline(name: str, measurement: Measurement) -> dict[str, Any]:
    baseline = BASELINES[name]
    figures: dict[str, Any] = {"what": baseline.what, "per_call": {}, "auction": {}, "per_bid": {}, "ratio": {}}
    for bids, auctions in measurement.by_bids.items():
        run, key = baseline.run_of(auctions), str(bids)
        its_bids = run.gas_of(baseline.bidding)
        its_auction = its_bids + run.gas_of(baseline.posting)
        figures["per_call"][key] = _calls(run)
        figures["auction"][key] = its_auction
        figures["per_bid"][key] = _rounded(its_bids / bids)
        figures["ratio"][key] = {
            way: {
                "auction": round(auction_gas(ours) / its_auction, 3),
                "per_bid": round(bids_gas(ours) / its_bids, 3),
            }
            for way, ours in (("relayed", auctions.relayed), ("self_sent", auctions.self_sent))
        }
    return figures


def _target(most: int, measured: float | None) -> dict[str, Any]:
    if measured is None:
        return {"most": most, "measured": None, "met": None}
    return {"most": most, "measured": _rounded(measured), "met": measured <= most}


def _rounded(gas: float) -> int:
    """Up: no figure looks better than it is."""
    return -int(-gas // 1)


def reading(report: dict[str, Any]) -> str:
    """The report in one line."""
    sentences = []
    bids = str(JOB_BIDS) if str(JOB_BIDS) in report["whole_job"] else str(report["bids"][0])
    sentences.append(
        f"A whole honest job with {bids} bids and {report['seats']} validators costs {report['whole_job'][bids]:,} gas"
    )
    most = str(max(report["bids"]))
    ratios = [report["baselines"][name]["ratio"][most]["relayed"]["per_bid"] for name in BASELINES]
    per_bid = report["per_bid"][most]["relayed"]["both"]
    sentences.append(
        f"a relayed bid among {most} costs {per_bid:,}, {ratios[0]:.0%} of the documentation's blind auction and "
        f"{ratios[1]:.0%} of the naive one"
    )
    first = report["first_job"]
    sentences.append(
        f"that is by seats that have served before: the first job of all, of {first['bids']} bids, "
        f"cost {first['gas']:,}"
    )
    sentences.append(_judgement(report["targets"]))
    return "; ".join(sentences) + "."


def _judgement(every: dict[str, dict[str, Any]]) -> str:
    missed = [name.replace("_", " ") for name, target in every.items() if target["met"] is False]
    unmeasured = sum(target["met"] is None for target in every.values())
    if missed:
        return f"missed: {', '.join(missed)}"
    if unmeasured:
        return f"all targets that were measured are met ({unmeasured} were not)"
    return "all targets are met"
