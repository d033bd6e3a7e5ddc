"""What the contracts' refusals mean, said to people: one sentence an error, with its numbers, ending in what to do."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from morphware.node.chain.abi import Interface, Revert
from morphware.node.ports import Refused
from morphware.protocol.states import State
from morphware.protocol.units import TOKEN

Values = Mapping[str, Any]

PANICS: Final = {0x01: "an assertion failed", 0x11: "a number overflowed", 0x12: "a division by zero"}
LONGEST_MESSAGE: Final = 200


def refuse(interface: Interface, data: bytes) -> Refused:
    """The refusal that a revert's bytes say."""
    revert = interface.decode_revert(data)
    return Refused(revert.name, revert.values, explain(revert))


def explain(revert: Revert) -> str:
    """One sentence for people."""
    sentence = SENTENCES.get(revert.name)
    if sentence is None:
        return f"The contract refused the call with {revert.name}, which this version does not know: update the node."
    try:
        return sentence(revert.values)
    except (KeyError, ValueError, TypeError, OverflowError):
        return f"The contract refused the call with {revert.name}."


def tokens(amount_wei: int) -> str:
    """An amount in tokens, exact, without trailing zeros."""
    text = f"{Decimal(amount_wei).scaleb(-len(str(TOKEN)) + 1):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _account(address: bytes) -> str:
    return "0x" + address.hex()


def _job(job_id: bytes) -> str:
    return f"job {job_id.hex()[:8]}"


def _time(timestamp: int) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _state(values: Values) -> str:
    return State(values["actual"]).name


def _wrong_state(values: Values) -> str:
    if values["actual"] == State.NONE:
        return f"The market knows no {_job(values['jobId'])}: check the job's number and the network."
    return f"The {_job(values['jobId'])} is in state {_state(values)}, which has no such call: look at its state first."


TERMS: Final = {
    "reserve": (
        "correct the reserve, which has to lie between a 32nd and a quarter of a seat's stake for each of the "
        "committee's validators and one more"
    ),
    "fee": "raise the fee of a validator to a hundredth of a seat's stake at least",
    "seats": "ask for an odd number of validators, 11 at most",
    "biddingSeconds": "give the bidding a window of one second to 30 days",
    "trainingSeconds": "give the training a window of one second to 30 days",
    "testingSeconds": "give the testing a window of 30 days at most, and no less than the market's for opening reports",
    "options": "correct the options, which do not go together",
    "baseline": "choose a baseline below the threshold, or none where the price is all or nothing",
}
"""What to do about a field of a job's terms."""


def _bad_terms(values: Values) -> str:
    field = values["field"]
    return f"The terms are not allowed: {TERMS.get(field, f'correct {field[:LONGEST_MESSAGE]}')}."


