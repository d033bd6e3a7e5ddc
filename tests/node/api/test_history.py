"""How a job went, and what moves, from the journal: much of it is read in a thread, never by the node's own loop."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Never, cast

import pytest

from morphware.node.api.account import AccountRequests
from morphware.node.api.catalogue import Catalogue
from morphware.node.api.history import HistoryRequests
from morphware.node.api.jobs import JobRequests
from morphware.node.api.links import Keyring
from morphware.node.api.problems import Refusal
from morphware.node.api.routes import Call
from morphware.node.api.running import Running
from morphware.node.artifacts.torrents import TransferStatus
from morphware.node.journal import Journal
from morphware.node.plain import from_plain
from morphware.protocol.artifacts import SealedFile
from morphware.protocol.events import Moment
from morphware.protocol.units import TOKEN, JobId, Timestamp
from morphware.protocol.view import view_of
from tests.node.testnet.recorded import ACCOUNTS, JOB_ID, Recorder, paid_job

OTHER = JobId(b"\xff" * 32)


class LoopJournal(Journal):
    """The journal as the node's loop has it, which must not read much; a ``reader()`` of it is a plain one."""

    def timeline(self, job_id: JobId) -> Never:
        raise AssertionError("this takes long: read it in a thread")

    def file_names(self, hashes: Iterable[bytes]) -> Never:
        raise AssertionError("this takes long: read it in a thread")

    def files(self) -> Never:
        raise AssertionError("this decodes everything: look up what is wanted")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    """An end user's node that has seen one whole job, and serves its training data."""
    recorder, anything = Recorder(), cast(Any, None)
    list(paid_job(recorder))
    said = [values for who, values in recorder.notices if who == "user-1" and values["kind"] == "chain"]
    events = [from_plain(values["event"]) for values in said]
    view, journal = view_of(events[0]), LoopJournal(tmp_path / "journal.sqlite")
    with journal.transaction():
        for block, (event, values) in enumerate(zip(events, said, strict=True)):
            journal.add_event(JOB_ID, None, event, Moment(Timestamp(int(values["time_s"])), block), is_behind=False)
            view.apply(event)
        journal.add_cost(JOB_ID, "user", "post", "Post", 312_000, 7)
        journal.add_cost(OTHER, "user", "post", "Post", 1, 1)
        journal.put_file(JOB_ID, "train", SealedFile("magnet:?", 100, bytes(32)), tmp_path)
    moment = SimpleNamespace(block=9, timestamp=9)
    engine = SimpleNamespace(
        journal=journal, views={JOB_ID: view}, machines={}, parts=lambda _: (), now=moment,
        directory=SimpleNamespace(peer_keys={}),
    )  # fmt: skip
    moving = [TransferStatus(sha256, "seeding", 50, 100, 0, 0, 0, 1) for sha256 in (bytes(32), b"\1" * 32)]
    yield Running(
        config=cast(Any, SimpleNamespace(chain=SimpleNamespace(explorer="", rpc_url="http://node"))),
        account=ACCOUNTS["user-1"], deployment=cast(Any, SimpleNamespace(chain_id=1, market=bytes(20))),
        chain=anything, engine=cast(Any, engine),
        gossip=cast(Any, SimpleNamespace(peers=[], addresses=[], counters={})),
        artifacts=cast(Any, SimpleNamespace(transfers=lambda: moving)), parameters=anything, feed=anything,
        operating=anything, series=anything, sign=anything,
    )  # fmt: skip
    journal.close()


def call(job_id: JobId = JOB_ID) -> Call:
    return Call({"job_id": job_id.hex()}, None, None, cast(Any, None))


async def test_the_timeline_tells_each_step_and_the_past_is_the_same_as_notices(node: Running) -> None:
    requests = HistoryRequests(node, Catalogue(node))
    moments = (await requests.timeline(call())).moments
    assert (moments[0].event, moments[-1].event, moments[-1].state) == ("JobPosted", "StateChanged", "CLOSED")
    assert moments[0].sentence.startswith("posted: Handwritten digits")
    assert any("the winner" in moment.sentence for moment in moments)
    notices = (await requests.past(call())).notices
    assert [notices[0]["event"]["_"], notices[-1]["event"]["_"]] == ["JobPosted", "StateChanged"]
    for asked in (requests.timeline, requests.past, requests.receipt):
        with pytest.raises(Refusal, match="knows no job"):
            await asked(call(OTHER))


async def test_a_receipt_has_the_moves_and_costs_of_its_own_job(node: Running) -> None:
    receipt = await HistoryRequests(node, Catalogue(node)).receipt(call())
    assert receipt.is_final
    paid = {move.payee: int(move.amount_wei) for move in receipt.moves if move.kind == "paid"}
    assert paid["the winner"] == 41 * TOKEN
    assert [(cost.job_id, cost.gas) for cost in receipt.costs] == [(JOB_ID.hex(), 312_000)]
    assert len((await JobRequests(node, Catalogue(node)).costs(call())).costs) == 2


async def test_what_moves_is_told_by_its_name_and_job_if_it_is_known(node: Running) -> None:
    network = await AccountRequests(node, cast(Keyring, None), None).network(call())
    told = [(transfer.name, transfer.job_id, transfer.done_bytes) for transfer in network.transfers]
    assert told == [("train", JOB_ID.hex(), 50), ("", None, 50)]
