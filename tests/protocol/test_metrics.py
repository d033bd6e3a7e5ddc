"""Metrics on their way to the chain: millionths, and higher is better."""

import math

import pytest

from morphware.protocol.metrics import KNOWN_METRICS, metric_from_e6, metric_to_e6


def test_a_loss_is_negated_so_that_higher_is_better() -> None:
    assert metric_to_e6("accuracy", 0.95) == 950_000
    assert metric_to_e6("rmse", 0.5) == -500_000
    assert metric_to_e6("rmse", 0.4) > metric_to_e6("rmse", 0.5)
    assert metric_to_e6("my own score", 0.5) == 500_000


@pytest.mark.parametrize("name", [*KNOWN_METRICS, "my own score"])
def test_a_metric_comes_back_in_its_natural_unit(name: str) -> None:
    assert metric_from_e6(name, metric_to_e6(name, 0.25)) == 0.25


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e13, -1e13])
def test_what_does_not_fit_a_report_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        metric_to_e6("rmse", value)
