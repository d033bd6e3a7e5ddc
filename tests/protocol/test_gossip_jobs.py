"""What may be said of a job, by whom and when: announcements, sealed bids and their keys, models, reports."""

import msgspec
import pytest

from morphware.protocol import chain_events as ce
from morphware.protocol.codec import wei_to_bytes
from morphware.protocol.gossip import (
    CHAIN_SKEW_S,
    NEWS_S,
    SEALED_BIDS_PER_AUTHOR,
    Knowledge,
)
from morphware.protocol.messages import (
    Body,
    NodeRecord,
)
from morphware.protocol.states import State
from morphware.protocol.units import Wei
from morphware.protocol.verdicts import Accept, Ignore, Reject
from tests.protocol.gossip_world import (
    ACCOUNTS,
    ANNOUNCE,
    COMMITMENT,
    DEADLINE,
    DOMAIN,
    FILE,
    JOB,
    KEY,
    NET,
    NOTICE,
    NOW,
    OPENING,
    READY,
    SEALED,
    every_kind,
    job_in,
    knowledge_of,
    say,
)

# --- announcements --------------------------------------------------------------------------------------------------


def test_only_the_end_user_announces_its_job() -> None:
    assert say(knowledge_of(), ANNOUNCE, "stranger") == Reject("only the end user announces a job")


@pytest.mark.parametrize(
    "change", [{"reserve_wei": wei_to_bytes(Wei(99))}, {"spec_hash": bytes(32)}, {"bids_until": DEADLINE + 1}]
)
def test_an_announcement_that_differs_from_the_chain_is_rejected(change: dict[str, object]) -> None:
    assert isinstance(say(knowledge_of(), msgspec.structs.replace(ANNOUNCE, **change), "user"), Reject)


def test_an_announcement_after_bidding_is_ignored() -> None:
    assert say(knowledge_of(State.REVEALING), ANNOUNCE, "user") == Ignore("bidding is over")


@every_kind
def test_a_job_that_is_not_on_chain_yet_is_ignored(body: Body, author: str, state: State) -> None:
    knowledge = knowledge_of(state)
    knowledge.jobs = {}
    assert isinstance(say(knowledge, body, author), Accept if isinstance(body, NodeRecord) else Ignore)


# --- sealed bids and their keys -------------------------------------------------------------------------------------


def test_sealed_bids_are_heard_until_the_bids_are_opened() -> None:
    assert say(knowledge_of(State.REVEALING), SEALED, "worker") == Accept()
    assert say(knowledge_of(State.AWARDED), SEALED, "worker") == Ignore("the auction is over")


def test_an_author_may_send_so_many_sealed_bids_and_no_more() -> None:
    knowledge = knowledge_of()
    bodies = [msgspec.structs.replace(SEALED, commitment=bytes([number] * 32)) for number in range(9)]
    verdicts = [say(knowledge, body, "worker", sequence=number) for number, body in enumerate(bodies)]
    assert verdicts[:SEALED_BIDS_PER_AUTHOR] == [Accept()] * SEALED_BIDS_PER_AUTHOR
    assert isinstance(verdicts[-1], Ignore)
    assert say(knowledge, SEALED, "stranger") == Accept()


def test_a_key_is_heard_while_bids_are_opened_and_only_once() -> None:
    knowledge = knowledge_of(State.REVEALING)
    assert say(knowledge, KEY, "worker") == Accept()
    assert say(knowledge, KEY, "worker", sequence=2) == Ignore("this bid's key was heard")
    assert say(knowledge_of(State.AWARDED), KEY, "worker") == Ignore("the auction is over")


def test_a_copier_s_key_does_not_shut_out_the_bidder_s() -> None:
    """Whoever commits to a copy may show a key for it; it must not count as the one key that is heard of the bid."""
    knowledge = knowledge_of(State.REVEALING)
    knowledge.jobs[JOB].apply(ce.BidCommitted(JOB, ACCOUNTS["stranger"], COMMITMENT, 1))
    copied = msgspec.structs.replace(KEY, key=b"x" * 32)
    assert say(knowledge, copied, "stranger") == Accept()
    assert say(knowledge, copied, "stranger", sequence=2) == Ignore("this bid's key was heard")
    assert say(knowledge, KEY, "worker") == Accept()


def test_a_key_of_another_s_bid_is_ignored() -> None:
    knowledge = knowledge_of(State.REVEALING)
    assert isinstance(say(knowledge, KEY, "stranger"), Ignore)
    assert isinstance(say(knowledge, msgspec.structs.replace(KEY, commitment=bytes(32)), "worker"), Ignore)


