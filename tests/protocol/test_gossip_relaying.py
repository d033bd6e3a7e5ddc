"""What is signed for others to bring on chain: who may say it, when, how often, and that its author signed it."""

import msgspec
import pytest

from morphware.protocol import chain_events as ce
from morphware.protocol.calls import SignedBid
from morphware.protocol.codec import Malformed, decode, encode
from morphware.protocol.gossip import SIGNED_REPORTS_PER_ROUND
from morphware.protocol.messages import BidsSigned, ReportSigned, SignedCommitment
from morphware.protocol.signatures import commit_digest, commit_report_digest, is_signed_by, sign_digest
from morphware.protocol.states import State
from morphware.protocol.verdicts import Accept, Ignore, Reject
from tests.protocol.gossip_world import (
    ACCOUNTS,
    BIDS,
    COMMITMENT,
    DOMAIN,
    JOB,
    SECRETS,
    SIGNED_REPORT,
    knowledge_of,
    say,
)


def bids_signed(*commitments: bytes, signer: str = "worker", bidder: str = "worker") -> BidsSigned:
    return BidsSigned(
        bids=tuple(
            SignedCommitment(
                commitment=each,
                signature=sign_digest(SECRETS[signer], commit_digest(DOMAIN, JOB, ACCOUNTS[bidder], each)),
            )
            for each in commitments
        )
    )


def report_signed(
    commitment: bytes,
    *,
    number: int = 0,
    signed_number: int = 0,
    restarts: int = 0,
    signed_restarts: int = 0,
    signer: str = "fellow",
) -> ReportSigned:
    digest = commit_report_digest(DOMAIN, JOB, signed_number, signed_restarts, ACCOUNTS["fellow"], commitment)
    sealed = SignedCommitment(commitment=commitment, signature=sign_digest(SECRETS[signer], digest))
    return ReportSigned(round=number, restarts=restarts, sealed=sealed)


# --- bids -----------------------------------------------------------------------------------------------------------


def test_what_a_worker_signs_the_contract_takes_as_its_own() -> None:
    for bid in BIDS.bids:
        signed = SignedBid(ACCOUNTS["worker"], bid.commitment, bid.signature)
        digest = commit_digest(DOMAIN, JOB, signed.bidder, signed.commitment)
        assert is_signed_by(signed.bidder, digest, signed.signature)
        assert not is_signed_by(ACCOUNTS["stranger"], digest, signed.signature)


def test_a_worker_signs_its_bids_once() -> None:
    knowledge = knowledge_of()
    assert say(knowledge, BIDS, "worker") == Accept()
    again = say(knowledge, bids_signed(b"3" * 32), "worker", sequence=2)
    assert again == Ignore("its author's bids were heard")


def test_bids_that_their_author_did_not_sign_are_rejected() -> None:
    forged = bids_signed(b"1" * 32, signer="stranger")
    assert say(knowledge_of(), forged, "worker") == Reject("its author did not sign this bid")
    another = bids_signed(b"1" * 32, bidder="stranger", signer="stranger")
    assert say(knowledge_of(), another, "worker") == Reject("its author did not sign this bid")
    one_bad = BidsSigned(bids=(*bids_signed(b"1" * 32).bids, *bids_signed(b"4" * 32, signer="user").bids))
    assert say(knowledge_of(), one_bad, "worker") == Reject("its author did not sign this bid")


@pytest.mark.parametrize("commitments", [(b"1" * 32, b"1" * 32), (bytes(32),), (b"1" * 32, bytes(32))])
def test_a_bid_that_is_said_twice_or_is_none_is_rejected(commitments: tuple[bytes, ...]) -> None:
    assert say(knowledge_of(), bids_signed(*commitments), "worker") == Reject("it repeats a bid, or holds none")


def test_the_end_user_does_not_bid() -> None:
    own = bids_signed(b"1" * 32, signer="user", bidder="user")
    assert say(knowledge_of(), own, "user") == Reject("the end user does not bid on its own job")


