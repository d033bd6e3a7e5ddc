"""Calls and events against the real ABI: same names, same order, same values, there and back."""

from dataclasses import astuple, fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.contracts.loader import load
from morphware.node.chain.abi import Interface, decode_values, encode_values, revert_data
from morphware.node.chain.calldata import FUNCTIONS, Target, encode_call, market_interface, name_of, token_interface
from morphware.node.chain.market_events import CLASSES, decode_event
from morphware.node.chain.rpc import Data, Log, Quantity
from morphware.node.chain.sentences import SENTENCES, explain, refuse, tokens
from morphware.protocol import calls, chain_events
from morphware.protocol.calls import Call, ModelRoot, Opening, Report, SignedBid, SignedReport, Terms
from morphware.protocol.chain_events import ChainEvent
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import INT64_MAX, INT64_MIN, WEI_MAX, Address, JobId, Timestamp, Wei

MARKET = b"\xaa" * 20

addresses = st.binary(min_size=20, max_size=20).map(Address)
words = st.binary(min_size=32, max_size=32)
job_ids = words.map(JobId)
weis = st.integers(0, WEI_MAX).map(Wei)
uint8s, uint32s, uint64s = (st.integers(0, 2**bits - 1) for bits in (8, 32, 64))
int64s = st.integers(INT64_MIN, INT64_MAX)
texts = st.lists(st.text(max_size=20), max_size=3).map(tuple)
boxes = st.lists(st.binary(max_size=40), max_size=3).map(tuple)
all_terms = st.builds(
    Terms,
    *(weis, weis, uint8s, int64s, uint64s, uint64s, uint32s, uint32s, uint32s, uint32s, words, words, words),
    *(uint8s, int64s),
)
openings = st.lists(st.builds(Opening, addresses, weis, st.booleans(), uint32s, words), max_size=3).map(tuple)
models = st.builds(ModelRoot, words, words, words, words)
boxed = st.binary(max_size=100)
signed_bids = st.lists(st.builds(SignedBid, addresses, words, boxed), max_size=3).map(tuple)
signed_reports = st.lists(st.builds(SignedReport, addresses, words, boxed), max_size=3).map(tuple)
reports = st.lists(st.builds(Report, addresses, int64s, int64s, words, words), max_size=3).map(tuple)

CALLS: dict[type[Call], st.SearchStrategy[Call]] = {
    calls.Approve: st.builds(calls.Approve, weis),
    calls.Deposit: st.builds(calls.Deposit, weis),
    calls.Withdraw: st.builds(calls.Withdraw, weis),
    calls.FundAudits: st.builds(calls.FundAudits, weis),
    calls.Stake: st.builds(calls.Stake, st.integers(0, 2**16 - 1)),
    calls.RequestUnstake: st.builds(calls.RequestUnstake, uint32s),
    calls.Unstake: st.builds(calls.Unstake, uint32s),
    calls.PublishNode: st.builds(calls.PublishNode, words, words, texts),
    calls.Post: st.builds(calls.Post, all_terms, st.binary(max_size=100)),
    calls.Cancel: st.builds(calls.Cancel, job_ids),
    calls.Commit: st.builds(calls.Commit, job_ids, words),
    calls.CommitBatch: st.builds(calls.CommitBatch, job_ids, signed_bids),
    calls.RevealBids: st.builds(calls.RevealBids, job_ids, openings),
    calls.DrawSplit: st.builds(calls.DrawSplit, job_ids),
    calls.PostKeys: st.builds(calls.PostKeys, job_ids, st.binary(max_size=100)),
    calls.Acknowledge: st.builds(calls.Acknowledge, job_ids),
    calls.Decline: st.builds(calls.Decline, job_ids),
    calls.ComplainKey: st.builds(calls.ComplainKey, job_ids),
    calls.DiscloseKey: st.builds(calls.DiscloseKey, job_ids, boxed, words, words),
    calls.SubmitModel: st.builds(calls.SubmitModel, job_ids, words, words, words, words, st.binary(max_size=100)),
    calls.RevealSeed: st.builds(calls.RevealSeed, job_ids, words, words, words, models),
    calls.ComplainX: st.builds(calls.ComplainX, job_ids),
    calls.DiscloseX: st.builds(calls.DiscloseX, job_ids, words, words, words, words),
    calls.PostTestKeys: st.builds(calls.PostTestKeys, job_ids, boxes),
    calls.PostModelKeys: st.builds(calls.PostModelKeys, job_ids, boxes),
    calls.CommitReport: st.builds(calls.CommitReport, job_ids, words),
    calls.CommitReportBatch: st.builds(calls.CommitReportBatch, job_ids, signed_reports),
    calls.ComplainKeys: st.builds(calls.ComplainKeys, job_ids, st.booleans()),
    calls.DiscloseTest: st.builds(calls.DiscloseTest, job_ids, boxed, words, words),
    calls.DiscloseModel: st.builds(calls.DiscloseModel, job_ids, words, words, words, words),
    calls.RevealReports: st.builds(calls.RevealReports, job_ids, reports),
    calls.Claim: st.builds(calls.Claim, job_ids, words, words, words, words),
    calls.Appeal: st.builds(calls.Appeal, job_ids),
    calls.InspectAppeal: st.builds(calls.InspectAppeal, job_ids),
    calls.Poke: st.builds(calls.Poke, job_ids),
}