@pytest.mark.parametrize(
    ("before_deadline_s", "kind"),
    [
        (100, Reject),
        (CHAIN_SKEW_S + 1, Reject),
        (CHAIN_SKEW_S, Ignore),
        (NEWS_S + 1, Ignore),
        (NEWS_S, Accept),
        (-50, Accept),
    ],
)
@pytest.mark.parametrize("ahead_s", [0, 5_000_000, -5_000_000])
def test_a_key_before_the_deadline_is_rejected_by_the_chain_s_clock(
    before_deadline_s: int, kind: type, ahead_s: int
) -> None:
    """Whatever our own clock shows: a test chain's may be months away from it."""
    knowledge = knowledge_of()
    now = float(NOW - ahead_s)
    knowledge.note_block(DEADLINE - before_deadline_s, now)
    assert isinstance(say(knowledge, KEY, "worker", now=now, sent_at=int(now)), kind)


def test_the_chain_s_clock_runs_on_between_blocks() -> None:
    knowledge = knowledge_of()
    knowledge.note_block(DEADLINE - 40, float(NOW))
    assert isinstance(say(knowledge, KEY, "worker"), Reject)
    assert isinstance(say(knowledge, KEY, "worker", now=NOW + 39 - NEWS_S), Ignore)
    assert isinstance(say(knowledge, KEY, "worker", now=NOW + 40), Accept)


def test_without_a_block_nobody_is_blamed() -> None:
    knowledge = Knowledge(DOMAIN, NET, knowledge_of().peer_keys, {JOB: job_in(State.BIDDING)})
    assert knowledge.chain_time(NOW) is None
    assert say(knowledge, KEY, "worker") == Ignore("bidding may not be over")


# --- models and notices ---------------------------------------------------------------------------------------------


def test_only_the_winner_says_that_the_model_is_ready() -> None:
    assert isinstance(say(knowledge_of(State.SEED), READY, "stranger"), Reject)
    assert isinstance(say(knowledge_of(State.TRAINING), READY, "worker"), Ignore)


@pytest.mark.parametrize("change", [{"sha256": b"g" * 32}, {"size_bytes": 1}, {"magnet": "magnet:?elsewhere"}])
def test_a_file_that_is_not_the_one_on_chain_is_rejected(change: dict[str, object]) -> None:
    ready = msgspec.structs.replace(READY, file=msgspec.structs.replace(FILE, **change))
    assert say(knowledge_of(State.SEED), ready, "worker") == Reject("the file is not the one on chain")


def test_an_unreadable_manifest_on_chain_blames_no_peer() -> None:
    knowledge = knowledge_of(State.TRAINING)
    view = knowledge.jobs[JOB]
    view.apply(ce.ModelSubmitted(JOB, bytes(32), bytes(32), bytes(32), bytes(32), 5, b"garbage"))
    assert isinstance(say(knowledge, READY, "worker"), Ignore)


def test_only_the_committee_gives_notice() -> None:
    assert isinstance(say(knowledge_of(State.VCOMMIT), NOTICE, "stranger"), Reject)
    assert isinstance(say(knowledge_of(State.SEED), NOTICE, "validator"), Ignore)
    other = msgspec.structs.replace(NOTICE, round=1)
    assert isinstance(say(knowledge_of(State.VCOMMIT), other, "validator"), Ignore)


def test_a_report_is_heard_only_while_reports_are_opened() -> None:
    """An early one is let drop, and blames nobody: a peer may have seen the last commitment a block before us."""
    for state in (State.VCOMMIT, State.TALLIED, State.DRAWING, State.CLOSED):
        assert say(knowledge_of(state), OPENING, "validator") == Ignore("reports are not being opened")
    knowledge = knowledge_of(State.VREVEAL)
    knowledge.jobs[JOB].apply(ce.ReportRevealed(JOB, 0, ACCOUNTS["validator"], 950_000, 123, b"p" * 32))
    assert say(knowledge, OPENING, "validator") == Ignore("the report is open")


@pytest.mark.parametrize(
    "change", [{"metric_e6": 950_001}, {"fingerprint_e9": -123}, {"prediction_root": bytes(32)}, {"salt": bytes(32)}]
)
def test_an_opening_of_something_else_is_rejected(change: dict[str, object]) -> None:
    wrong = msgspec.structs.replace(OPENING, **change)
    assert isinstance(say(knowledge_of(State.VREVEAL), wrong, "validator"), Reject)


def test_only_the_newest_committee_speaks_and_a_round_to_come_blames_nobody() -> None:
    assert isinstance(say(knowledge_of(State.VREVEAL), OPENING, "stranger"), Reject)
    later = msgspec.structs.replace(OPENING, round=1)
    assert isinstance(say(knowledge_of(State.VREVEAL), later, "stranger"), Ignore)
    knowledge = knowledge_of(State.VREVEAL)
    knowledge.jobs[JOB].apply(ce.CommitteeDrawn(JOB, 1, bytes(32), (ACCOUNTS["stranger"],)))
    assert isinstance(say(knowledge, OPENING, "validator"), Ignore)
    assert isinstance(say(knowledge, NOTICE, "validator"), Ignore)
    assert isinstance(say(knowledge, msgspec.structs.replace(NOTICE, round=1), "validator"), Reject)
