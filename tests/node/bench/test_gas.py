"""``morphware bench gas`` on a real chain: a small run of everything, and what must be true of its figures."""

import json
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from morphware.node.bench.gas.report import BASELINES
from morphware.node.cli.main import app
from morphware.node.errors import ExitStatus

BIDS = ["2", "5"]
DEAREST_JOB = 1_303_000
"""1,296,300 gas by seats that have served before; a seat drawn in vain costs 900 more."""


@pytest.mark.adapter
def test_the_bench_runs_whole_jobs_and_its_figures_add_up() -> None:
    result = CliRunner().invoke(app, ["bench", "gas", "--json", "--bids", "5", "--bids", "2"])
    assert result.exit_code == ExitStatus.SUCCESS, result.stderr
    report = json.loads(result.stdout)
    assert set(report) == {
        "bids", "seats", "first_job", "whole_job", "whole_job_self_sent", "per_call", "per_bid", "auction", "baselines",
        "targets", "deployments", "tools",
    }  # fmt: skip
    assert (report["bids"], report["seats"]) == ([2, 5], 5)
    assert list(report["whole_job"]) == list(report["per_call"]) == list(report["per_bid"]) == BIDS

    for bids in BIDS:
        for key, way in (("whole_job", "relayed"), ("whole_job_self_sent", "self_sent")):
            calls = report["per_call"][bids][way]
            assert report[key][bids] == sum(kind["gas"] for kind in calls.values())
            assert all(kind["gas"] > 21_000 * kind["transactions"] for kind in calls.values())
        assert sum(kind["transactions"] for kind in report["per_call"][bids]["relayed"].values()) == 13
        assert report["per_call"][bids]["self_sent"]["commit"]["transactions"] == int(bids)
        assert report["whole_job"][bids] < report["whole_job_self_sent"][bids]

    assert report["first_job"]["bids"] == 2
    assert report["first_job"]["gas"] > report["whole_job"]["2"], "seats that have served before are cheaper"

    costs = [report["per_bid"][bids]["relayed"]["both"] for bids in BIDS]
    assert all(later <= earlier for earlier, later in pairwise(costs)), "a bid costs more among more bids"
    for name in BASELINES:
        assert all(0 < report["baselines"][name]["ratio"][bids]["relayed"]["per_bid"] < 1 for bids in BIDS)

    targets = report["targets"]
    assert targets["whole_job_of_5_bids"]["measured"] == report["whole_job"]["5"]
    for target in targets.values():
        assert target["met"] is (None if target["measured"] is None else target["measured"] <= target["most"])
    assert targets["growth_of_a_bids_cost_with_more_bids"]["met"] is True
    assert targets["relayed_commitment_all_in"]["met"] is True
    assert report["whole_job"]["5"] <= DEAREST_JOB, "the market became dearer: say why, and raise the figure here"


def test_the_command_explains_itself_with_an_example() -> None:
    result = CliRunner().invoke(app, ["bench", "gas", "--help"])
    assert result.exit_code == ExitStatus.SUCCESS
    assert "Example: morphware bench gas" in " ".join(result.stdout.split())


def test_more_bids_than_a_batch_holds_are_refused_before_anything_starts() -> None:
    result = CliRunner().invoke(app, ["bench", "gas", "--bids", "65"])
    assert result.exit_code == ExitStatus.BAD_INPUT
    assert "1 to 64 bids" in result.stderr
