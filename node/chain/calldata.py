"""Every call as calldata: which contract, which function, which arguments, in one table.

The classes of ``calls.py`` carry their values in the order of the contract, so most rows only name the function.
"""

from dataclasses import astuple, fields
from enum import Enum, auto
from functools import cache
from typing import Final

from morphware.contracts.loader import load
from morphware.node.chain.abi import Interface
from morphware.protocol import calls
from morphware.protocol.calls import Call


class Target(Enum):
    """The contract that a call is for."""

    MARKET = auto()
    TOKEN = auto()


FUNCTIONS: Final[dict[type[Call], tuple[Target, str]]] = {
    calls.Approve: (Target.TOKEN, "approve"),
    calls.Deposit: (Target.MARKET, "deposit"),
    calls.Withdraw: (Target.MARKET, "withdraw"),
    calls.Stake: (Target.MARKET, "stake"),
    calls.RequestUnstake: (Target.MARKET, "requestUnstake"),
    calls.Unstake: (Target.MARKET, "unstake"),
    calls.FundAudits: (Target.MARKET, "fundAudits"),
    calls.PublishNode: (Target.MARKET, "publishNode"),
    calls.Post: (Target.MARKET, "post"),
    calls.Cancel: (Target.MARKET, "cancel"),
    calls.Commit: (Target.MARKET, "commit"),
    calls.CommitBatch: (Target.MARKET, "commitBatch"),
    calls.RevealBids: (Target.MARKET, "revealBatch"),
    calls.DrawSplit: (Target.MARKET, "drawSplit"),
    calls.PostKeys: (Target.MARKET, "postKeys"),
    calls.Acknowledge: (Target.MARKET, "ack"),
    calls.Decline: (Target.MARKET, "decline"),
    calls.ComplainKey: (Target.MARKET, "complainKey"),
    calls.DiscloseKey: (Target.MARKET, "discloseKey"),
    calls.SubmitModel: (Target.MARKET, "submitModel"),
    calls.RevealSeed: (Target.MARKET, "revealSeed"),
    calls.ComplainX: (Target.MARKET, "complainX"),
    calls.DiscloseX: (Target.MARKET, "discloseX"),
    calls.PostTestKeys: (Target.MARKET, "postTestKeys"),
    calls.PostModelKeys: (Target.MARKET, "postModelKeys"),
    calls.CommitReport: (Target.MARKET, "commitReport"),
    calls.CommitReportBatch: (Target.MARKET, "commitReportBatch"),
    calls.ComplainKeys: (Target.MARKET, "complainKeys"),
    calls.DiscloseTest: (Target.MARKET, "discloseTest"),
    calls.DiscloseModel: (Target.MARKET, "discloseModel"),
    calls.RevealReports: (Target.MARKET, "revealReports"),
    calls.Claim: (Target.MARKET, "claim"),
    calls.Appeal: (Target.MARKET, "appeal"),
    calls.InspectAppeal: (Target.MARKET, "inspectAppeal"),
    calls.Poke: (Target.MARKET, "poke"),
}


@cache
def market_interface() -> Interface:
    """The market's ABI; the token's errors decode with it, since a deposit can fail there."""
    return Interface(load("Market").abi, load("MorphwareToken").abi)


@cache
def token_interface() -> Interface:
    """The token's ABI."""
    return Interface(load("MorphwareToken").abi)


def name_of(call: Call | calls.Multicall) -> str:
    """What logs and costs say of a call: Claim, or Poke+Claim where two of them share a transaction."""
    inside = call.calls if isinstance(call, calls.Multicall) else (call,)
    return "+".join(type(each).__name__ for each in inside)


def encode_call(call: Call | calls.Multicall, *, market: bytes) -> tuple[Target, bytes]:
    """The contract that a call is for, and its calldata; ``ValueError`` where a value does not fit.

    Args:
        market: the market's address, which an approval names as the spender.
    """
    if isinstance(call, calls.Multicall):
        inside = [encode_call(each, market=market)[1] for each in call.calls]
        return Target.MARKET, market_interface().encode("multicall", inside)
    target, function = FUNCTIONS[type(call)]
    if isinstance(call, calls.Approve):
        return target, token_interface().encode(function, market, call.amount_wei)
    # astuple turns the structs inside (terms, openings, reports) into tuples as well
    values = astuple(call)
    assert len(values) == len(fields(call))
    return target, market_interface().encode(function, *values)
