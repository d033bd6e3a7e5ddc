"""From a wish to a job: what may not travel stays, what cannot be used is one sentence, and nothing changes later."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from morphware.node.api.answers.submitting import WishAsked
from morphware.node.artifacts.errors import DiskFull
from morphware.node.cli.deploy import USUAL_TIMING
from morphware.node.errors import BadInput
from morphware.node.staging import LEAST_TESTING_S, LEAST_TRAINING_S, Staged
from morphware.node.staging import stage as stage_for
from morphware.node.testnet.network import TEST_TIMING
from morphware.node.wishes import JobWish
from morphware.protocol.market import WINDOW_MOST_S
from morphware.protocol.units import WEI_MAX, Wei

SCRIPT = "def predict(model_dir, test_dir):\n    return [0, 1]\n"


LEAST_FEE_WEI = Wei(7)


def stage(wish: JobWish) -> Staged:
    """Stage for a test chain's market."""
    return stage_for(wish, TEST_TIMING, LEAST_FEE_WEI)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job folder with code and, beside it, data."""
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inputs.csv").write_text("1\n2\n")
    (tmp_path / "test" / "labels.csv").write_text("0\n1\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(SCRIPT)
    return tmp_path


def wish_for(job: Path, **changes: Any) -> JobWish:
    wish = JobWish(
        program=job / "code", train=job / "train", test=job / "test", metric="accuracy", threshold=0.5,
        reserve_wei=Wei(1000),
    )  # fmt: skip
    return replace(wish, **changes)


def kept(wish: JobWish, destination: Path) -> dict[str, set[str]]:
    stage(wish).keep(destination)
    return {
        name: {str(path.relative_to(destination / name)) for path in (destination / name).rglob("*") if path.is_file()}
        for name in ("code", "train", "test")
    }


# --- what travels ---------------------------------------------------------------------------------------------------


def test_code_training_and_testing_data_travel_apart(job: Path) -> None:
    (job / "train" / "deep").mkdir()
    (job / "train" / "deep" / "more.csv").write_text("3\n")
    assert kept(wish_for(job), job / "kept") == {
        "code": {"train.py"},
        "train": {"inputs.csv", "deep/more.csv"},
        "test": {"inputs.csv", "labels.csv"},
    }


def split_wish(job: Path, **changes: Any) -> JobWish:
    """The same job with data that the protocol splits."""
    (job / "data").mkdir(exist_ok=True)
    for name in ("inputs.csv", "labels.csv"):
        (job / "data" / name).write_text("".join(f"{row}\n" for row in range(12)))
    split: dict[str, Any] = {"train": None, "test": None, "data": job / "data", "chunks": 4, "test_chunks": 1}
    return wish_for(job, **split | changes)


def test_data_that_the_protocol_splits_travels_whole_to_where_it_is_cut(job: Path) -> None:
    staged = stage(split_wish(job))
    assert (staged.submission.chunks, staged.submission.test_chunks) == (4, 1)
    sources = staged.keep(job / "kept")
    assert {str(path.relative_to(job / "kept")) for path in (job / "kept").rglob("*") if path.is_file()} == {
        "code/train.py",
        "data/inputs.csv",
        "data/labels.csv",
    }
    assert (sources.train, sources.test) == (job / "kept" / "data", job / "kept" / "user" / "test")


def test_a_wish_for_a_split_survives_the_socket(job: Path) -> None:
    wish = split_wish(job)
    assert read_back(wish.to_plain()) == wish


def test_the_largest_split_fits_a_specification(job: Path) -> None:
    wish = split_wish(job, chunks=32, test_chunks=8)
    for name in ("inputs.csv", "labels.csv"):
        (job / "data" / name).write_text("1\n" * 32)
    assert stage(wish).submission.chunks == 32


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"chunks": 13}, "12 rows cannot be cut into 13 chunks"),
        ({"chunks": 33}, "cut 2 to 32"),
        ({"chunks": 4, "test_chunks": 4}, "and not all, test"),
        ({"test_chunks": 0}, "cannot test a model"),
        ({"privacy": "public"}, "choose --privacy sealed"),
        ({"data": None}, "--data for a split"),
        ({"chunks": 0}, "--train and --test"),
    ],
)
def test_a_split_that_cannot_be_is_one_sentence(job: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        stage(split_wish(job, **changes))


def test_what_cannot_be_cut_is_refused_before_it_costs_anything(job: Path) -> None:
    wish = split_wish(job)
    (job / "data" / "photo.png").write_bytes(b"png")
    with pytest.raises(BadInput, match=r"photo\.png, which cannot be cut by rows"):
        stage(wish)


@pytest.mark.parametrize("program", ["code", "code/train.py"])
def test_data_below_the_code_is_no_code(job: Path, program: str) -> None:
    for name in ("train", "test"):
        (job / name).rename(job / "code" / name)
    wish = wish_for(job, program=job / program, train=job / "code" / "train", test=job / "code" / "test")
    assert kept(wish, job / "kept")["code"] == {"train.py"}


def test_data_below_the_code_is_no_code_whatever_link_it_is_named_by(job: Path) -> None:
    for name in ("train", "test"):
        (job / name).rename(job / "code" / name)
    (job / "elsewhere").symlink_to(job / "code", target_is_directory=True)
    wish = wish_for(job, train=job / "elsewhere" / "train", test=job / "elsewhere" / "test")
    assert kept(wish, job / "kept")["code"] == {"train.py"}


def test_no_link_and_no_second_name_brings_testing_data_into_the_code(job: Path) -> None:
    (job / "code" / "labels.csv").symlink_to(job / "test" / "labels.csv")
    (job / "code" / "folder").symlink_to(job / "test", target_is_directory=True)
    os.link(job / "test" / "labels.csv", job / "code" / "answers.csv")
    assert kept(wish_for(job), job / "kept")["code"] == {"train.py"}


def test_hidden_files_are_no_code(job: Path) -> None:
    for name in (".git/config", ".env", "__pycache__/train.pyc", "package/__pycache__/x.pyc", "package/.secret"):
        path = job / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
    (job / "code" / "package" / "module.py").write_text("")
    assert kept(wish_for(job), job / "kept")["code"] == {"train.py", "package/module.py"}


def test_a_single_script_travels_alone(job: Path) -> None:
    (job / "code" / "diary.txt").write_text("private")
    (job / "code" / "morphware.toml").write_text('metric = "accuracy"\n')
    assert kept(wish_for(job, program=job / "code" / "train.py"), job / "kept")["code"] == {
        "train.py",
        "morphware.toml",
    }


def test_links_inside_a_data_folder_are_followed(job: Path) -> None:
    (job / "train" / "same.csv").symlink_to("inputs.csv")
    assert kept(wish_for(job), job / "kept")["train"] == {"inputs.csv", "same.csv"}
    assert not (job / "kept" / "train" / "same.csv").is_symlink()


def test_a_data_folder_may_itself_be_named_by_a_link(job: Path) -> None:
    (job / "data").symlink_to(job / "train", target_is_directory=True)
    assert kept(wish_for(job, train=job / "data"), job / "kept")["train"] == {"inputs.csv"}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda job: (job / "train" / "x").symlink_to(job / "test" / "labels.csv"), "leads out of its folder"),
        (lambda job: (job / "train" / "x").symlink_to("/etc/passwd"), "leads out of its folder"),
        (lambda job: (job / "test" / "x").symlink_to(job / "nowhere"), "leads out of its folder"),
        (lambda job: (job / "train" / "x").symlink_to("gone.csv"), "no plain file"),
        (lambda job: (job / "train" / "x").symlink_to(job / "test", target_is_directory=True), "to a folder"),
        (lambda job: (job / "train" / "x").symlink_to(".", target_is_directory=True), "to a folder"),
        (lambda job: os.mkfifo(job / "train" / "x"), "no plain file"),
    ],
)
def test_what_leads_elsewhere_is_refused(job: Path, spoil: Callable[[Path], object], sentence: str) -> None:
    spoil(job)
    with pytest.raises(BadInput, match=sentence):
        stage(wish_for(job))


@pytest.mark.parametrize(
    ("train", "test"), [("data", "data"), ("data", "data/test"), ("data/test", "data"), ("data", "link")]
)
def test_training_and_testing_data_must_lie_apart(job: Path, train: str, test: str) -> None:
    (job / "data" / "test").mkdir(parents=True)
    for folder in ("data", "data/test"):
        for name in ("inputs.csv", "labels.csv"):
            (job / folder / name).write_text("1\n2\n")
    (job / "link").symlink_to(job / "data" / "test", target_is_directory=True)
    with pytest.raises(BadInput, match="lie in one another"):
        stage(wish_for(job, train=job / train, test=job / test))


def test_code_inside_a_data_folder_is_refused(job: Path) -> None:
    (job / "train" / "train.py").write_text(SCRIPT)
    with pytest.raises(BadInput, match="data is no code"):
        stage(wish_for(job, program=job / "train" / "train.py"))


def test_an_entry_that_is_a_link_is_refused(job: Path) -> None:
    (job / "code" / "train.py").rename(job / "real.py")
    (job / "code" / "train.py").symlink_to(job / "real.py")
    with pytest.raises(BadInput, match="is a link"):
        stage(wish_for(job))


def test_a_data_file_is_no_data_folder(job: Path) -> None:
    with pytest.raises(BadInput, match="is a file: name the folder that holds it"):
        stage(wish_for(job, train=job / "train" / "inputs.csv"))


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_edits_in_place_change_nothing_that_is_kept(job: Path) -> None:
    stage(wish_for(job)).keep(job / "kept")
    for path in (job / "train" / "inputs.csv", job / "code" / "train.py"):
        with path.open("r+") as file:
            file.write("#####")
    assert (job / "kept" / "train" / "inputs.csv").read_text() == "1\n2\n"
    assert (job / "kept" / "code" / "train.py").read_text() == SCRIPT


def test_a_file_that_vanished_meanwhile_leaves_nothing_behind(job: Path) -> None:
    staged = stage(wish_for(job))
    (job / "train" / "inputs.csv").unlink()
    with pytest.raises(FileNotFoundError):
        staged.keep(job / "kept")
    assert not (job / "kept").exists()


def test_a_full_disk_is_said_before_anything_is_copied(job: Path) -> None:
    staged = stage(wish_for(job))
    os.truncate(job / "train" / "inputs.csv", 1 << 43)  # a sparse file: 8 TiB of nothing
    with pytest.raises(DiskFull):
        staged.keep(job / "kept")
    assert not (job / "kept").exists()


# --- what it becomes ------------------------------------------------------------------------------------------------


def test_windows_follow_from_the_estimate(job: Path) -> None:
    short = stage(wish_for(job, estimated_s=1)).submission
    assert (short.training_s, short.testing_s) == (LEAST_TRAINING_S, LEAST_TESTING_S)
    long = stage(wish_for(job, estimated_s=1000)).submission
    assert (long.training_s, long.testing_s, long.estimated_s) == (3000, 1000, 1000)
    given = stage(wish_for(job, estimated_s=1000, training_s=7, testing_s=18, bidding_s=9)).submission
    assert (given.training_s, given.testing_s, given.bidding_s) == (7, 18, 9)


def test_the_usual_fee_is_a_fiftieth_or_the_least_that_the_market_takes(job: Path) -> None:
    assert stage(wish_for(job)).submission.fee_wei == 20
    assert stage(wish_for(job, reserve_wei=Wei(349))).submission.fee_wei == LEAST_FEE_WEI
    assert stage(wish_for(job, fee_wei=Wei(0))).submission.fee_wei == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reserve_wei": Wei(0)}, "more than 0 tokens"),
        ({"reserve_wei": Wei(-5)}, "more than 0 tokens"),
        ({"reserve_wei": Wei(WEI_MAX)}, "not so many tokens"),
        ({"fee_wei": Wei(-1)}, "not so many tokens"),
        ({"seats": 4}, "odd number"),
        ({"seats": 13}, "odd number"),
        ({"seats": -1}, "odd number"),
        ({"estimated_s": WINDOW_MOST_S}, "30 days"),
        ({"training_s": -1}, "at least one second"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": 1.5}, "lies between 0 and 1"),
        ({"metric": "nonsense"}, "never reports"),
        ({"baseline": 0.9}, "worse than the threshold"),
        ({"baseline": 0.95}, "worse than the threshold"),
        ({"baseline": float("nan")}, "threshold"),
        ({"metric": "log_loss", "threshold": 0.3, "baseline": 0.2}, "worse than the threshold"),
    ],
)
def test_what_no_market_takes_is_a_sentence(job: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        stage(wish_for(job, **changes))


def test_a_baseline_goes_the_same_way_as_the_threshold(job: Path) -> None:
    assert stage(wish_for(job)).submission.baseline_e6 is None
    assert stage(wish_for(job, threshold=0.9, baseline=0.5)).submission.baseline_e6 == 500_000
    loss = stage(wish_for(job, metric="log_loss", threshold=0.3, baseline=0.7)).submission
    assert (loss.threshold_e6, loss.baseline_e6) == (-300_000, -700_000)


def test_a_name_is_one_short_line(job: Path) -> None:
    assert stage(wish_for(job, name="a\nb\t" + "c" * 200)).submission.name == "a b " + "c" * 76
    assert stage(wish_for(job, name="Zu\u0308rich")).submission.name == "Z\u00fcrich"
    assert stage(wish_for(job, name="\n")).submission.name == "job"


def test_an_entry_that_others_could_not_read_is_refused(job: Path) -> None:
    (job / "code" / "train.py").rename(job / "code" / ("t" * 130 + ".py"))
    with pytest.raises(BadInput, match="Others could not read"):
        stage(wish_for(job))


def test_requirements_that_no_description_holds_are_refused(job: Path) -> None:
    names = "".join(f'#   "package{number}",\n' for number in range(60))
    header = f"# /// script\n# dependencies = [\n{names}# ]\n# ///\n"
    (job / "code" / "train.py").write_text(header + SCRIPT)
    with pytest.raises(BadInput, match="Others could not read"):
        stage(wish_for(job))


# --- wishes ---------------------------------------------------------------------------------------------------------


def read_back(plain: dict[str, Any]) -> JobWish:
    """As the node reads it from a request."""
    return JobWish.from_asked(msgspec.json.decode(json.dumps(plain).encode("utf-8", "surrogatepass"), type=WishAsked))


def test_a_wish_reads_back(job: Path) -> None:
    wish = wish_for(job, fee_wei=Wei(2**80), seats=3, training_s=5, privacy="public", name="a name", baseline=0.1)
    assert read_back(wish.to_plain()) == wish


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("program", None), ("program", ""), ("program", "relative.py"), ("program", "/a\0b"), ("program", 5),
        ("train", ["/a"]), ("metric", ""), ("metric", "m" * 41), ("metric", {}), ("threshold", "0.5"),
        ("threshold", None), ("reserve_wei", 5), ("reserve_wei", "-5"), ("reserve_wei", "5.5"), ("reserve_wei", "x"),
        ("reserve_wei", "1" * 5000), ("reserve_wei", None), ("fee_wei", "-1"), ("estimated_s", 0),
        ("estimated_s", 1.5), ("training_s", -1), ("testing_s", 10**12), ("seats", "5"), ("privacy", "secret"),
        ("memory_bytes", 0), ("disk_bytes", 2**70), ("name", None), ("surprise", 1),
    ],
)  # fmt: skip
def test_a_wish_with_a_wrong_part_is_refused_in_a_sentence(job: Path, key: str, value: object) -> None:
    plain = wish_for(job).to_plain() | {key: value}
    with pytest.raises(msgspec.ValidationError, match=key):
        read_back(plain)


@pytest.mark.parametrize("key", ["program", "train", "test", "metric", "threshold", "reserve_wei"])
def test_a_wish_without_a_part_is_refused_in_a_sentence(job: Path, key: str) -> None:
    plain = wish_for(job).to_plain()
    del plain[key]
    with pytest.raises(msgspec.ValidationError, match=key):
        read_back(plain)


def test_windows_follow_the_market_unless_the_wish_says_otherwise(job: Path) -> None:
    usual = stage_for(wish_for(job, estimated_s=1), USUAL_TIMING, LEAST_FEE_WEI).submission
    assert usual.testing_s == USUAL_TIMING.report_reveal_s
    assert usual.bidding_s == USUAL_TIMING.revealing_s
    assert stage(wish_for(job, estimated_s=1)).submission.bidding_s == TEST_TIMING.revealing_s
    with pytest.raises(BadInput, match="at least 1800 s to test"):
        stage_for(wish_for(job, testing_s=60), USUAL_TIMING, LEAST_FEE_WEI)
