"""Every rule of gossip with its negative neighbour: accept, ignore or reject, and never an exception."""

from collections import OrderedDict

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from morphware.protocol import gossip
from morphware.protocol.codec import MESSAGE_BYTES_MAX, decode, encode
from morphware.protocol.commitments import Domain
from morphware.protocol.crypto import peer_public_key
from morphware.protocol.gossip import (
    AUTHOR_BURST,
    CLOCK_SKEW_S,
    RECORDS_MOST,
    TOPICS,
    all_topics,
    judge,
    net_of,
    topic_of,
)
from morphware.protocol.messages import (
    LIFETIME_S,
    TYPE_OF,
    BidKey,
    Body,
    Envelope,
    MessageType,
    NodeRecord,
)
from morphware.protocol.states import State
from morphware.protocol.units import Address
from morphware.protocol.verdicts import Accept, Ignore, Reject
from tests.protocol.gossip_world import (
    ACCOUNTS,
    ANNOUNCE,
    DOMAIN,
    EVERYTHING,
    JOB,
    KEY,
    NET,
    NO_JOB,
    NOW,
    PEER_SEEDS,
    SEALED,
    envelope_of,
    every_kind,
    job_in,
    knowledge_of,
    record_of,
    say,
)

# --- what holds for every message -----------------------------------------------------------------------------------


@every_kind
def test_a_message_in_order_is_accepted_once(body: Body, author: str, state: State) -> None:
    knowledge = knowledge_of(state)
    assert say(knowledge, body, author) == Accept()
    assert say(knowledge, body, author) == Ignore("seen before")


@every_kind
def test_another_s_signature_is_rejected(body: Body, author: str, state: State) -> None:
    envelope = msgspec.structs.replace(envelope_of(body, author), signature=envelope_of(body, "stranger").signature)
    topic = topic_of(NET, TYPE_OF[type(body)], envelope.job)
    assert judge(topic, encode(envelope), knowledge_of(state), NOW) == Reject("its signature is not its author's")


@every_kind
def test_a_message_on_another_topic_is_rejected(body: Body, author: str, state: State) -> None:
    envelope = envelope_of(body, author)
    right = topic_of(NET, TYPE_OF[type(body)], envelope.job)
    for topic in all_topics(NET):
        verdict = judge(topic, encode(envelope), knowledge_of(state), NOW)
        assert isinstance(verdict, Accept if topic == right else Reject)


@every_kind
def test_a_message_of_another_network_is_rejected(body: Body, author: str, state: State) -> None:
    envelope = msgspec.structs.replace(envelope_of(body, author), net=bytes(8))
    verdict = judge(topic_of(NET, TYPE_OF[type(body)], envelope.job), encode(envelope), knowledge_of(state), NOW)
    assert verdict == Reject("another network's message")


@every_kind
def test_a_message_lives_as_long_as_its_kind_may(body: Body, author: str, state: State) -> None:
    life = LIFETIME_S[TYPE_OF[type(body)]]
    if not isinstance(body, BidKey | NodeRecord):
        assert say(knowledge_of(state), body, author, now=NOW + life) == Accept()
    assert say(knowledge_of(state), body, author, now=NOW + life + 1) == Ignore("it is out of date")
    envelope = msgspec.structs.replace(envelope_of(body, author), lifetime_s=life + 1)
    verdict = judge(topic_of(NET, TYPE_OF[type(body)], envelope.job), encode(envelope), knowledge_of(state), NOW)
    assert verdict == Reject("it wants to live too long")


def test_a_message_from_the_future_is_ignored_beyond_the_skew() -> None:
    assert say(knowledge_of(), SEALED, "worker", sent_at=NOW + CLOCK_SKEW_S) == Accept()
    assert isinstance(say(knowledge_of(), SEALED, "worker", sent_at=NOW + CLOCK_SKEW_S + 1), Ignore)


def test_an_author_without_a_record_is_ignored() -> None:
    assert say(knowledge_of(), SEALED, "new") == Ignore("its author has no record here")
    knowledge = knowledge_of()
    assert say(knowledge, record_of("new"), "new") == Accept()
    assert say(knowledge, SEALED, "new") == Accept()


def test_an_author_with_nothing_at_stake_is_ignored() -> None:
    knowledge = knowledge_of()
    knowledge.is_funded = lambda account: account != ACCOUNTS["worker"]
    assert say(knowledge, SEALED, "worker") == Ignore("its author has nothing at stake")
    assert say(knowledge, SEALED, "stranger") == Accept()


def test_an_author_that_speaks_too_often_is_ignored_and_later_heard_again() -> None:
    knowledge = knowledge_of()
    verdicts = [say(knowledge, ANNOUNCE, "user", sequence=number) for number in range(1, AUTHOR_BURST + 2)]
    assert verdicts == [Accept()] * AUTHOR_BURST + [Ignore("its author speaks too often")]
    assert say(knowledge, SEALED, "worker") == Accept(), "nobody else is held back"
    assert say(knowledge, ANNOUNCE, "user", sequence=99, now=NOW + 1) == Accept()


def test_an_older_sequence_is_ignored_where_only_the_newest_word_counts() -> None:
    knowledge = knowledge_of()
    assert say(knowledge, ANNOUNCE, "user", sequence=5) == Accept()
    assert isinstance(say(knowledge, ANNOUNCE, "user", sequence=4), Ignore)
    assert say(knowledge, ANNOUNCE, "user", sequence=6) == Accept()