SENTENCES: Final[dict[str, Callable[[Values], str]]] = {
    # the market's
    "WrongState": _wrong_state,
    "TooLate": lambda v: (
        f"The {_job(v['jobId'])} took this call until {_time(v['deadline'])}, and the chain's clock says "
        f"{_time(v['timestamp'])}: it is too late."
    ),
    "TooEarly": lambda v: (
        f"The {_job(v['jobId'])} can be moved on from {_time(v['deadline'])} on, and the chain's clock says "
        f"{_time(v['timestamp'])}: wait until then."
    ),
    "WrongCaller": lambda v: (
        f"Only {_account(v['wanted'])} may make this call, not {_account(v['caller'])}: use that account's keys."
    ),
    "InsufficientBalance": lambda v: (
        f"The account has {tokens(v['balance'])} tokens in the market but the call needs {tokens(v['needed'])}: "
        "deposit more, or lower the reserve."
    ),
    "WrongPreimage": lambda v: (
        "What was revealed is not what was committed to: reveal the values that belong to hash "
        f"0x{v['wanted'].hex()[:16]}."
    ),
    "JobExists": lambda v: f"The {_job(v['jobId'])} has been posted already: wait for it, or change the specification.",
    "BadTerms": _bad_terms,
    "NotEnoughSeats": lambda v: (
        f"This needs {v['needed']} validator seats and the market has {v['available']}: ask for a smaller "
        "committee, or wait for validators."
    ),
    "UserMayNotBid": lambda v: "An end user may not bid on its own job: bid from another account.",
    "CommitmentExists": lambda v: "This very commitment is on chain already: make a new one with a fresh salt.",
    "UnknownCommitment": lambda v: (
        "No commitment on chain is the one to these values, or all of them have been opened: look at the job's state, "
        "then check the values and their salt."
    ),
    "NothingTaken": lambda v: (
        f"The {_job(v['jobId'])} could use none of the signed commitments: check the signatures, and that they are new "
        "and their bonds covered."
    ),
    "AlreadyBid": lambda v: (
        f"The job has {v['commitments']} sealed bids already, so it can no longer be cancelled: let the auction run."
    ),
    "NotOnCommittee": lambda v: (
        f"The account {_account(v['account'])} was not drawn for this job's committee: there is nothing for it to do."
    ),
    "AlreadyDone": lambda v: f"The account {_account(v['account'])} has done this already: nothing is left to do.",
    "AlreadyDisclosed": lambda v: (
        f"The keys of {_job(v['jobId'])} that this complains of are public already: read them from the chain."
    ),
    "WrongAccused": lambda v: (
        f"In {_job(v['jobId'])} the other side is asked for its keys: leave the answer to it, or publish those."
    ),
    "NoAppealLeft": lambda v: (
        f"The {_job(v['jobId'])} was appealed as often as it can be: accept what the last committee found."
    ),
    "WrongBoxCount": lambda v: (
        f"The call carries {v['actual']} sealed boxes and the committee has {v['wanted']} members: send one for each."
    ),
    "BoxTooLarge": lambda v: (
        f"The call carries {v['actual']} bytes or items where at most {v['most']} are allowed: shorten it, or split it."
    ),
    "SeedBlockPending": lambda v: (
        f"The draw that this waits for is by the hash of block {v['seedBlock']}, and the chain is at block "
        f"{v['current']}: try again in a few blocks."
    ),
    "SeatNotYours": lambda v: f"Seat {v['seat']} belongs to {_account(v['owner'])}: use that account's keys.",
    "SeatBusy": lambda v: f"Seat {v['seat']} is on a committee: wait until that job has ended.",
    "SeatBonding": lambda v: f"The stake of seat {v['seat']} is free from {_time(v['freeAt'])} on: wait until then.",
    "SeatNotLeaving": lambda v: f"Seat {v['seat']} was not asked to leave: ask for it first, then wait.",
    # the token's
    "ERC20InsufficientBalance": lambda v: (
        f"The wallet has {tokens(v['balance'])} tokens but {tokens(v['needed'])} are needed: get more tokens."
    ),
    "ERC20InsufficientAllowance": lambda v: (
        f"The market may draw {tokens(v['allowance'])} tokens from the wallet but {tokens(v['needed'])} are needed: "
        "approve the amount first."
    ),
    "ERC20InvalidReceiver": lambda v: "Tokens cannot be sent to this address: check it.",
    "ERC20InvalidSpender": lambda v: "This address cannot be given an allowance: check it.",
    "SafeERC20FailedOperation": lambda v: "The token refused to move: check the wallet's balance and allowance.",
    "ERC2612ExpiredSignature": lambda v: "The permit's deadline has passed: sign a new one.",
    "ERC2612InvalidSigner": lambda v: "The permit was signed by another account: sign it with the wallet's key.",
    # the language's
    "Error": lambda v: f"The contract refused the call: {v['message'][:LONGEST_MESSAGE]}",
    "Panic": lambda v: (
        f"The contract stopped, since {PANICS.get(v['code'], 'of error ' + hex(v['code']))}: check the call's numbers."
    ),
    "Reverted": lambda v: "The contract refused the call without giving a reason: check the addresses and the network.",
}
"""By the error's name in the contracts."""
