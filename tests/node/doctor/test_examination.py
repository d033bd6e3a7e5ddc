"""Checks run side by side; what hangs or fails is a finding, and the others are not kept waiting."""

import time
from collections.abc import Sequence

import trio

from morphware.node.chain.errors import ChainUnreachable, OutOfCoins
from morphware.node.doctor.examination import Check, examine, in_thread
from morphware.node.doctor.findings import Tell, failure, fine
from morphware.node.errors import BadInput, MorphwareError
from morphware.node.keys import NoKeys
from tests.node.doctor.patient import PROBLEM, assert_well_formed


async def well(tell: Tell) -> None:
    await trio.sleep(1)
    tell(fine("well", "All is well."))


async def hangs(tell: Tell) -> None:
    tell(fine("hangs", "It began well."))
    await trio.sleep_forever()


async def test_what_hangs_is_a_finding_after_its_limit(autojump_clock: trio.abc.Clock) -> None:
    seen: list[Sequence[str]] = []
    checks = [Check("hangs", hangs, limit_s=5), Check("well", well, limit_s=5)]
    findings = await examine(checks, lambda names: seen.append(tuple(names)))
    assert trio.current_time() < 5.5, "side by side, and not one after the other"
    assert [finding.subject for finding in findings] == ["hangs", "hangs", "well"], "in the order of the checks"
    assert findings[1].standing is PROBLEM
    assert "within 5 s" in assert_well_formed(findings[1]).found
    assert seen == [("hangs", "well"), ("hangs",), ()]


async def test_what_fails_is_a_finding_and_no_traceback() -> None:
    async def fails(tell: Tell) -> None:
        raise ZeroDivisionError("oops")

    async def refuses(tell: Tell) -> None:
        async with trio.open_nursery():
            raise BadInput("The moon is missing: put it back.")

    findings = await examine([Check("fails", fails), Check("refuses", refuses), Check("well", well)])
    assert [each.subject for each in findings] == ["fails", "refuses", "well"]
    assert "ZeroDivisionError: oops" in assert_well_formed(findings[0]).found
    assert (findings[1].found, findings[1].advice) == ("The moon is missing.", "Put it back.")


async def test_a_thread_that_never_ends_keeps_nobody_waiting() -> None:
    over = time.monotonic() + 60

    async def blocks(tell: Tell) -> None:
        await in_thread(lambda: time.sleep(1.5))

    [finding] = await examine([Check("blocks", blocks, limit_s=0.05)])
    assert "within 0.05 s" in finding.found
    assert time.monotonic() < over


def test_our_errors_become_what_is_wrong_and_what_to_do() -> None:
    detailed = assert_well_formed(failure("chain", ChainUnreachable("eth_chainId at http://x: refused")))
    assert detailed.found == ("The chain's RPC endpoint does not answer (eth_chainId at http://x: refused).")
    assert detailed.advice == "Check that it runs, and that the configured address is right."
    plain = assert_well_formed(failure("coins", OutOfCoins()))
    assert plain.found == "The account cannot pay for gas."
    keys = assert_well_formed(failure("keys", NoKeys("/x/keys")))
    assert keys.found == "There are no keys in this folder (/x/keys)."
    assert keys.advice == "Make them with `morphware keys create`, or name another folder."
    assert assert_well_formed(failure("x", MorphwareError("It rains."))).found == "It rains."
