"""What tests of the doctor share: look with one check, and hold every finding to its form."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from morphware.node.config import Config
from morphware.node.config_loading import load_config
from morphware.node.doctor.findings import Finding, Standing, Tell

OK, WARNING, PROBLEM = Standing.OK, Standing.WARNING, Standing.PROBLEM


def config(**settings: Any) -> Config:
    """A configuration with these settings, ``section__field`` each."""
    return load_config(
        Path("/dev/null"),  # an empty file: nothing of this machine counts
        environment={},
        flags={key.replace("__", "."): value for key, value in settings.items()},
    ).config


async def looked(check: Callable[[Tell], Awaitable[None]]) -> list[Finding]:
    """What a check finds."""
    findings: list[Finding] = []
    await check(findings.append)
    for finding in findings:
        assert_well_formed(finding)
    return findings


def assert_well_formed(finding: Finding) -> Finding:
    """A sentence of what was found; and unless all is well one of what to do."""
    assert finding.subject
    assert finding.found.endswith(".") and not finding.found.endswith(".."), finding.found
    assert "\n" not in finding.found
    assert bool(finding.advice) is (finding.standing is not OK), finding
    if finding.advice:
        assert finding.advice[0].isupper() and finding.advice[-1] in ".?}\n", finding.advice
    return finding


def about(findings: Sequence[Finding], subject: str) -> Finding:
    """The one finding about a subject."""
    [found] = [finding for finding in findings if finding.subject == subject]
    return found