times = st.integers(0, 2**40 - 1).map(Timestamp)
members = st.lists(addresses, max_size=5).map(tuple)
EVENTS: dict[type[ChainEvent], st.SearchStrategy[ChainEvent]] = {
    chain_events.NodePublished: st.builds(chain_events.NodePublished, addresses, words, words, texts),
    chain_events.JobPosted: st.builds(chain_events.JobPosted, job_ids, addresses, all_terms, st.binary(max_size=99)),
    chain_events.StateChanged: st.builds(chain_events.StateChanged, job_ids, st.sampled_from(State), times),
    chain_events.BidCommitted: st.builds(chain_events.BidCommitted, job_ids, addresses, words, uint32s),
    chain_events.BidOpened: st.builds(chain_events.BidOpened, job_ids, addresses, words, weis, st.booleans(), uint32s),
    chain_events.JobAwarded: st.builds(chain_events.JobAwarded, job_ids, addresses, weis, weis, uint32s),
    chain_events.SplitDrawn: st.builds(chain_events.SplitDrawn, job_ids, words),
    chain_events.KeysPosted: st.builds(chain_events.KeysPosted, job_ids, st.binary(max_size=99)),
    chain_events.ModelSubmitted: st.builds(
        chain_events.ModelSubmitted, job_ids, words, words, words, words, uint64s, st.binary(max_size=99)
    ),
    chain_events.CommitteeDrawn: st.builds(chain_events.CommitteeDrawn, job_ids, uint8s, words, members),
    chain_events.TestKeysPosted: st.builds(chain_events.TestKeysPosted, job_ids, boxes),
    chain_events.ModelKeysPosted: st.builds(chain_events.ModelKeysPosted, job_ids, boxes),
    chain_events.ReportCommitted: st.builds(chain_events.ReportCommitted, job_ids, uint8s, addresses, words),
    chain_events.ReportRevealed: st.builds(
        chain_events.ReportRevealed, job_ids, uint8s, addresses, int64s, int64s, words
    ),
    chain_events.RoundTallied: st.builds(
        chain_events.RoundTallied, job_ids, uint8s, st.sampled_from(Verdict), int64s, int64s
    ),
    chain_events.KeyDisclosed: st.builds(chain_events.KeyDisclosed, job_ids, boxed),
    chain_events.XDisclosed: st.builds(chain_events.XDisclosed, job_ids, words),
    chain_events.KeysComplained: st.builds(chain_events.KeysComplained, job_ids, addresses, st.booleans()),
    chain_events.TestKeysDisclosed: st.builds(chain_events.TestKeysDisclosed, job_ids, boxed),
    chain_events.ModelKeysDisclosed: st.builds(chain_events.ModelKeysDisclosed, job_ids, words, words),
    chain_events.Appealed: st.builds(chain_events.Appealed, job_ids, addresses, uint8s, weis),
    chain_events.AppealUnheard: st.builds(chain_events.AppealUnheard, job_ids, addresses, weis, weis),
    chain_events.Audited: st.builds(chain_events.Audited, job_ids, uint8s, weis),
    chain_events.PokeRewarded: st.builds(chain_events.PokeRewarded, job_ids, addresses, weis),
    chain_events.Claimed: st.builds(chain_events.Claimed, job_ids, words),
    chain_events.SeatSettled: st.builds(chain_events.SeatSettled, job_ids, addresses, weis, weis),
    chain_events.JobClosed: st.builds(chain_events.JobClosed, job_ids, st.sampled_from(Outcome), addresses, weis, weis),
}


