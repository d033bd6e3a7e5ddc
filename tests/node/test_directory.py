"""Who is who: the chain's word on keys stands, hints are bounded, and we never send anybody to ourselves."""

import pytest

from morphware.node.directory import ADDRESSES_MOST, TORRENT_PREFIX, Directory, published_addresses
from morphware.protocol.calls import Terms
from morphware.protocol.chain_events import CommitteeDrawn, JobAwarded, JobPosted, NodePublished
from morphware.protocol.units import Address, JobId, Wei
from morphware.protocol.view import view_of

ACCOUNT, OTHER, THIRD = (Address(bytes([number]) * 20) for number in (1, 2, 3))
JOB = JobId(bytes(32))
OLD, NEW = b"o" * 32, b"n" * 32


def record(
    account: Address = ACCOUNT, key: bytes = NEW, addresses: tuple[str, ...] = ("/ip4/10.0.0.1/tcp/1",)
) -> NodePublished:
    return NodePublished(account, key, key, addresses)


def test_what_the_chain_says_of_keys_stands_against_an_older_record() -> None:
    directory = Directory({})
    directory.note(record(key=NEW))
    directory.peer_keys[ACCOUNT] = OLD  # the judge of messages accepted it, for its signature is good
    directory.note(record(key=OLD, addresses=("/ip4/10.0.0.9/tcp/9",)), is_on_chain=False)
    assert directory[ACCOUNT] == NEW
    assert directory.peer_keys[ACCOUNT] == NEW
    assert directory.all_addresses() == ["/ip4/10.0.0.1/tcp/1"]


def test_the_chain_may_replace_what_a_record_said() -> None:
    directory = Directory({})
    directory.note(record(key=OLD), is_on_chain=False)
    assert directory[ACCOUNT] == OLD
    assert directory.published(ACCOUNT) is None
    directory.note(record(key=NEW))
    assert (directory[ACCOUNT], directory.peer_keys[ACCOUNT]) == (NEW, NEW)


def test_a_record_with_the_chains_keys_brings_newer_addresses() -> None:
    directory = Directory({ACCOUNT: record()})
    directory.note(record(addresses=("/ip4/10.0.0.2/tcp/2", f"{TORRENT_PREFIX}10.0.0.2:4102")), is_on_chain=False)
    entry = directory.entry(ACCOUNT)
    assert entry is not None
    assert entry.addresses == ("/ip4/10.0.0.2/tcp/2",)
    assert entry.torrent == ("10.0.0.2", 4102)


def test_addresses_are_bounded_in_number_and_length() -> None:
    directory = Directory({})
    directory.note(record(addresses=("/" + "x" * 10_000, *[f"/ip4/10.0.0.1/tcp/{port}" for port in range(1000)])))
    entry = directory.entry(ACCOUNT)
    assert entry is not None
    assert len(entry.addresses) == ADDRESSES_MOST - 1


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:٣", "10.0.0.1:4x",
        "10.0.0.1:" + "1" * 150, "mail.example.org:4102", "0.0.0.0:4102", "224.0.0.1:4102", ":4102", "a" * 150 + ":1",
    ],
)  # fmt: skip
def test_what_is_no_numeric_address_and_port_is_no_hint(text: str) -> None:
    directory = Directory({})
    directory.note(record(addresses=(TORRENT_PREFIX + text,)))
    entry = directory.entry(ACCOUNT)
    assert entry is not None
    assert entry.torrent is None


@pytest.mark.parametrize("host", ["10.1.2.3", "::1"])
def test_a_published_address_reads_back(host: str) -> None:
    directory = Directory({})
    directory.note(record(addresses=published_addresses(("/ip4/10.0.0.1/tcp/1",) * 20, (host, 4102))))
    entry = directory.entry(ACCOUNT)
    assert entry is not None
    assert entry.torrent == (host, 4102)


def test_an_account_that_moves_is_found_at_its_new_address_if_it_is_one() -> None:
    directory = Directory({ACCOUNT: record(addresses=(f"{TORRENT_PREFIX}10.0.0.1:4102",))})
    for torrent in (("", 0), ("10.0.0.2", 70_000), ("example.org", 4102)):
        directory.move(ACCOUNT, torrent)
        entry = directory.entry(ACCOUNT)
        assert entry is not None
        assert entry.torrent == ("10.0.0.1", 4102)
    directory.move(OTHER, ("10.0.0.2", 4103))
    assert directory.entry(OTHER) is None
    directory.move(ACCOUNT, ("10.0.0.2", 4103))
    entry = directory.entry(ACCOUNT)
    assert entry is not None
    assert entry.torrent == ("10.0.0.2", 4103)


def test_hints_name_everybody_else_who_has_or_wants_a_file_once() -> None:
    directory = Directory({})
    for account, port in ((ACCOUNT, 1001), (OTHER, 1002), (THIRD, 1003)):
        directory.note(record(account, addresses=(f"{TORRENT_PREFIX}10.0.0.1:{port}",)))
    terms = Terms(Wei(10), Wei(1), 1, 0, 0, 0, 1, 1, 1, 1, bytes(32), bytes(32), bytes(32))
    view = view_of(JobPosted(JOB, ACCOUNT, terms, b""))
    assert directory.torrents_for(view, "train", besides=OTHER) == [("10.0.0.1", 1001)]
    view.apply(JobAwarded(JOB, OTHER, Wei(1), Wei(1), 0))
    view.apply(CommitteeDrawn(JOB, 0, bytes(32), (THIRD, Address(bytes(20)))))
    assert directory.torrents_for(view, "train", besides=OTHER) == [("10.0.0.1", 1001)]
    assert directory.torrents_for(view, "train", besides=ACCOUNT) == [("10.0.0.1", 1002)]
    assert directory.torrents_for(view, "test", besides=THIRD) == [("10.0.0.1", 1001)]
    assert directory.torrents_for(view, "model", besides=THIRD) == [("10.0.0.1", 1002), ("10.0.0.1", 1001)]
