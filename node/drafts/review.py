"""What posting a job locks, what each way for it to go costs, and when the rest is back: the market's rules, in words.

The amounts follow ``protocol.settlement``.  A loss is told at its largest: the price is at most the reserve, and every
validator may earn its fee.
"""

from dataclasses import dataclass
from typing import Final

from morphware.node.amounts import format_tokens
from morphware.node.api.answers.submitting import Escrowed, Window
from morphware.node.wording import with_symbol
from morphware.protocol.appeals import APPEALS_MOST, COMMITTEE_MOST
from morphware.protocol.drawing import MOST_WAITS
from morphware.protocol.parameters import Timing
from morphware.protocol.settlement import AUDITED_PRICE, MUTUAL_ABORT_BPS
from morphware.protocol.testing import REDRAWS_MOST
from morphware.protocol.units import BPS, Wei
from morphware.protocol.user import Submission

APPEALS_BY_USER: Final = APPEALS_MOST + 1
"""One more than anybody's while the model may be inspected."""

LOSSES: Final = {
    "paid": "The price, at most the whole reserve, a hundredth of it for random audits, and the validators' fees. The "
    "model is yours.",
    "rejected": "The fees of validators who tested, also where the worker fails. Everything else comes back.",
    "no_bids": "Everything comes back, also if you cancel before anybody has bid.",
    "keys_late": "If this node does not hand the data's keys to the worker, half of your bond is the worker's, half "
    "burns.",
    "tests_late": "If this node does not hand the testing data's keys to the validators, the worker is paid without a "
    "test, and your bond burns. Keep it running until the job ends.",
    "aborted": "Where nobody can tell whose fault that is, both sides burn a quarter of a bond.",
    "appeals": "If a model passes that this node's own test finds far worse, it appeals, as far as you have the "
    "tokens. Appeals that are lost cost their bonds, on top of the price.",
}
"""Each way for a job to go that costs its end user something, or might seem to."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """The amounts of one job, in wei."""

    reserve_wei: int
    fees_wei: int
    bond_wei: int
    audit_wei: int
    appeals_wei: int

    @classmethod
    def of(cls, submission: Submission) -> "Stakes":
        """What a submission puts at stake."""
        bonds, seats = 0, submission.seats
        for _ in range(APPEALS_BY_USER):
            seats = 2 * seats + 1
            if seats > COMMITTEE_MOST:
                break
            bonds += seats * submission.fee_wei
        return cls(
            reserve_wei=submission.reserve_wei,
            fees_wei=submission.seats * submission.fee_wei,
            bond_wei=submission.reserve_wei // 2,
            audit_wei=submission.reserve_wei // AUDITED_PRICE,
            appeals_wei=bonds,
        )

    @property
    def paid_wei(self) -> int:
        """What a model that passes costs at most."""
        return self.reserve_wei + self.audit_wei + self.fees_wei

    @property
    def abort_wei(self) -> int:
        """What each side burns where nobody can tell whose fault it was."""
        return self.bond_wei * MUTUAL_ABORT_BPS // BPS


def parts_of(submission: Submission) -> list[Escrowed]:
    """What posting locks, part by part."""
    stakes = Stakes.of(submission)
    fee = with_symbol(submission.fee_wei)
    return [
        Escrowed(
            what="reserve",
            amount_wei=str(stakes.reserve_wei),
            sentence="Pays the worker what the auction finds, at most all of it, and only for a model that passes. The "
            "rest comes back when the job ends.",
        ),
        Escrowed(
            what="fees",
            amount_wei=str(stakes.fees_wei),
            sentence=f"{submission.seats} validators get {fee} each for an honest test. What is not earned "
            "comes back when the job ends.",
        ),
        Escrowed(
            what="bond",
            amount_wei=str(stakes.bond_wei),
            sentence="Comes back when the job ends, if this node hands out its keys in time; a paid job leaves a "
            f"hundredth of the price, at most {with_symbol(stakes.audit_wei)}, for random audits.",
        ),
    ]


def losses_of(submission: Submission, gas_sentence: str) -> list[Escrowed]:
    """What each way for the job to go costs at most."""
    stakes = Stakes.of(submission)
    amounts = {
        "paid": stakes.paid_wei,
        "rejected": stakes.fees_wei,
        "no_bids": 0,
        "keys_late": stakes.bond_wei,
        "tests_late": stakes.reserve_wei + stakes.bond_wei + stakes.fees_wei,
        "aborted": stakes.abort_wei,
    }
    if stakes.appeals_wei:
        amounts["appeals"] = stakes.paid_wei + stakes.appeals_wei
    losses = [Escrowed(what=what, amount_wei=str(amount), sentence=LOSSES[what]) for what, amount in amounts.items()]
    return [*losses, Escrowed(what="gas", amount_wei="0", sentence=gas_sentence)]


def most_lost_wei(submission: Submission) -> int:
    """The largest of all losses."""
    stakes = Stakes.of(submission)
    return max(submission.escrow_wei, stakes.paid_wei + stakes.appeals_wei)


def gas_sentence(job_fees_wei: list[int]) -> str:
    """What transactions cost, by what this node's jobs have cost in the chain's coin."""
    known = ""
    if job_fees_wei:
        mean_wei = sum(job_fees_wei) // len(job_fees_wei)
        coins = format_tokens(Wei(round(mean_wei, 2 - len(str(mean_wei)))))
        known = f": about {coins} of it for each of this node's last jobs"
    return f"Transactions cost gas, which is paid in the chain's coin and never comes back{known}."


def windows_of(submission: Submission, timing: Timing) -> list[Window]:
    """How long each part of a job without disputes takes at most."""
    named = (
        ("bidding", submission.bidding_s), ("opening the bids", timing.revealing_s),
        ("handing out the data's keys", timing.keys_s), ("accepting them", timing.acknowledge_s),
        ("training", submission.training_s), ("choosing validators", timing.seed_s),
        ("handing out the model's and the test's keys", timing.keying_s), ("testing", submission.testing_s),
        ("opening the reports", timing.report_reveal_s), ("appealing", timing.appeal_s),
        ("handing over the model", timing.claim_s), ("inspecting it", timing.inspect_s),
    )  # fmt: skip
    return [Window(what=what, seconds=seconds) for what, seconds in named]


def longest_s(submission: Submission, timing: Timing) -> int:
    """How long a job takes at most if nobody appeals: every window to its end, every dispute, every draw made again."""
    draws_s = sum(timing.draw_s << 2 * waits for waits in range(MOST_WAITS + 1))
    round_s = draws_s + submission.testing_s + timing.report_reveal_s
    disputes_s = (
        (timing.dispute_s + timing.acknowledge_s)  # over the data's keys
        + (timing.dispute_s + timing.keying_s)  # over the end user's half of the model's key
        + 2 * (timing.dispute_s + submission.testing_s)  # over the keys for the test, on either side
    )
    has_audits = timing.audit_one_in > 0
    return (
        sum(window.seconds for window in windows_of(submission, timing))
        + disputes_s
        + draws_s
        + REDRAWS_MOST * round_s
        + has_audits * (round_s + timing.appeal_s)
    )
