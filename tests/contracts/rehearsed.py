"""The terms of the jobs that are rehearsed, for the table of losses and for the histories of accounts."""

from morphware.node.testnet.rehearsal import Inputs
from morphware.protocol.parameters import Timing
from morphware.protocol.units import Wei

TIMING = Timing(
    revealing_s=3600, keys_s=3600, acknowledge_s=3600, dispute_s=3600, seed_s=3600, keying_s=3600,
    report_reveal_s=3600, appeal_s=3600, claim_s=3600, inspect_s=3600, draw_s=60, unbonding_s=3600, seed_blocks=1,
    audit_one_in=1,
)  # fmt: skip
INPUTS = Inputs(
    reserve_wei=Wei(1000), fee_wei=Wei(20), seat_stake_wei=Wei(700), timing=TIMING, testing_s=7200, bidding_s=3600,
    training_s=7200, prices_wei={"worker-1": Wei(300), "worker-2": Wei(400)},
)  # fmt: skip
