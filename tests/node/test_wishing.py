"""What a person leaves open comes from the job's own file, and everything that is wrong is told with its field."""

from dataclasses import replace
from pathlib import Path

import pytest

from morphware.node.errors import BadInput
from morphware.node.pricing import check_price, price_problems
from morphware.node.runner.inspect import inspect_job
from morphware.node.staging import stage, term_problems, wish_data_problems
from morphware.node.testnet.network import TEST_TIMING
from morphware.node.wishing import USUAL_DISK_BYTES, USUAL_ESTIMATE_S, Choices, missing, wish_from
from morphware.protocol.units import TOKEN, WEI_MAX, Wei

SCRIPT = "def predict(model_dir, test_dir):\n    return [0, 1]\n"
CONFIG = (
    'title = "Two"\nmetric = "accuracy"\nthreshold = 0.5\nreserve = "12.5"\nestimated_seconds = 7\nmemory_mib = 512\n'
)
LEAST_FEE_WEI = Wei(7)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "morphware.toml").write_text(CONFIG)
    return folder


def test_what_is_not_chosen_is_as_the_job_says(program: Path) -> None:
    wish = wish_from(Choices(program), inspect_job(program))
    assert (wish.metric, wish.threshold, wish.estimated_s, wish.memory_bytes) == ("accuracy", 0.5, 7, 512 << 20)
    assert (wish.reserve_wei, wish.disk_bytes, wish.fee_wei) == (25 * TOKEN // 2, USUAL_DISK_BYTES, None)


def test_what_is_chosen_goes_first(program: Path) -> None:
    choices = Choices(program, metric="f1", threshold=0.9, reserve_wei=Wei(3), estimated_s=9, memory_bytes=1 << 30)
    wish = wish_from(choices, inspect_job(program))
    assert (wish.metric, wish.threshold, wish.reserve_wei) == ("f1", 0.9, 3)
    assert (wish.estimated_s, wish.memory_bytes) == (9, 1 << 30)


def test_a_job_without_a_file_of_its_own_takes_what_is_usual(program: Path) -> None:
    (program / "morphware.toml").unlink()
    choices = Choices(program, metric="f1", threshold=0.9, reserve_wei=Wei(3))
    assert wish_from(choices, inspect_job(program)).estimated_s == USUAL_ESTIMATE_S


def test_everything_that_is_missing_is_told_with_its_field(program: Path) -> None:
    (program / "morphware.toml").unlink()
    job = inspect_job(program)
    assert [problem.field for problem in missing(Choices(program), job)] == ["metric", "threshold", "reserve_wei"]
    with pytest.raises(BadInput, match="Name a metric") as caught:
        wish_from(Choices(program), job)
    assert caught.value.field == "metric"


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('reserve = "-1"', "reserve_wei"), ("reserve = 1e300", "reserve_wei"), ("reserve = nan", "reserve_wei"),
        ("estimated_seconds = 99999999999999999999", "estimated_s"), ("memory_mib = -4", "memory_bytes"),
        ("memory_mib = 99999999999", "memory_bytes"),
    ],
)  # fmt: skip
def test_what_the_jobs_file_says_wrongly_has_its_field_until_it_is_chosen(program: Path, line: str, field: str) -> None:
    (program / "morphware.toml").write_text(f'metric = "accuracy"\nthreshold = 0.5\n{line}\n')
    choices = Choices(program, reserve_wei=None if field == "reserve_wei" else Wei(5))
    job = inspect_job(program)
    assert [problem.field for problem in missing(choices, job)] == [field]
    chosen = replace(choices, reserve_wei=Wei(5), estimated_s=5, memory_bytes=1 << 30)
    assert list(missing(chosen, job)) == []


def test_several_wrong_terms_are_all_told_each_with_its_field(program: Path) -> None:
    choices = Choices(
        program, threshold=1.5, reserve_wei=Wei(0), fee_wei=Wei(WEI_MAX), seats=4, training_s=2**40, testing_s=1
    )
    job = inspect_job(program)
    wish = wish_from(choices, job)
    fields = [problem.field for problem in term_problems(job, wish, TEST_TIMING)]
    assert fields == ["threshold", "reserve_wei", "seats", "fee_wei", "training_s", "testing_s"]
    with pytest.raises(BadInput, match="between 0 and 1") as caught:
        stage(wish, TEST_TIMING, LEAST_FEE_WEI)
    assert caught.value.field == "threshold"
    worse = wish_from(replace(choices, threshold=0.5, baseline=7.0), job)
    assert next(problem.field for problem in term_problems(job, worse, TEST_TIMING)) == "baseline"


def test_good_terms_have_no_problem(program: Path) -> None:
    wish = wish_from(Choices(program), inspect_job(program))
    assert list(term_problems(inspect_job(program), wish, TEST_TIMING)) == []


def test_wrong_data_is_told_with_its_field(program: Path) -> None:
    job = inspect_job(program)
    train, test = program.parent / "train", program.parent / "test"
    wish = wish_from(Choices(program), job)
    assert [problem.field for problem in wish_data_problems(job, wish)] == ["train", "test"]
    train.mkdir()
    test.mkdir()
    wish = wish_from(Choices(program, train, test), job)
    assert [problem.field for problem in wish_data_problems(job, wish)] == ["train", "test"]
    (train / "inputs.csv").write_text("1\n")
    (test / "inputs.csv").write_text("1\n")
    assert [problem.field for problem in wish_data_problems(job, wish)] == ["test"]
    (test / "labels.csv").write_text("1\n")
    assert list(wish_data_problems(job, wish)) == []
    split = wish_from(Choices(program, data=train, chunks=99, privacy="public"), job)
    assert [problem.field for problem in wish_data_problems(job, split)] == ["chunks", "privacy", "data"]


def test_a_price_that_no_market_takes_has_its_field() -> None:
    stake_wei = Wei(70 * TOKEN)
    problems = price_problems(Wei(TOKEN), Wei(1), 5, stake_wei)
    assert [problem.field for problem in problems] == ["reserve_wei", "fee_wei"]
    assert [problem.field for problem in price_problems(Wei(10**6 * TOKEN), None, 5, stake_wei)] == ["reserve_wei"]
    assert list(price_problems(Wei(100 * TOKEN), None, 5, stake_wei)) == []
    with pytest.raises(BadInput) as caught:
        check_price(Wei(TOKEN), None, 5, stake_wei)
    assert caught.value.field == "reserve_wei"


# --- programs that nobody wrote in good faith -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry", ["/etc/hostname.py", "../x.py", "sub/../../x.py", "a\\u0000.py", ".", "", "nowhere.py"]
)
def test_an_entry_outside_of_the_folder_is_refused(program: Path, entry: str) -> None:
    (program.parent / "x.py").write_text(SCRIPT)
    (program / "morphware.toml").write_text(f'entry = "{entry}"\n')
    with pytest.raises(BadInput) as caught:
        inspect_job(program)
    assert caught.value.field == "program"


@pytest.mark.parametrize(
    "source",
    ["(" * 5_000, "a" + ".b" * 20_000 + "()", "x = " + "-" * 100_000 + "1", "x = '" + "y" * (1 << 20) + "'",
     "lambda:" * 5_000, "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")],
)  # fmt: skip
def test_a_script_that_overwhelms_a_parser_is_one_sentence_or_read(program: Path, source: str) -> None:
    (program / "train.py").write_text(source)
    try:
        inspect_job(program)
    except BadInput as refusal:
        assert refusal.field == "program"  # noqa: PT017 - either is right, and nothing else
