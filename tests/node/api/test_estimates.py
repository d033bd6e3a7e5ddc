"""A price is estimated from what recent auctions paid, and the OpenAPI document says how to ask for all of this."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from morphware.node.api.drafts import UPLOAD
from morphware.node.api.estimates import SHOWN_MOST, told
from morphware.node.recent_prices import AuctionPrice
from morphware.protocol import chain_events as ce
from morphware.protocol.units import TOKEN, Address, JobId, Timestamp, Wei
from morphware.protocol.view import JobView
from tests.node.api.drafting import Drafting, drafting, world_of
from tests.node.testnet.recorded import spec, terms


def price(tokens: int, estimated_s: int = 3600) -> AuctionPrice:
    return AuctionPrice(
        JobId(bytes(32)), Timestamp(1), Wei(tokens * TOKEN), Wei(100 * TOKEN), estimated_s, "accuracy", 3
    )


def test_an_estimate_is_the_median_with_its_quartiles_for_the_time() -> None:
    found = told([price(tokens) for tokens in (50, 10, 30, 20, 40)], 1800)
    assert (found.low_wei, found.middle_wei, found.high_wei) == (str(10 * TOKEN), str(15 * TOKEN), str(20 * TOKEN))
    assert "10 to 20 tokens" in found.sentence


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_auctions_estimate_nothing(count: int) -> None:
    found = told([price(10)] * count, 600)
    assert (found.low_wei, found.middle_wei, found.high_wei) == (None, None, None)
    assert "too few" in found.sentence
    assert found.auctions == count


def award(asked: Drafting, number: int, tokens: int | None) -> None:
    """A job that the chain told of, whose auction is over, or is not."""
    job_id = JobId(number.to_bytes(32, "big"))
    view = JobView(job_id, Address(bytes(20)), replace(terms(), estimated_s=3600), spec())
    if tokens is not None:
        view.award = ce.JobAwarded(job_id, Address(b"w" * 20), Wei(1), Wei(tokens * TOKEN), 0)
    asked.node.engine.views[job_id] = view


async def test_recent_auctions_are_told_newest_first_and_open_ones_do_not_count(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        empty = (await asked.client.get("/estimate")).json()
        assert (empty["auctions"], empty["middle_wei"]) == (0, None)
        for number in range(SHOWN_MOST + 5):
            award(asked, number, tokens=number)
        award(asked, 99, tokens=None)
        found = (await asked.client.get("/estimate", params={"estimated_s": 7200})).json()
        assert [int(each["job_id"], 16) for each in found["recent"]] == list(range(24, 4, -1))
        assert found["middle_wei"] == str(24 * TOKEN)
        assert found["recent"][0]["metric"] == "accuracy"
        for wrong in ({"estimated_s": 0}, {"estimated_s": "x"}, {"surprise": 1}):
            assert (await asked.client.get("/estimate", params=wrong)).status_code == 400


async def test_the_openapi_document_has_every_route_of_a_submission(tmp_path: Path) -> None:
    async with drafting(world_of(tmp_path)) as asked:
        document = msgspec.json.decode((await asked.client.get("/openapi.json")).content)
        paths = document["paths"]
        upload = paths["/api/v1/drafts"]["post"]["requestBody"]["content"][UPLOAD]["schema"]
        assert set(upload["properties"]) == {"program", "train", "test", "data"}
        operations = {method["operationId"] for path in paths.values() for method in path.values()}
        assert operations == {
            "upload_draft", "list_drafts", "get_draft", "delete_draft", "try_draft", "review_draft", "post_draft",
            "estimate_price",
        }  # fmt: skip
        events = paths["/api/v1/drafts/{draft_id}/dry-run"]["post"]["responses"]["200"]["content"]
        assert "text/event-stream" in events
        assert "request_id" in document["components"]["schemas"]["PostAsked"]["required"]
