"""Every rule of gossip with its negative neighbour: accept, ignore or reject, and never an exception."""

from collections import OrderedDict

import msgspec
import pytest
from eth_keys.datatypes import PrivateKey
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from morphware.protocol import chain_events as ce
from morphware.protocol import gossip
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.codec import MESSAGE_BYTES_MAX, decode, encode, wei_to_bytes
from morphware.protocol.commitments import Domain, keccak, report_commitment
from morphware.protocol.crypto import peer_public_key, sha256_of
from morphware.protocol.gossip import (
    AUTHOR_BURST,
    CHAIN_SKEW_S,
    CLOCK_SKEW_S,
    NEWS_S,
    RECORDS_MOST,
    SEALED_BIDS_PER_AUTHOR,
    TOPICS,
    Knowledge,
    all_topics,
    judge,
    net_of,
    topic_of,
)
from morphware.protocol.messages import (
    LIFETIME_S,
    TYPE_OF,
    BidKey,
    BidSealed,
    BidsSigned,
    Body,
    Envelope,
    JobAnnounce,
    MessageType,
    ModelManifest,
    ModelReady,
    NodeRecord,
    ReportNotice,
    ReportOpening,
    ReportSigned,
    SignedCommitment,
    signed,
)
from morphware.protocol.records import record_digest
from morphware.protocol.signatures import commit_digest, commit_report_digest, sign_digest
from morphware.protocol.states import State
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.verdicts import Accept, Ignore, Reject, Verdict
from morphware.protocol.view import JobView, report_of
from tests.protocol.market_world import terms_of

NOW = 1_800_000_000
DEADLINE = Timestamp(NOW + 100)
DOMAIN = Domain(31337, Address(bytes(range(20))))
NET = net_of(DOMAIN, b"g" * 32)
JOB = JobId(bytes([0x2A]) + bytes(31))
NO_JOB = JobId(bytes(32))
SECRETS = {name: keccak(name.encode()) for name in ("user", "worker", "validator", "fellow", "stranger", "new")}
ACCOUNTS = {name: Address(PrivateKey(secret).public_key.to_canonical_address()) for name, secret in SECRETS.items()}
PEER_SEEDS = {name: keccak(b"peer" + name.encode()) for name in SECRETS}
FILE = SealedFile("magnet:?xt=urn:btmh:1220", 1000, b"f" * 32)
MANIFEST = ModelManifest(file=FILE, x_box=bytes(80))
COMMITMENT = b"c" * 32

SEALED = BidSealed(commitment=COMMITMENT, nonce=b"n" * 24, sealed=b"s" * 144)
KEY = BidKey(commitment=COMMITMENT, key=b"k" * 32)
ANNOUNCE = JobAnnounce(
    reserve_wei=wei_to_bytes(Wei(100)),
    bids_until=DEADLINE,
    spec_hash=sha256_of(b"spec"),
    torrent_host="h",
    torrent_port=1,
)
READY = ModelReady(file=FILE, torrent_host="h", torrent_port=1)
REPORT = report_of(ACCOUNTS["validator"], 950_000, 123, b"p" * 32, b"s" * 32)
OPENING = ReportOpening(round=0, metric_e6=950_000, fingerprint_e9=123, prediction_root=b"p" * 32, salt=b"s" * 32)
REPORT_SIGNATURE = sign_digest(
    SECRETS["fellow"], commit_report_digest(DOMAIN, JOB, 0, 0, ACCOUNTS["fellow"], COMMITMENT)
)
BIDS = BidsSigned(
    bids=tuple(
        SignedCommitment(
            commitment=commitment,
            signature=sign_digest(SECRETS["worker"], commit_digest(DOMAIN, JOB, ACCOUNTS["worker"], commitment)),
        )
        for commitment in (b"1" * 32, b"2" * 32)
    )
)
SIGNED_REPORT = ReportSigned(
    round=0, restarts=0, sealed=SignedCommitment(commitment=COMMITMENT, signature=REPORT_SIGNATURE)
)
NOTICE = ReportNotice(round=0, commitment=b"r" * 32, torrent_host="h", torrent_port=1)


