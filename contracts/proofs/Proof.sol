// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Market} from "../src/Market.sol";

/// @notice What halmos understands of forge's cheat codes, and needs here.
interface Symbolic {
    function assume(bool condition) external pure;
    function warp(uint256 timestamp) external;
    function roll(uint256 number) external;
    function prank(address sender) external;
}

/// @notice The scene of all proofs: one job, its parties, and the market's fixed numbers.
/// @dev A proof is a market, so that it can set the storage to whatever it is to hold for; then it enters by the front door
///      (`this.call()`), and so through both halves. Arguments of a `check_` function stand for all their values at once,
///      and a path that reverts proves nothing: where a call must succeed, that is asserted.
abstract contract Proof is Market {
    Symbolic internal constant vm = Symbolic(address(uint160(uint256(keccak256("hevm cheat code")))));

    bytes32 internal constant JOB = "job";
    address internal constant USER = address(0x1001);
    address internal constant WINNER = address(0x1002);
    uint96 internal constant STAKE = 70e18; // wei
    uint256 internal constant NOW = 1_800_000_000; // seconds

    function _timing() internal pure returns (Timing memory) {
        return Timing({
            revealingSeconds: 11,
            keySeconds: 12,
            ackSeconds: 13,
            disputeSeconds: 14,
            seedSeconds: 15,
            keyingSeconds: 16,
            reportRevealSeconds: 17,
            appealSeconds: 18,
            claimSeconds: 19,
            inspectSeconds: 20,
            drawSeconds: 21,
            unbondingSeconds: 1_000,
            seedBlocks: 2,
            auditOneIn: 10
        });
    }

    function _market() internal view returns (IMarket) {
        return IMarket(address(this));
    }

    /// @dev Enters by the front door; answers the refusal's selector, if it is refused.
    function _try(bytes memory call_) internal returns (bool isDone, bytes4 refusal) {
        bytes memory answer;
        (isDone, answer) = address(this).call(call_);
        if (!isDone) refusal = bytes4(answer);
    }
}
