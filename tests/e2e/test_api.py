"""The API of real nodes: everything about a paid job, the account's money, and whatever else a stranger's tool asks."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from morphware.node.api.answers.jobs import SignedRecord
from morphware.node.api.links import TOKEN_FILE
from morphware.node.errors import BadInput
from morphware.node.journal import Journal
from morphware.node.record import verify_record
from morphware.protocol.units import TOKEN
from tests.e2e.market import Market, clouds_wish, open_market

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("show_logs")]
KINDS = ("locked", "returned", "paid", "lost", "burned")
ENDLESS = ("watch", "dry_run")
"""Operations whose answers do not end by themselves."""


class Program:
    """Asks a node over its port, with its token."""

    def __init__(self, market: Market, node: str) -> None:
        folder = market.network.nodes[node].folder
        journal = Journal(folder / "journal.sqlite")
        self.origin = f"http://127.0.0.1:{journal.get('web port')}"
        journal.close()
        self.token = (folder / TOKEN_FILE).read_text().strip()
        self.http = httpx.AsyncClient(
            base_url=f"{self.origin}/api/v1", headers={"authorization": f"Bearer {self.token}"}, timeout=60
        )

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        return dict((await self.raw(path, **query)).json())

    async def raw(self, path: str, **query: Any) -> httpx.Response:
        response = await self.http.get(path, params=query)
        assert response.status_code == 200, response.text
        return response

    async def post(self, path: str, body: Mapping[str, Any], status: int = 200) -> dict[str, Any]:
        response = await self.http.post(path, json=dict(body))
        assert response.status_code == status, response.text
        return dict(response.json())


async def test_the_api_tells_everything_of_a_paid_job_and_of_the_node(tmp_path: Any) -> None:
    async with open_market(tmp_path / "net") as market:
        job = await market.until_over(await market.submit(clouds_wish(tmp_path / "data", name="<b>clouds</b>")))
        user = Program(market, "user-1")
        async with user.http:
            await _the_job_is_found_and_told(user, job)
            await _its_history_names_transactions_and_money(user, job)
            await _its_model_and_record_can_be_kept(user, job)
            await _tokens_move_once_for_each_request(user)
            await _the_network_is_shown(user)
            await _a_stranger_tool_finds_nothing(user)
        validator = Program(market, "validator-1")
        async with validator.http:
            await _seats_are_taken_and_given_up(validator)
        await market.restart("user-1")
        again = Program(market, "user-1")
        async with again.http:
            assert (again.origin, again.token) == (user.origin, user.token), "bookmarks and cookies hold on"
            await _the_job_is_found_and_told(again, job)


async def _the_job_is_found_and_told(user: Program, job: Mapping[str, Any]) -> None:
    job_id = job["job_id"]
    for query in ({"q": "clouds"}, {"q": job_id[:10]}, {"state": "paid"}, {"role": "user"}, {"q": "paid accuracy"}):
        page = await user.get("/jobs", **query)
        assert (page["total"], [row["job_id"] for row in page["jobs"]]) == (1, [job_id]), query
    for query in ({"q": "nothing like it"}, {"state": "open"}, {"role": "worker"}, {"page": 2}):
        assert (await user.get("/jobs", **query))["jobs"] == [], query
    told = await user.get(f"/jobs/{job_id}")
    assert (told["name"], told["outcome"], told["verdict"]) == ("<b>clouds</b>", "PAID", "PASS")
    curves = await user.get(f"/jobs/{job_id}/series", buckets=10)
    assert "loss" in curves["names"]
    loss = next(curve for curve in curves["curves"] if curve["name"] == "loss")
    assert (loss["count"], len(loss["xs"]), loss["xs"][0]) == (20, 10, 0.0)
    table = (await user.raw(f"/jobs/{job_id}/series.csv")).text.splitlines()
    assert (table[0], len([row for row in table if ",loss," in row])) == ("step,seconds,series,value", 20)
    output = await user.get(f"/jobs/{job_id}/output")
    assert "".join(piece["text"] for piece in output["pieces"])


async def _its_history_names_transactions_and_money(user: Program, job: Mapping[str, Any]) -> None:
    moments = (await user.get(f"/jobs/{job['job_id']}/timeline"))["moments"]
    assert (moments[0]["event"], moments[-1]["event"], moments[-1]["state"]) == ("JobPosted", "JobClosed", "CLOSED")
    assert all(moment["transaction"] for moment in moments)
    assert [moment["time_s"] for moment in moments] == sorted(moment["time_s"] for moment in moments)
    past = (await user.get(f"/jobs/{job['job_id']}/past"))["notices"]
    assert {notice["kind"] for notice in past} == {"chain"}
    told = [notice["event"]["_"] for notice in past]
    assert (told[0], told.count("JobClosed")) == ("JobPosted", 1)
    receipt = await user.get(f"/jobs/{job['job_id']}/receipt")
    assert receipt["is_final"]
    sums = {kind: sum(int(move["amount_wei"]) for move in receipt["moves"] if move["kind"] == kind) for kind in KINDS}
    assert sums["locked"] == sums["returned"] + sums["paid"] + sums["lost"], "every wei is somebody's"
    paid = {
        (move["payer"], move["payee"]): int(move["amount_wei"]) for move in receipt["moves"] if move["kind"] == "paid"
    }
    assert paid["this node", "the winner"] == int(job["paid_wei"])
    assert paid["this node", "audits"] == int(job["paid_wei"]) // 100
    assert {cost["call"] for cost in receipt["costs"]} >= {"Post"}


async def _its_model_and_record_can_be_kept(user: Program, job: Mapping[str, Any]) -> None:
    model = await user.raw(f"/jobs/{job['job_id']}/model")
    with zipfile.ZipFile(io.BytesIO(model.content)) as archive:
        assert archive.namelist() == ["model.npz"]
    record = SignedRecord(**(await user.get(f"/jobs/{job['job_id']}/record")))
    said = verify_record(record)
    assert (said["job"]["job_id"], said["account"]) == (job["job_id"], job["user"])
    assert "model_path" not in said["job"]
    forged = SignedRecord(
        account=record.account, record=record.record.replace('"PAID"', '"REJECTED"'), signature=record.signature
    )
    with pytest.raises(BadInput, match="was not signed by"):
        verify_record(forged)


async def _tokens_move_once_for_each_request(user: Program) -> None:
    before = await user.get("/wallet")
    for _ in range(2):  # a double click
        body = {"amount_wei": str(7 * TOKEN), "request_id": "one"}
        assert (await user.post("/wallet/deposit", body))["transaction"]
    assert (await user.post("/wallet/withdraw", body, status=409))["field"] == "request_id", "the name is a deposit's"
    after = await user.get("/wallet")
    assert int(after["free_wei"]) - int(before["free_wei"]) == 7 * TOKEN
    assert int(before["wallet_wei"]) - int(after["wallet_wei"]) == 7 * TOKEN
    assert (await user.post("/wallet/withdraw", {"amount_wei": str(7 * TOKEN)}))["sentence"] == "Withdrew 7 tokens."
    wallet = await user.get("/wallet")
    assert wallet["free_wei"] == before["free_wei"]
    with trio.fail_after(60):
        while (history := await user.get("/wallet/history", size=500))["entries"][0]["kind"] != "withdrawn":  # noqa: ASYNC110
            await trio.sleep(0.2)  # the chain's events come to the node a moment after the transaction's receipt
    assert sum(int(entry["amount_wei"]) for entry in history["entries"]) == int(wallet["free_wei"])
    assert {"escrow locked", "price paid", "validators paid"} <= {entry["kind"] for entry in history["entries"]}
    for path in ("/wallet/deposit", "/wallet/withdraw"):
        for amount in (0, 10**27):
            refused = await user.post(path, {"amount_wei": str(amount)}, status=400)
            assert refused["field"] == "amount_wei"


async def _seats_are_taken_and_given_up(validator: Program) -> None:
    before = await validator.get("/wallet")
    await validator.post("/seats/stake", {"seats": 2})
    after = await validator.get("/wallet")
    assert after["seats"] == before["seats"] + 2
    assert int(after["staked_wei"]) - int(before["staked_wei"]) == 2 * int(before["seat_stake_wei"])
    said = await validator.post("/seats/unstake", {"seats": 1})
    assert "1 seat leaves" in said["sentence"]
    with trio.fail_after(60):
        while (await validator.get("/wallet"))["leaving_seats"] != 1:  # noqa: ASYNC110
            await trio.sleep(0.2)
    refused = await validator.post("/seats/unstake", {"seats": 1000}, status=400)
    assert refused["field"] == "seats"
    operator = await validator.get("/operator")
    assert (operator["roles"], operator["offers"]) == (["validator"], [])
    change = await validator.http.patch("/operator/offers", json={"offers": {"worker.capacity": "2"}})
    assert change.status_code == 400
    assert 'only the role "worker"' in change.json()["sentence"]
    paused = await validator.post("/operator/pause", {})
    assert "give up seats" in paused["sentence"]


async def _the_network_is_shown(user: Program) -> None:
    network = await user.get("/network")
    assert len(network["peers"]) >= 1
    assert {transfer["name"] for transfer in network["transfers"]} >= {"code", "train", "test"}
    assert network["chain"]["block"] > 0
    assert network["chain"]["behind_s"] < 60


async def _a_stranger_tool_finds_nothing(user: Program) -> None:
    """schemathesis makes requests of its own from the OpenAPI document, right and wrong ones."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{user.origin}/api/v1/openapi.json",
        "--header", f"Authorization: Bearer {user.token}", "--phases", "examples,coverage,fuzzing",
        "--max-examples", "8", "--seed", "1", "--no-color", "--checks", "all",
        "--exclude-checks", "positive_data_acceptance",  # balances and settings refuse what no schema can tell
        *(part for name in ENDLESS for part in ("--exclude-operation-id", name)),
    ]  # fmt: skip
    run = partial(subprocess.run, command, capture_output=True, text=True, timeout=600, check=False)
    done = await trio.to_thread.run_sync(run)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