def test_several_bids_of_one_author_may_arrive_in_any_order() -> None:
    knowledge = knowledge_of()
    for number in (3, 1, 2):
        body = msgspec.structs.replace(SEALED, commitment=bytes([number] * 32))
        assert say(knowledge, body, "worker", sequence=number) == Accept()


def test_too_large_a_message_is_rejected_unread() -> None:
    assert isinstance(judge("any", bytes(MESSAGE_BYTES_MAX + 1), knowledge_of(), NOW), Reject)


def test_an_unknown_type_is_ignored_for_those_who_come_later() -> None:
    envelope = msgspec.structs.replace(envelope_of(SEALED, "worker"), type=200)
    assert judge("any", encode(envelope), knowledge_of(), NOW) == Ignore("unknown type")


def test_a_body_of_another_kind_is_rejected() -> None:
    envelope = msgspec.structs.replace(envelope_of(SEALED, "worker"), type=MessageType.BID_KEY)
    assert isinstance(judge("any", encode(envelope), knowledge_of(), NOW), Reject)


def test_what_is_not_accepted_is_not_remembered() -> None:
    knowledge = knowledge_of()
    assert isinstance(say(knowledge, KEY, "worker"), Reject)
    assert not (knowledge.seen or knowledge.sequences or knowledge.heard_keys)
    knowledge.jobs = {JOB: job_in(State.REVEALING)}
    assert say(knowledge, KEY, "worker") == Accept()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "SEEN_MOST", 3)
    store: OrderedDict[int, int] = OrderedDict()
    for number in range(5):
        gossip._put(store, number, number)
    gossip._put(store, 3, 9)
    assert list(store) == [2, 4, 3]


# --- node records ---------------------------------------------------------------------------------------------------


def test_a_record_that_the_account_did_not_sign_is_rejected() -> None:
    verdict = say(knowledge_of(), record_of("new", signer="stranger"), "new")
    assert verdict == Reject("the account did not sign this record")


def test_an_accepted_record_binds_the_peer_key() -> None:
    knowledge = knowledge_of()
    say(knowledge, record_of("new"), "new")
    assert knowledge.peer_keys[ACCOUNTS["new"]] == peer_public_key(PEER_SEEDS["new"])


def test_an_expired_record_is_ignored() -> None:
    assert say(knowledge_of(), record_of("new", expires_at=NOW - 1), "new") == Ignore("the record has expired")
    late = say(knowledge_of(), record_of("new", expires_at=NOW + 10), "new", now=NOW + 11)
    assert late == Ignore("the record has expired")
    assert say(knowledge_of(), record_of("new", expires_at=NOW), "new") == Accept()


def test_an_older_record_does_not_displace_a_newer_one() -> None:
    """Whoever holds a peer key that was replaced can wrap the old record anew, with any sequence."""
    knowledge = knowledge_of()
    assert say(knowledge, record_of("new", expires_at=NOW + 20), "new") == Accept()
    old = say(knowledge, record_of("new", expires_at=NOW + 19), "new", sequence=2)
    assert old == Ignore("a newer record is known")
    assert say(knowledge, record_of("new", expires_at=NOW + 20), "new", sequence=3) == Accept()


def test_records_are_bounded_and_known_accounts_may_renew() -> None:
    knowledge = knowledge_of()
    for number in range(RECORDS_MOST):
        knowledge.peer_keys[Address(number.to_bytes(20, "big"))] = bytes(32)
    assert say(knowledge, record_of("new"), "new") == Ignore("too many records")
    assert say(knowledge, record_of("worker"), "worker") == Accept()


# --- noise ----------------------------------------------------------------------------------------------------------


@given(st.sampled_from(all_topics(NET)), st.binary(max_size=400))
def test_noise_is_rejected_and_never_raises(topic: str, data: bytes) -> None:
    assert isinstance(judge(topic, data, knowledge_of(), NOW), Reject)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(EVERYTHING), st.data())
def test_a_valid_message_with_one_changed_byte_is_never_accepted(
    case: tuple[Body, str, State], data: st.DataObject
) -> None:
    body, author, state = case
    envelope = envelope_of(body, author)
    raw = bytearray(encode(envelope))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    verdict = judge(topic_of(NET, TYPE_OF[type(body)], envelope.job), bytes(raw), knowledge_of(state), NOW)
    assert isinstance(verdict, Ignore | Reject)


@given(st.sampled_from(EVERYTHING), st.integers(0, 400))
@example(EVERYTHING[0], 0)
def test_a_message_cut_short_is_rejected(case: tuple[Body, str, State], size: int) -> None:
    body, author, state = case
    raw = encode(envelope_of(body, author))
    assert isinstance(judge("any", raw[: min(size, len(raw) - 1)], knowledge_of(state), NOW), Reject)


def test_topics_are_one_for_each_kind_and_shard() -> None:
    assert set().union(*TOPICS.values()) == set(MessageType)
    topics = all_topics(NET)
    assert len(topics) == len(set(topics)) == 2 + 2 * 16
    assert topic_of(NET, MessageType.BID_KEY, JOB) == f"/mw/1/{NET.hex()}/bids/0a"
    assert topic_of(NET, MessageType.NODE_RECORD, NO_JOB) == f"/mw/1/{NET.hex()}/nodes"
    assert decode(encode(envelope_of(KEY, "worker")), Envelope).type == MessageType.BID_KEY


def test_a_network_is_its_chain_market_and_genesis() -> None:
    assert len(NET) == 8
    others = {
        net_of(Domain(1, DOMAIN.market), b"g" * 32),
        net_of(Domain(31337, Address(bytes(20))), b"g" * 32),
        net_of(DOMAIN, b"h" * 32),
        NET,
    }
    assert len(others) == 4