def job_in(state: State) -> JobView:
    """A job whose one bidder is the worker, which also won, with the validator on its committee."""
    view = JobView(JOB, ACCOUNTS["user"], terms_of(), b"spec", state, DEADLINE)
    view.apply(ce.BidCommitted(JOB, ACCOUNTS["worker"], COMMITMENT, 0))
    if state > State.REVEALING:
        view.apply(ce.JobAwarded(JOB, ACCOUNTS["worker"], Wei(30), Wei(40), 0))
    if state > State.TRAINING:
        view.apply(ce.ModelSubmitted(JOB, bytes(32), bytes(32), bytes(32), bytes(32), 5, encode(MANIFEST)))
    if state > State.SEED:
        view.apply(ce.CommitteeDrawn(JOB, 0, bytes(32), (ACCOUNTS["validator"], ACCOUNTS["fellow"])))
        commitment = report_commitment(DOMAIN, JOB, 0, REPORT)
        view.apply(ce.ReportCommitted(JOB, 0, ACCOUNTS["validator"], commitment))
    return view


def knowledge_of(state: State = State.BIDDING) -> Knowledge:
    known = {ACCOUNTS[name]: peer_public_key(PEER_SEEDS[name]) for name in SECRETS if name != "new"}
    knowledge = Knowledge(DOMAIN, NET, known, {JOB: job_in(state)})
    knowledge.note_block(NOW, float(NOW))
    return knowledge


def record_of(name: str, *, signer: str | None = None, expires_at: int = NOW + 3600) -> NodeRecord:
    bare = NodeRecord(
        encryption_key=b"e" * 32,
        peer_key=peer_public_key(PEER_SEEDS[name]),
        roles=2,
        addresses=(),
        torrent_host="h",
        torrent_port=1,
        expires_at=expires_at,
        signature=bytes(65),
    )
    raw = PrivateKey(SECRETS[signer or name]).sign_msg_hash(record_digest(DOMAIN, ACCOUNTS[name], bare)).to_bytes()
    return msgspec.structs.replace(bare, signature=raw[:64] + bytes([raw[64] + 27]))


def envelope_of(
    body: Body, author: str, *, sequence: int = 1, sent_at: int = NOW, job: JobId | None = None
) -> Envelope:
    about = job or (NO_JOB if isinstance(body, NodeRecord) else JOB)
    return signed(
        body,
        net=NET,
        job=about,
        author=ACCOUNTS[author],
        sequence=sequence,
        sent_at=sent_at,
        peer_seed=PEER_SEEDS[author],
    )


def say(knowledge: Knowledge, body: Body, author: str, *, now: float = NOW, **changes: int) -> Verdict:
    """The verdict on a message that is in order but for what a test changes."""
    envelope = envelope_of(body, author, **changes)  # type: ignore[arg-type]
    return judge(topic_of(NET, TYPE_OF[type(body)], envelope.job), encode(envelope), knowledge, now)


EVERYTHING = [
    (record_of("new"), "new", State.BIDDING),
    (ANNOUNCE, "user", State.BIDDING),
    (SEALED, "worker", State.BIDDING),
    (KEY, "worker", State.REVEALING),
    (READY, "worker", State.SEED),
    (NOTICE, "validator", State.VCOMMIT),
    (OPENING, "validator", State.VREVEAL),
    (BIDS, "worker", State.BIDDING),
    (SIGNED_REPORT, "fellow", State.VCOMMIT),
]
IDS = [type(body).__name__ for body, _, _ in EVERYTHING]
every_kind = pytest.mark.parametrize(("body", "author", "state"), EVERYTHING, ids=IDS)


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
