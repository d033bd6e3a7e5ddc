"""What the commands were asked to do, validated as far as it can be without a chain, a network or a sandbox."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from morphware.protocol.units import Wei

Privacy = Literal["sealed", "public"]


@dataclass(frozen=True, slots=True)
class TestnetOptions:
    """``morphware testnet``."""

    __test__ = False  # pytest must not take it for a test

    job: str
    """``digits``, ``tabular``, the path of a job, or ``none``: the market alone, kept open."""
    workers: int | None
    """None, here and below: as the folder's testnet was made, or as is usual."""
    validators: int | None
    seed: int | None
    keep: bool
    """Leave the network running after the job, for further ``morphware submit``s."""
    json: bool
    """Print the receipt, or without a job where everything is, as JSON on stdout, and nothing else there."""
    folder: Path | None
    """Where everything is kept; None: a new temporary folder."""
    relay: bool = True
    """Whether the nodes share transactions."""


@dataclass(frozen=True, slots=True)
class ScenarioOptions:
    """``morphware testnet --scenario``."""

    scenario: str
    """A scenario's name, or ``all``."""
    seed: int
    json: bool
    """Print the comparison as JSON on stdout, and nothing else there; a line for each scenario of ``all``."""
    folder: Path | None
    """Where everything is kept; None: a new temporary folder."""


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """``morphware submit``. What is None is taken from ``morphware.toml`` beside the script, else from the node."""

    script: Path
    train: Path | None
    test: Path | None
    data: Path | None
    """With ``chunks`` instead of the two folders: a block picks the chunks of it that test the model."""
    chunks: int
    """0: the two folders are the person's choice."""
    test_chunks: int
    metric: str | None
    threshold_e6: int | None
    """What the model must reach, in millionths of the metric's natural unit; for a loss the most that it may be."""
    baseline_e6: int | None
    """Where a payment in part begins, in the threshold's unit; None: all at the threshold or nothing."""
    reserve_wei: Wei | None
    """The most that the user pays."""
    seats: int
    name: str
    """Empty: the job's title, else the script's name."""
    estimated_s: int | None
    """How long the user believes that the training takes: bidders price it."""
    training_s: int | None
    """How long a bidder may ask for."""
    testing_s: int | None
    """How long the validators may take."""
    bidding_s: int | None
    """How long bids are taken."""
    privacy: Privacy
    data_folder: Path | None
    """The running node's data folder; None: the default one."""
    json: bool
    wait: bool
    """Follow the job to its end; otherwise return once it is on chain."""
