"""The page's bench says what it measured, beside its baseline."""

import json

from morphware.node.bench.page import run_bench_page
from tests.node.test_submit import Capture


def test_the_figures_stand_beside_the_plain_way(capsys: Capture) -> None:
    assert run_bench_page(300, 20_000, as_json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["list"]["jobs"], report["picture"]["points"]) == (300, 20_000)
    assert all(value > 0 for part in report.values() for value in part.values())
    assert run_bench_page(300, 20_000, as_json=False) == 0
    assert "picture: points 2e+04" in capsys.readouterr().out
