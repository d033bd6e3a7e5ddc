"""What the journal writes, it reads: every class, integers of any size, and nothing that is not listed."""

import dataclasses
import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphware.node.offers import Offer
from morphware.node.plain import from_json, from_plain, to_json, to_plain
from morphware.protocol import calls, chain_events, effects, events, messages
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.calls import Approve
from morphware.protocol.states import Outcome, State, Verdict
from morphware.protocol.units import JobId, Wei
from morphware.protocol.user import Submission
from morphware.protocol.worker import WorkerPolicy

LISTED: list[type] = [
    *get_args(calls.JobCall),
    *get_args(calls.AccountCall),
    calls.Terms,
    calls.Opening,
    calls.Report,
    calls.SignedBid,
    calls.SignedReport,
    calls.ModelRoot,
    *get_args(chain_events.ChainEvent),
    *get_args(effects.Effect),
    *get_args(events.LocalEvent),
    events.Moment,
    *get_args(messages.Body),
    messages.JobSpec,
    messages.ModelManifest,
    SealedFile,
    Submission,
    WorkerPolicy,
    Offer,
]
CLASSES = list(dict.fromkeys(kind for kind in LISTED if isinstance(kind, type)))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**300), 2**300),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(max_size=100),
    st.sampled_from([*State, *Outcome, *Verdict]),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)


def fields_of(kind: type) -> list[str]:
    if issubclass(kind, msgspec.Struct):
        return list(kind.__struct_fields__)
    assert dataclasses.is_dataclass(kind)
    return [field.name for field in dataclasses.fields(kind)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_class_reads_back_with_anything_in_it(kind: type, data: st.DataObject) -> None:
    """Fields hold more than their types allow: what the journal can write, it must be able to read."""
    value = kind(**{name: data.draw(values, label=name) for name in fields_of(kind)})
    found = from_json(to_json(value))
    assert type(found) is kind
    assert found == value


@settings(deadline=None)
@given(values)
def test_values_keep_their_types(value: Any) -> None:
    found = from_json(to_json(value))
    assert found == value
    assert type(found) is type(value)


def test_wei_beyond_64_bits_are_exact() -> None:
    assert from_json(to_json(Approve(Wei(2**96 - 1)))) == Approve(Wei(2**96 - 1))


def test_nested_values_read_back() -> None:
    effect = effects.Send("post", calls.RevealReports(JobId(b"j" * 32), ()))
    assert from_json(to_json(effect)) == effect


def test_the_text_is_plain_json() -> None:
    assert json.loads(to_json((State.BIDDING, b"\x01"))) == [
        {"_": "State", "name": "BIDDING"},
        {"_": "bytes", "hex": "01"},
    ]


@pytest.mark.parametrize("plain", [{"_": "Popen", "args": ["true"]}, {"_": "Path"}, {"_": "Enum", "name": "X"}])
def test_a_class_that_is_not_listed_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        from_plain(plain)


@dataclasses.dataclass
class Foreign:
    value: int = 0


@pytest.mark.parametrize("value", [Foreign(), {1: 2}, {1, 2}, object(), [object()]])
def test_a_value_without_a_place_in_the_journal_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no place in the journal"):
        to_plain(value)
