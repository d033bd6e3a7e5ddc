"""Every planted fault fits the sources, and one of them is planted and noticed; the campaign plants them all."""

import random

import pytest

from morphware.contracts import build
from morphware.contracts.checks import mutation, workbench
from morphware.contracts.checks.mutation import BadMutant, Mutant

SAMPLE = 1
MUTANTS = mutation.load()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_sources(mutant: Mutant) -> None:
    sources = workbench.sources()
    mutated = mutant.apply(sources)
    assert [name for name in sources if mutated[name] != sources[name]] == [mutant.file]


def test_there_are_25_mutants_and_no_name_twice() -> None:
    assert len(MUTANTS) >= 25
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_a_mutant_whose_text_is_not_there_or_there_twice_is_an_error() -> None:
    sources = {"src/A.sol": "a = b; a = b;"}
    with pytest.raises(BadMutant, match="2 times"):
        Mutant("twice", "src/A.sol", "a = b;", "", "A").apply(sources)
    with pytest.raises(BadMutant, match="0 times"):
        Mutant("never", "src/A.sol", "a = c;", "", "A").apply(sources)
    with pytest.raises(BadMutant, match=r"no src/B\.sol"):
        Mutant("nowhere", "src/B.sol", "a", "", "A").apply(sources)


@pytest.mark.contracts
def test_a_sample_of_the_mutants_is_killed() -> None:
    """Which one changes with the sources: every version tries another."""
    chosen = random.Random(build.hash_of(workbench.sources())).sample(
        [mutant for mutant in MUTANTS if not mutant.equivalent], SAMPLE
    )
    results = list(mutation.run(chosen))
    assert [result for result in results if result.fate != "killed"] == []
    assert len(results) == SAMPLE
