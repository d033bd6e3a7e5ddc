"""What was fixed when a market was deployed, and can never change in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """The market's own windows, in seconds, fixed when it was deployed.

    ``seed_blocks`` are blocks, and ``audit_one_in`` is a number of findings: so many to one random audit, 0 for none.
    """

    revealing_s: int
    keys_s: int
    acknowledge_s: int
    dispute_s: int
    seed_s: int
    keying_s: int
    report_reveal_s: int
    appeal_s: int
    claim_s: int
    inspect_s: int
    draw_s: int
    unbonding_s: int
    seed_blocks: int
    audit_one_in: int
