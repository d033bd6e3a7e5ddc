"""What becomes of a job if nobody does anything more: what happens at its deadline, and who pays what for it.

Source: PROTOCOL.md 5.2 (the rows called *timeout*) and 5.3.
"""

from morphware.node.amounts import format_tokens
from morphware.protocol.states import State, Verdict
from morphware.protocol.view import JobView


def prospect(view: JobView) -> str:
    """One or two sentences; empty once the job has ended."""
    bond, reserve = _tokens(view.bond_wei), _tokens(view.terms.reserve_wei)
    half = _tokens(view.bond_wei // 2)
    price = _tokens(view.award.price_wei) if view.award else reserve
    user_fault = f"the end user loses its bond of {bond}: half of it goes to the winner, the rest burns"
    worker_fault = f"the winner loses its bond of {bond}: half of it goes to the end user, the rest burns"
    untested = f"the winner is paid its price of {price} without a test, and the end user's bond of {bond} burns"
    match view.state:
        case State.BIDDING if not view.bids:
            return "Without a bid everything goes back to the end user."
        case State.BIDDING:
            return "Then the bids are opened."
        case State.REVEALING:
            return f"Every bid that stays shut burns its bond of {bond}; the lowest authentic one that was opened wins."
        case State.AWARDED | State.KEY_DISPUTE:
            return _sentence(f"Without the data's keys {user_fault}, and the reserve goes back.")
        case State.KEYED:
            return f"If the winner stays silent, both lose a part of their bonds of {bond}, and the reserve goes back."
        case State.TRAINING:
            return _sentence(f"Without a model {worker_fault}, and the reserve goes back.")
        case State.SEED:
            return _sentence(f"Without the end user's seed {untested}.")
        case State.KEYING:
            return _sentence(
                f"If the end user is silent, {untested}; if the winner is, {worker_fault}; "
                "if both are, both lose a part of their bonds."
            )
        case State.X_DISPUTE:
            return _sentence(f"Without that half {worker_fault}, and the reserve goes back.")
        case State.DISCLOSE:
            return _sentence(f"Without the keys {untested if view.is_user_accused else worker_fault}.")
        case State.VCOMMIT:
            return "A validator that stays silent loses a part of its stake; the others' reports are opened."
        case State.VREVEAL:
            return "A report that stays shut costs its validator a part of its stake; the median of the others decides."
        case State.TALLIED:
            return _at_verdict(view, price, half)
        case State.DRAWING:
            return "Then the committee is drawn, which anybody may cause."
        case State.CLAIMABLE:
            return _sentence(f"Without the model's key {worker_fault}, and the reserve goes back.")
        case State.INSPECT:
            return f"Then the winner is paid {price}, and the rest of the escrow goes back to the end user."
        case State.NONE | State.CLOSED:
            return ""


def _at_verdict(view: JobView, price: str, half: str) -> str:
    """What the finding leads to if nobody doubts it."""
    match view.verdict:
        case Verdict.PASS | Verdict.NO_TEST:
            return f"Unless somebody appeals, the winner may claim its price of {price}."
        case Verdict.FAIL:
            return "Unless somebody appeals, the reserve goes back, and the winner loses a part of its bond."
        case Verdict.NO_MODEL:
            return f"Unless somebody appeals, the winner loses its bond, of which {half} go to the end user."
        case Verdict.NONE:
            return "Unless somebody appeals, the job ends without a verdict, and the reserve goes back."


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _tokens(wei: int) -> str:
    return f"{format_tokens(wei)} tokens"
