"""Honest nodes: files arrive whole, once, and are served on."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from morphware.node.artifacts.bundles import open_bundle, publish_folder
from morphware.node.artifacts.errors import (
    ArtifactCorrupt,
    ArtifactTooLarge,
    ArtifactUnavailable,
    ListenFailed,
    SealBroken,
)
from morphware.node.artifacts.fetch import FetchPatience
from morphware.node.artifacts.metainfo import magnet_link, read_magnet
from morphware.node.artifacts.torrents import LibtorrentArtifacts, TorrentSettings, serve_artifacts
from morphware.node.ports import Transfer
from morphware.protocol.artifacts import SealedFile

pytestmark = pytest.mark.adapter

StartNode = Callable[..., Awaitable[LibtorrentArtifacts]]
NOBODYS = bytes(range(20))
KIB, MIB = 1 << 10, 1 << 20
PATIENCE_S = 90
"""For one step on a busy machine; none takes more than a few seconds on an idle one."""


def made(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.write_bytes(hashlib.shake_128(name.encode()).digest(size))
    return path


def without_hints(file: SealedFile) -> SealedFile:
    return SealedFile(magnet_link(read_magnet(file.magnet).infohash), file.size_bytes, file.sha256)


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".sealed")]


async def until_fetching(node: LibtorrentArtifacts) -> None:
    while all(status.role != "fetching" for status in node.transfers()):  # noqa: ASYNC110  # nothing tells of it
        await trio.sleep(0.01)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("size", [1, 16 * KIB, 64 * KIB, 64 * KIB + 1, MIB + 40_000, 5 * MIB + 12_345])
async def test_a_file_of_any_size_arrives_under_our_name(size: int, start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    path = made(tmp_path, "any name.bin", size)
    file = await source.seed(path)
    assert (file.size_bytes, file.sha256) == (size, hashlib.sha256(path.read_bytes()).digest())
    with trio.fail_after(PATIENCE_S):
        arrived = await sink.fetch(file, tmp_path / "in")
    assert arrived == (tmp_path / "in").resolve() / f"{file.sha256.hex()}.sealed"
    assert arrived.read_bytes() == path.read_bytes()
    assert parts(tmp_path / "in") == []


async def test_progress_is_told_and_ends_at_the_whole(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    file = await source.seed(made(tmp_path, "large", 64 * MIB))
    told: list[Transfer] = []
    with trio.fail_after(PATIENCE_S):
        await sink.fetch(file, tmp_path / "in", progress=told.append)
    assert told[-1].done_bytes == told[-1].total_bytes == 64 * MIB
    assert [transfer.done_bytes for transfer in told] == sorted(transfer.done_bytes for transfer in told)


async def test_a_fetched_file_is_served_on(start_node: StartNode, tmp_path: Path) -> None:
    first, second, third = await start_node(), await start_node(), await start_node()
    file = await first.seed(made(tmp_path, "file", MIB))
    with trio.fail_after(PATIENCE_S):
        await second.fetch(file, tmp_path / "second")
        await first.unseed(file)
        assert first.transfers() == []
        await third.fetch(without_hints(file), tmp_path / "third", peers=[second.address])
    [status] = second.transfers()
    assert (status.role, status.sha256, status.done_bytes) == ("seeding", file.sha256, MIB)


async def test_an_intact_file_is_not_fetched_again(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    file = await source.seed(made(tmp_path, "file", MIB))
    with trio.fail_after(PATIENCE_S):
        arrived = await sink.fetch(file, tmp_path / "in")
        await source.unseed(file)
        assert await sink.fetch(without_hints(file), tmp_path / "in") == arrived
        copied = await sink.fetch(without_hints(file), tmp_path / "elsewhere")
        assert copied.read_bytes() == arrived.read_bytes()
        newcomer = await start_node()  # after a restart, say
        assert await newcomer.fetch(without_hints(file), tmp_path / "in") == arrived
        assert [status.role for status in newcomer.transfers()] == ["seeding"]


async def test_a_damaged_file_is_fetched_again(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    path = made(tmp_path, "file", MIB)
    file = await source.seed(path)
    final = tmp_path / "in" / f"{file.sha256.hex()}.sealed"
    final.parent.mkdir()
    final.write_bytes(bytes(MIB))
    with trio.fail_after(PATIENCE_S):
        await sink.fetch(file, tmp_path / "in")
        assert final.read_bytes() == path.read_bytes()
        final.write_bytes(bytes(MIB))  # and also while it is served
        await sink.fetch(file, tmp_path / "in")
    assert final.read_bytes() == path.read_bytes()


async def test_what_a_crash_left_is_used(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    path = made(tmp_path, "file", 4 * MIB)
    file = await source.seed(path)
    part = tmp_path / "in" / f"{read_magnet(file.magnet).infohash.hex()}.part"
    part.parent.mkdir()
    part.write_bytes(path.read_bytes()[: 2 * MIB] + bytes(MIB))  # two good quarters, a bad one, one missing
    with trio.fail_after(PATIENCE_S):
        arrived = await sink.fetch(file, tmp_path / "in")
    assert arrived.read_bytes() == path.read_bytes()
    assert source.transfers()[0].uploaded_bytes < 3 * MIB
    assert parts(tmp_path / "in") == []


async def test_callers_who_want_the_same_file_share_one_download(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    file = await source.seed(made(tmp_path, "file", 8 * MIB))
    arrived = []

    async def fetch(folder: str) -> None:
        arrived.append(await sink.fetch(file, tmp_path / folder))

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as callers:
            for folder in ("in", "in", "other"):
                callers.start_soon(fetch, folder)
    assert {path.parent.name for path in arrived} == {"in", "other"}
    assert len({path.read_bytes() for path in arrived}) == 1
    assert source.transfers()[0].uploaded_bytes < 9 * MIB


async def test_one_callers_cancellation_leaves_the_others_download_alone(start_node: StartNode, tmp_path: Path) -> None:
    sink = await start_node()
    path = made(tmp_path, "file", MIB)
    source = await start_node()
    file = await source.seed(path)
    await source.unseed(file)
    arrived: list[Path] = []

    async def fetch() -> None:
        arrived.append(await sink.fetch(file, tmp_path / "in"))

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as callers:
            callers.start_soon(fetch)
            with trio.move_on_after(0.5):
                await sink.fetch(file, tmp_path / "in")
            await source.seed(path)
    assert len(arrived) == 1


async def test_cancelling_is_prompt_and_leaves_nothing(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    file = await source.seed(made(tmp_path, "large", 256 * MIB))
    has_begun = trio.Event()

    def told(transfer: Transfer) -> None:
        if transfer.done_bytes:
            has_begun.set()

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as callers:

            async def fetch() -> None:
                await sink.fetch(file, tmp_path / "in", progress=told)

            callers.start_soon(fetch)
            await has_begun.wait()
            callers.cancel_scope.cancel()
    assert parts(tmp_path / "in") == []
    with trio.move_on_after(0.5):  # and where nobody answers at all
        await sink.fetch(SealedFile(magnet_link(NOBODYS), MIB, bytes(32)), tmp_path / "nothing")
    assert list((tmp_path / "nothing").iterdir()) == []
    assert [status for status in sink.transfers() if status.role == "fetching"] == []


async def test_a_peer_told_later_or_earlier_is_used(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    early, late = [without_hints(await source.seed(made(tmp_path, name, MIB))) for name in ("early", "late")]
    with trio.fail_after(PATIENCE_S):
        sink.add_peers(early, [source.address])
        await sink.fetch(early, tmp_path / "in")
        async with trio.open_nursery() as callers:
            callers.start_soon(lambda: sink.fetch(late, tmp_path / "in"))
            await until_fetching(sink)
            sink.add_peers(late, [source.address])


async def test_a_seeder_that_comes_late_is_found(start_node: StartNode, tmp_path: Path) -> None:
    source = await start_node()
    path = made(tmp_path, "file", MIB)
    file = await source.seed(path)
    await source.unseed(file)
    sink = await start_node()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as callers:
            callers.start_soon(lambda: sink.fetch(file, tmp_path / "in"))
            await trio.sleep(2)  # until after the first refusal
            await source.seed(path)


async def test_serving_again_after_a_restart_is_the_same_swarm(tmp_path: Path) -> None:
    path = made(tmp_path, "file", MIB)
    files = []
    for _ in range(2):
        async with trio.open_nursery() as life:
            node = await life.start(serve_artifacts, TorrentSettings())
            files.append(await node.seed(path))
            assert await node.seed(path) == files[-1]
            assert len(node.transfers()) == 1
            life.cancel_scope.cancel()
    assert without_hints(files[0]) == without_hints(files[1])


async def test_the_port_can_be_kept_over_a_restart_and_not_shared(tmp_path: Path) -> None:
    listen = "127.0.0.1:0"
    for _ in range(3):
        async with trio.open_nursery() as life:
            node = await life.start(serve_artifacts, TorrentSettings(listen=listen))
            listen = f"127.0.0.1:{node.address[1]}"
            with pytest.raises(ListenFailed, match="in use"):
                await life.start(serve_artifacts, TorrentSettings(listen=listen))
            life.cancel_scope.cancel()
    with pytest.raises(ArtifactUnavailable, match="shutting down"):
        await node.fetch(SealedFile(magnet_link(NOBODYS), 5, bytes(32)), tmp_path / "in")


async def test_a_file_that_moved_or_changed_is_served_anew(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    path = made(tmp_path, "file", MIB)
    before = await source.seed(path)
    moved = path.rename(tmp_path / "moved")
    assert await source.seed(moved) == before
    path.write_bytes(b"another content")
    other = await source.seed(path)
    path.write_bytes(b"a third content")
    third = await source.seed(path)
    assert {status.sha256 for status in source.transfers()} == {before.sha256, third.sha256} - {other.sha256}
    with trio.fail_after(PATIENCE_S):
        await sink.fetch(before, tmp_path / "in")
        await sink.fetch(third, tmp_path / "in")


async def test_a_fetch_ends_when_the_file_is_seeded_from_elsewhere(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node()
    path = made(tmp_path, "file", MIB)
    file = without_hints(await node.seed(path))
    await node.unseed(file)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as callers:
            callers.start_soon(lambda: node.fetch(file, tmp_path / "in"))
            await until_fetching(node)
            await node.seed(path)
    assert len(list((tmp_path / "in").iterdir())) == 1


async def test_too_large_empty_and_impossible_files_are_refused(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node(max_size_bytes=1000)
    with pytest.raises(ArtifactTooLarge, match="1001 bytes"):
        await node.seed(made(tmp_path, "large", 1001))
    with pytest.raises(ArtifactTooLarge, match="Raise the limit"):
        await node.fetch(SealedFile(magnet_link(NOBODYS), 1001, bytes(32)), tmp_path / "in")
    for path in (made(tmp_path, "empty", 0), tmp_path, tmp_path / "missing"):
        with pytest.raises(ArtifactUnavailable):
            await node.seed(path)
    with pytest.raises(ArtifactCorrupt):
        await node.fetch(SealedFile("magnet:?", 10, bytes(32)), tmp_path / "in")
    assert not (tmp_path / "in").exists()


async def test_a_wrong_hash_or_size_is_refused(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    file = await source.seed(made(tmp_path, "file", MIB))
    for wrong in (
        SealedFile(file.magnet, file.size_bytes, bytes(32)),
        SealedFile(file.magnet, file.size_bytes + 1, file.sha256),
    ):
        with trio.fail_after(PATIENCE_S), pytest.raises(ArtifactCorrupt):
            await sink.fetch(wrong, tmp_path / "in")
        assert list((tmp_path / "in").iterdir()) == []


async def test_nobody_there_ends_in_a_sentence(start_node: StartNode, tmp_path: Path, impatient: FetchPatience) -> None:
    node = await start_node(patience=impatient)
    with trio.fail_after(PATIENCE_S), pytest.raises(ArtifactUnavailable, match="Nobody serves this file"):
        await node.fetch(SealedFile(magnet_link(NOBODYS), MIB, bytes(32)), tmp_path / "in")


async def test_four_workers_fetch_from_two_holders_and_from_each_other(start_node: StartNode, tmp_path: Path) -> None:
    path = made(tmp_path, "file", 24 * MIB)
    holders = [await start_node(), await start_node()]
    workers = [await start_node() for _ in range(4)]
    files = [await holder.seed(path) for holder in holders]
    everyone = [node.address for node in holders + workers]
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as fetching:
            for number, worker in enumerate(workers):

                async def fetch(worker: LibtorrentArtifacts = worker, number: int = number) -> None:
                    await worker.fetch(files[0], tmp_path / f"worker{number}", peers=everyone)

                fetching.start_soon(fetch)
    for number in range(4):
        [arrived] = (tmp_path / f"worker{number}").iterdir()
        assert arrived.read_bytes() == path.read_bytes()


async def test_a_folder_travels_sealed(start_node: StartNode, tmp_path: Path) -> None:
    source, sink = await start_node(), await start_node()
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "train.csv").write_text("a,b\n1,2\n")
    key, context = bytes(range(32)), b"job/train"
    with trio.fail_after(PATIENCE_S):
        published = await publish_folder(source, tmp_path / "data", tmp_path / "work", key=key, context=context)
        sealed = await sink.fetch(published.file, tmp_path / "in")
        await open_bundle(
            sealed,
            tmp_path / "out",
            key=key,
            context=context,
            expected_archive_sha256=published.archive_sha256,
        )
        assert (tmp_path / "out" / "deep" / "train.csv").read_text() == "a,b\n1,2\n"
        assert b"train.csv" not in sealed.read_bytes()
        with pytest.raises(SealBroken):
            await open_bundle(sealed, tmp_path / "x", key=bytes(32), context=context, expected_archive_sha256=None)
        with pytest.raises(ArtifactCorrupt, match="another archive"):
            await open_bundle(sealed, tmp_path / "x", key=key, context=context, expected_archive_sha256=bytes(32))
    assert not (tmp_path / "x").exists()
    assert names_in(tmp_path / "work") == {sealed.name}
    assert names_in(tmp_path) == {"data", "work", "in", "out"}


async def test_a_cancelled_publication_leaves_nothing(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node()
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1024 * MIB)
    with trio.move_on_after(0.3) as patience:
        await publish_folder(node, tmp_path / "large", tmp_path / "work", key=bytes(32), context=b"")
    assert patience.cancelled_caught
    assert names_in(tmp_path / "work") == set()


async def test_listening_everywhere_demands_an_address_to_tell(start_node: StartNode) -> None:
    with pytest.raises(ListenFailed, match="advertise"):
        await start_node(listen="0.0.0.0:0")
