"""Finding jobs among ten thousand: pages, filters and words."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from morphware.node.api.answers.jobs import JobsAsked
from morphware.node.api.catalogue import Catalogue
from morphware.node.api.problems import Refusal
from morphware.node.journal import Journal
from morphware.protocol import chain_events as ce
from morphware.protocol.events import Moment
from morphware.protocol.states import Outcome, State
from morphware.protocol.units import Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView, view_of
from tests.node.testnet.recorded import spec, terms

ME, OTHER = Address(b"\1" * 20), Address(b"\2" * 20)
COUNT = 10_000


def job(number: int) -> JobView:
    """Every tenth is ours; every second has ended, and every third of those was not paid."""
    job_id = JobId(number.to_bytes(4, "big") + bytes(28))
    user = ME if number % 10 == 0 else OTHER
    view = view_of(ce.JobPosted(job_id, user, terms(), spec(f"Job number {number}")))
    view.apply(ce.StateChanged(job_id, State.BIDDING, Timestamp(1000 + number)))
    if number % 2 == 0:
        outcome = Outcome.REJECTED if number % 3 == 0 else Outcome.PAID
        view.apply(ce.StateChanged(job_id, State.CLOSED, Timestamp(0)))
        view.apply(ce.JobClosed(job_id, outcome, OTHER, Wei(1), Wei(0)))
    return view


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """What a node that has seen many jobs remembers of them."""
    folder: Path = tmp_path_factory.mktemp("node")
    journal = Journal(folder / "journal.sqlite")
    views = {view.job_id: view for view in map(job, range(COUNT))}
    with journal.transaction():
        for number, (job_id, view) in enumerate(views.items()):
            posted = ce.JobPosted(job_id, view.user, view.terms, view.spec)
            journal.add_event(job_id, None, posted, Moment(Timestamp(number), number), is_behind=True)
    engine = SimpleNamespace(views=views, machines={}, journal=journal, parts=lambda _: ())
    return Catalogue(cast(Any, SimpleNamespace(engine=engine, account=ME, job_folder=lambda _: folder)))


def found(catalogue: Catalogue, **asked: Any) -> tuple[int, list[str]]:
    page = catalogue.page(JobsAsked(**asked))
    return page.total, [row.name for row in page.jobs]


def test_pages_go_from_the_newest_to_the_oldest_and_each_job_is_on_one(catalogue: Catalogue) -> None:
    total, first = found(catalogue, size=3)
    assert (total, first) == (COUNT, ["Job number 9999", "Job number 9998", "Job number 9997"])
    assert found(catalogue, size=3, page=2)[1] == ["Job number 9996", "Job number 9995", "Job number 9994"]
    assert found(catalogue, size=200, page=50)[1][-1] == "Job number 0"
    assert found(catalogue, size=200, page=51) == (COUNT, [])


def test_filters_and_words_narrow_the_list_together(catalogue: Catalogue) -> None:
    assert found(catalogue, state="open")[0] == COUNT // 2
    assert found(catalogue, state="ended")[0] == COUNT // 2
    paid, failed = found(catalogue, state="paid")[0], found(catalogue, state="failed")[0]
    assert (paid + failed, failed) == (COUNT // 2, len(range(0, COUNT, 6)))
    assert found(catalogue, role="user")[0] == COUNT // 10
    assert found(catalogue, role="worker") == (0, [])
    assert found(catalogue, role="user", state="open")[0] == 0, "every tenth has ended"
    assert found(catalogue, q="number 4711") == (1, ["Job number 4711"])
    assert found(catalogue, q="BIDDING number 4711")[0] == 1
    assert found(catalogue, q="paid number 4711")[0] == 0
    assert found(catalogue, q=(4711).to_bytes(4, "big").hex())[1] == ["Job number 4711"]
    assert found(catalogue, q="0x" + (4711).to_bytes(4, "big").hex())[1] == ["Job number 4711"]
    assert found(catalogue, q="no such thing") == (0, [])


def test_a_row_says_when_it_was_posted_and_a_stranger_is_not_found(catalogue: Catalogue) -> None:
    [row] = catalogue.page(JobsAsked(q="number 4711")).jobs
    assert (row.posted_at, row.deadline, row.state) == (4711, 5711, "BIDDING")
    with pytest.raises(Refusal, match="knows no job"):
        catalogue.job(JobId(b"\xff" * 32))
