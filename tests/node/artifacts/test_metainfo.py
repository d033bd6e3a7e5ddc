"""A file has one torrent, and a stranger's magnet or metadata can say nothing else."""

import contextlib
import hashlib
from pathlib import Path

import libtorrent as lt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphware.node.artifacts.errors import ArtifactCorrupt
from morphware.node.artifacts.metainfo import (
    HINTS_AT_MOST,
    LARGEST_FILE_BYTES,
    METADATA_AT_MOST_BYTES,
    PIECES_AT_MOST,
    describe_file,
    info_dictionary,
    magnet_link,
    piece_length,
    read_magnet,
    require_canonical,
    require_sound,
    usable_peers,
)
from morphware.protocol.artifacts import SealedFile

INFOHASH = bytes(range(20))


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 300_000])
def test_the_torrent_follows_from_the_bytes_and_libtorrent_reads_it(size: int, tmp_path: Path) -> None:
    content = hashlib.shake_128(b"x").digest(size)
    (tmp_path / "any name").write_bytes(content)
    (tmp_path / "another").write_bytes(content)
    described = describe_file(tmp_path / "any name")
    assert described == describe_file(tmp_path / "another")
    assert described.sha256 == hashlib.sha256(content).digest()
    read = lt.load_torrent_buffer(described.torrent)
    assert read.ti is not None
    assert read.ti.info_hashes().v1.to_bytes() == described.infohash
    assert not read.ti.info_hashes().has_v2()
    assert (read.ti.num_files(), read.ti.total_size()) == (1, size)
    assert read.ti.name() == f"{described.sha256.hex()}.sealed"
    require_canonical(described.info, SealedFile("", size, described.sha256))


@given(size=st.integers(1, LARGEST_FILE_BYTES))
def test_metadata_stays_small_at_any_size(size: int) -> None:
    length = piece_length(size)
    assert length.bit_count() == 1
    pieces = -(-size // length)
    assert pieces <= PIECES_AT_MOST
    assert len(info_dictionary(bytes(32), size, bytes(20 * pieces))) < METADATA_AT_MOST_BYTES


def test_metadata_of_anything_else_is_refused() -> None:
    file = SealedFile("", 100_000, bytes(32))
    good = info_dictionary(file.sha256, file.size_bytes, bytes(40))
    require_canonical(good, file)
    for bad in (
        b"",
        good[:-1],
        good + b"e",
        info_dictionary(file.sha256, 100_001, bytes(40)),
        info_dictionary(file.sha256, file.size_bytes, bytes(60)),
        info_dictionary(b"\1" * 32, file.size_bytes, bytes(40)),
        good.replace(b"d6:length", b"d4:attr1:l6:length", 1),
        good[:-1] + b"7:privatei1ee",
    ):
        with pytest.raises(ArtifactCorrupt):
            require_canonical(bad, file)


def test_a_magnet_link_comes_back_and_libtorrent_reads_it() -> None:
    peers = (("127.0.0.1", 6881), ("2001:db8::1", 7000))
    link = magnet_link(INFOHASH, peers)
    magnet = read_magnet(link)
    assert (magnet.infohash, magnet.peers) == (INFOHASH, peers)
    theirs = lt.parse_magnet_uri(link)
    assert theirs.info_hashes.v1.to_bytes() == INFOHASH
    assert {(host, port) for host, port in theirs.peers} == set(peers)


def test_a_magnet_that_names_no_single_v1_torrent_is_refused() -> None:
    for link in (
        "",
        "http://example.org/",
        "magnet:?",
        "magnet:?dn=x",
        "magnet:?xt=urn:btmh:1220" + "ab" * 32,
        "magnet:?xt=urn:btih:" + "a" * 39,
        "magnet:?xt=urn:btih:" + "g" * 40,
        "magnet:?xt=urn:btih:" + "0" * 40,
        magnet_link(INFOHASH) + "&xt=urn:btih:" + "b" * 40,
        magnet_link(INFOHASH) + "&a=b" * 200,
        magnet_link(INFOHASH) + "&dn=" + "x" * 3000,
    ):
        with pytest.raises(ArtifactCorrupt):
            read_magnet(link)


def test_trackers_web_seeds_and_names_in_a_magnet_are_ignored() -> None:
    link = magnet_link(INFOHASH) + "&tr=http://tracker/&ws=http://web/&x.pe=mail.example.org:2525&x.pe=1.2.3.4:x"
    assert read_magnet(link).peers == ()


def test_only_numeric_addresses_with_ordinary_ports_are_dialled_and_not_many() -> None:
    assert (
        usable_peers([("127.0.0.1", 25), ("224.0.0.1", 5000), ("0.0.0.0", 5000), ("name", 5000), ("::1", 70_000)]) == ()
    )
    assert usable_peers([("::1", 5000), ("::1", 5000)]) == (("::1", 5000),)
    assert len(usable_peers([("10.0.0.1", port) for port in range(2000, 3000)])) == HINTS_AT_MOST


@given(link=st.text(max_size=300))
def test_any_text_after_magnet_is_read_or_refused(link: str) -> None:
    with contextlib.suppress(ArtifactCorrupt):
        assert len(read_magnet("magnet:?" + link).infohash) == 20


def test_an_impossible_record_is_refused() -> None:
    require_sound(SealedFile("", 1, bytes(32)))
    for size, sha256 in ((0, bytes(32)), (-1, bytes(32)), (LARGEST_FILE_BYTES + 1, bytes(32)), (1, bytes(31))):
        with pytest.raises(ArtifactCorrupt):
            require_sound(SealedFile("", size, sha256))