def log_of(event: ChainEvent) -> Log:
    """A log as the contract would write it, built from the ABI alone."""
    interface = market_interface()
    topic = interface.topic(type(event).__name__)
    _, parameters = interface.events[topic]
    values = astuple(event)
    topics, plain = [Data(topic)], []
    for parameter, value in zip(parameters, values, strict=True):
        if parameter.is_indexed:
            topics.append(Data(encode_values([parameter.type], [value])))
        else:
            plain.append((parameter.type, value))
    data = encode_values([kind for kind, _ in plain], [value for _, value in plain])
    zero = Quantity(0)
    return Log(
        address=Data(MARKET), topics=topics, data=Data(data), block_hash=Data(b""), block_number=zero, log_index=zero
    )


def in_contract_words(name: str) -> str:
    """``price_wei`` as the contract calls it: no unit of money or metrics, camel case."""
    for unit, written in (("_wei", ""), ("_e6", ""), ("_e9", ""), ("_s", "_seconds")):
        if name.endswith(unit):
            name = name.removesuffix(unit) + written
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def test_every_call_has_a_row_and_a_strategy() -> None:
    every = {*get_args(calls.JobCall), *get_args(calls.AccountCall)}
    assert set(FUNCTIONS) == every == set(CALLS)


def test_every_event_class_is_an_event_of_the_contract_with_the_same_values_in_the_same_order() -> None:
    assert set(CLASSES.values()) == set(EVENTS)
    by_name = dict(market_interface().events.values())
    for name, kind in CLASSES.items():
        assert [in_contract_words(each.name) for each in fields(kind)] == [value.name for value in by_name[name]]


@pytest.mark.parametrize("kind", CALLS, ids=lambda kind: kind.__name__)
def test_a_call_comes_back_from_its_calldata(kind: type[Call]) -> None:
    @given(CALLS[kind])
    def check(call: Call) -> None:
        target, data = encode_call(call, market=MARKET)
        interface = token_interface() if target is Target.TOKEN else market_interface()
        function = interface.functions[FUNCTIONS[kind][1]]
        assert data[:4] == function.selector
        values = decode_values(function.inputs, data[4:])
        assert values == ((MARKET, *astuple(call)) if kind is calls.Approve else astuple(call))

    check()


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_an_event_comes_back_from_its_log(kind: type[ChainEvent]) -> None:
    @given(EVENTS[kind])
    def check(event: ChainEvent) -> None:
        assert decode_event(market_interface(), log_of(event)) == event

    check()


def test_a_short_hash_is_not_filled_up() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        encode_call(calls.Commit(JobId(b"\1" * 32), b"\2" * 31), market=MARKET)
    opening = Opening(Address(b"\1" * 20), Wei(1), True, 1, b"\2" * 20)
    with pytest.raises(ValueError, match="20 bytes"):
        encode_call(calls.RevealBids(JobId(b"\1" * 32), (opening,)), market=MARKET)


def test_an_amount_beyond_96_bits_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_call(calls.Deposit(Wei(WEI_MAX + 1)), market=MARKET)


def test_text_that_is_no_utf8_does_not_stop_the_listener() -> None:
    event = chain_events.NodePublished(Address(b"\1" * 20), b"\2" * 32, b"\3" * 32, ("GOOD",))
    log = log_of(event)
    spoiled = Log(
        address=log.address,
        topics=log.topics,
        data=Data(log.data.replace(b"GOOD", b"\xff\xfe\xfd\xfc")),
        block_hash=log.block_hash,
        block_number=log.block_number,
        log_index=log.log_index,
    )
    decoded = decode_event(market_interface(), spoiled)
    assert isinstance(decoded, chain_events.NodePublished)
    assert decoded.addresses == ("\ufffd" * 4,)


@given(st.lists(words, max_size=4), st.binary(max_size=200))
def test_any_log_is_decoded_or_skipped(topics: list[bytes], data: bytes) -> None:
    for topic in market_interface().events:
        zero = Quantity(0)
        entry = Log(
            address=Data(MARKET),
            topics=[Data(topic), *(Data(each) for each in topics)],
            data=Data(data),
            block_hash=Data(b""),
            block_number=zero,
            log_index=zero,
        )
        decode_event(market_interface(), entry)


