// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrial} from "./IMarket.sol";
import {MarketRules} from "./MarketRules.sol";

/// @title What anybody can ask about money, seats and windows.
/// @dev In the half that is called less, as every function makes finding the others a little dearer.
abstract contract MarketViews is ITrial, MarketRules {
    /// @notice The token of all amounts.
    function token() external view returns (address) {
        return address(_token);
    }

    /// @notice What `account` may withdraw, bid or stake, in wei.
    function freeBalance(address account) external view returns (uint256) {
        return _free[account];
    }

    /// @notice Wei taken out of circulation since deployment.
    function burned() external view returns (uint256) {
        return _burned;
    }

    /// @notice What there is for random audits, in wei: gifts, and a part of what jobs pay and validators lose.
    function auditPool() external view returns (uint256) {
        return _auditPool;
    }

    /// @notice Deposits minus withdrawals, in wei: the sum of free balances, stakes, jobs' holdings, the audit pool and
    ///         burned money.
    function total() external view returns (uint256) {
        return _total;
    }

    /// @notice What one seat holds, in wei.
    function seatStake() external view returns (uint96) {
        return _seatStake;
    }

    /// @notice One seat's record; the owner is zero if there is none.
    function seat(uint32 seat_) external view returns (Seat memory) {
        return _seats[seat_];
    }

    /// @notice How often a seat reported a code that did not become the verdict, of late.
    function strikes(uint32 seat_) external view returns (Strikes memory) {
        return _strikes[seat_];
    }

    /// @notice How many seats exist that are neither busy nor leaving.
    function freeSeats() external view returns (uint256) {
        return _freeSeats;
    }

    /// @notice How many seats sit in jobs, leaving ones too.
    function busySeats() external view returns (uint256) {
        return _busySeats;
    }

    /// @notice How many seats exist, in whatever condition; each holds `seatStake`.
    function seatCount() external view returns (uint256) {
        return _nextSeat - _freed.length;
    }

    /// @notice How many seat numbers were ever given: the next new one.
    function nextSeat() external view returns (uint256) {
        return _nextSeat;
    }

    /// @notice Numbers of dissolved seats; the last is given again first.
    function freed() external view returns (uint32[] memory) {
        return _freed;
    }

    /// @notice How long every party has; fixed at deployment.
    function timing() external view returns (Timing memory) {
        return Timing({
            revealingSeconds: _revealingSeconds,
            keySeconds: _keySeconds,
            ackSeconds: _ackSeconds,
            disputeSeconds: _disputeSeconds,
            seedSeconds: _seedSeconds,
            keyingSeconds: _keyingSeconds,
            reportRevealSeconds: _reportRevealSeconds,
            appealSeconds: _appealSeconds,
            claimSeconds: _claimSeconds,
            inspectSeconds: _inspectSeconds,
            drawSeconds: _drawSeconds,
            unbondingSeconds: _unbondingSeconds,
            seedBlocks: _seedBlocks,
            auditOneIn: _auditOneIn
        });
    }
}