@pytest.mark.parametrize("state", [State.REVEALING, State.AWARDED, State.CLOSED])
def test_bids_are_signed_while_bids_are_taken(state: State) -> None:
    assert say(knowledge_of(state), BIDS, "worker") == Ignore("bidding is over")


@pytest.mark.parametrize("count", [0, 5])
def test_a_message_holds_one_to_four_bids(count: int) -> None:
    bids = bids_signed(*[bytes([1 + number]) * 32 for number in range(count)])
    with pytest.raises(Malformed):
        decode(encode(bids), BidsSigned)
    assert isinstance(say(knowledge_of(), bids, "worker"), Reject)
    most = bids_signed(*[bytes([1 + number]) * 32 for number in range(4)])
    assert decode(encode(most), BidsSigned) == most


# --- reports --------------------------------------------------------------------------------------------------------


def test_a_report_that_its_author_did_not_sign_is_rejected() -> None:
    for forged in (
        report_signed(COMMITMENT, signer="validator"),
        report_signed(COMMITMENT, signed_number=1),
        report_signed(COMMITMENT, signed_restarts=1),
    ):
        verdict = say(knowledge_of(State.VCOMMIT), forged, "fellow")
        assert verdict == Reject("its author did not sign this commitment")
    empty = say(knowledge_of(State.VCOMMIT), report_signed(bytes(32)), "fellow")
    assert empty == Reject("its author did not sign this commitment")


def test_only_the_committee_signs_reports() -> None:
    verdict = say(knowledge_of(State.VCOMMIT), SIGNED_REPORT, "stranger")
    assert verdict == Reject("its author is not on the committee")


def test_a_report_of_another_round_is_ignored() -> None:
    verdict = say(knowledge_of(State.VCOMMIT), report_signed(COMMITMENT, number=1, signed_number=1), "fellow")
    assert verdict == Ignore("it is about another round")


def test_a_report_of_before_a_disclosure_is_ignored() -> None:
    knowledge = knowledge_of(State.VCOMMIT)
    knowledge.jobs[JOB].rounds[-1].restart()
    verdict = say(knowledge, SIGNED_REPORT, "fellow")
    assert verdict == Ignore("a key was disclosed in between")
    again = report_signed(COMMITMENT, restarts=1, signed_restarts=1)
    assert say(knowledge, again, "fellow") == Accept()


def test_a_report_that_is_on_chain_already_is_ignored() -> None:
    knowledge = knowledge_of(State.VCOMMIT)
    knowledge.jobs[JOB].apply(ce.ReportCommitted(JOB, 0, ACCOUNTS["fellow"], COMMITMENT))
    assert say(knowledge, SIGNED_REPORT, "fellow") == Ignore("its author's commitment is on chain")


@pytest.mark.parametrize("state", [State.KEYING, State.DISCLOSE, State.VREVEAL, State.TALLIED])
def test_reports_are_signed_while_they_are_committed_to(state: State) -> None:
    assert isinstance(say(knowledge_of(state), SIGNED_REPORT, "fellow"), Ignore)


def test_a_validator_signs_a_few_times_a_round() -> None:
    """As often as the round can begin again; it is a signature's check each time."""
    knowledge = knowledge_of(State.VCOMMIT)
    for number in range(SIGNED_REPORTS_PER_ROUND):
        assert say(knowledge, report_signed(bytes([1 + number]) * 32), "fellow", sequence=1 + number) == Accept()
    once_more = say(knowledge, report_signed(b"9" * 32), "fellow", sequence=9)
    assert once_more == Ignore("its author signed often enough")


def test_a_signature_of_another_length_does_not_decode() -> None:
    for length in (64, 66):
        spoiled = msgspec.structs.replace(SIGNED_REPORT.sealed, signature=bytes(length))
        with pytest.raises(Malformed):
            decode(encode(spoiled), SignedCommitment)