@given(st.binary(max_size=300))
def test_any_revert_gets_a_sentence(data: bytes) -> None:
    refused = refuse(market_interface(), data)
    assert refused.sentence
    assert refused.error
    for selector in market_interface().errors:
        assert refuse(market_interface(), selector + data).sentence


def error_bytes(name: str, *values: object) -> bytes:
    interface = market_interface()
    selector, parameters = next((s, p) for s, (n, p) in interface.errors.items() if n == name)
    return selector + encode_values([parameter.type for parameter in parameters], values)


def test_a_refusal_has_the_contracts_values_and_tokens_in_its_sentence() -> None:
    refused = refuse(market_interface(), error_bytes("InsufficientBalance", b"\1" * 20, 10**18 * 3 // 2, 2 * 10**18))
    assert refused.error == "InsufficientBalance"
    assert refused.values == {"account": b"\1" * 20, "balance": 10**18 * 3 // 2, "needed": 2 * 10**18}
    assert "has 1.5 tokens in the market but the call needs 2: deposit more" in refused.sentence


def test_a_nested_error_is_unwrapped() -> None:
    outer = {"type": "error", "name": "CallFailed", "inputs": [{"name": "reason", "type": "bytes"}]}
    interface = Interface([outer], load("Market").abi)
    selector = next(s for s, (n, _) in interface.errors.items() if n == "CallFailed")
    inner = error_bytes("SeatBusy", 7)
    revert = interface.decode_revert(selector + encode_values(["bytes"], [inner]))
    assert (revert.name, revert.values) == ("SeatBusy", {"seat": 7})


def test_every_error_of_the_market_has_a_sentence_that_uses_only_its_values() -> None:
    examples: dict[str, Any] = {"address": b"\1" * 20, "bytes32": b"\2" * 32, "string": "seats"}
    for name, parameters in market_interface().errors.values():
        if name.startswith(
            ("ECDSA", "InvalidAccountNonce", "InvalidShortString", "StringTooLong", "ERC20Invalid", "Address", "Failed")
        ):
            continue
        values = {parameter.name: examples.get(parameter.type, 3) for parameter in parameters}
        assert SENTENCES[name](values).endswith((".", "seats")), name


@pytest.mark.parametrize(
    ("field", "words"),
    [("reserve", "between a 32nd and a quarter"), ("fee", "a hundredth of a seat's stake"), ("odd", "correct odd.")],
)
def test_terms_that_are_not_allowed_say_what_would_be(field: str, words: str) -> None:
    refused = refuse(market_interface(), error_bytes("BadTerms", field))
    assert words in refused.sentence


def test_an_error_that_nobody_knows_is_named() -> None:
    refused = refuse(market_interface(), bytes.fromhex("deadbeef") + bytes(32))
    assert refused.error == "0xdeadbeef"
    assert "update the node" in refused.sentence
    assert explain(market_interface().decode_revert(b"")).startswith("The contract refused the call without")


@pytest.mark.parametrize("data", ["0x1234", {"data": "0x1234"}, "Reverted 0x1234", {"result": "0x1234"}])
def test_revert_bytes_are_found_where_endpoints_put_them(data: object) -> None:
    assert revert_data(data) == b"\x12\x34"


@pytest.mark.parametrize("data", [None, 5, "nonsense", {}, {"data": {"deep": 1}}])
def test_what_holds_no_revert_bytes_has_none(data: object) -> None:
    assert revert_data(data) is None


@pytest.mark.parametrize(
    ("amount_wei", "text"),
    [(0, "0"), (1, "0.000000000000000001"), (10**18, "1"), (10**20, "100"), (15 * 10**17, "1.5")],
)
def test_amounts_are_shown_exactly(amount_wei: int, text: str) -> None:
    assert tokens(amount_wei) == text


def test_calls_that_share_a_transaction_are_each_encoded_as_alone() -> None:
    job_id = JobId(b"\1" * 32)
    claim = calls.Claim(job_id, b"\2" * 32, b"\3" * 32, b"\4" * 32, b"\5" * 32)
    together = calls.Multicall(job_id, (calls.Poke(job_id), claim))
    target, data = encode_call(together, market=MARKET)
    assert target is Target.MARKET
    function = market_interface().functions["multicall"]
    assert data[:4] == function.selector
    [inside] = decode_values(function.inputs, data[4:])
    assert inside == tuple(encode_call(call, market=MARKET)[1] for call in together.calls)
    assert (name_of(together), name_of(claim)) == ("Poke+Claim", "Claim")
