// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarketRules} from "./MarketRules.sol";

/// @title What becomes of a seat: taken by a draw, let go by its job, or dissolved.
/// @notice A seat is free (committees are drawn from those), busy (held by a job), or leaving (never drawn, and paid
///         out after the unbonding time). A busy seat may ask to leave, and leaves when its job lets go of it.
/// @dev Who changes a seat's condition keeps `_freeSeats` and `_busySeats` right, in one write for many seats: it is
///      not done here.
abstract contract SeatBook is MarketRules {
    /// @dev Whether a draw could take it, as far as the seat alone says.
    function _isFree(Seat memory record) internal pure returns (bool) {
        return !record.isBusy && record.freeAt == 0;
    }

    /// @dev Ends a seat that is not free: its owner gets the stake less `slash` wei, which the caller accounts for.
    function _dissolve(uint32 seat_, address owner, uint256 slash) internal {
        delete _seats[seat_];
        delete _strikes[seat_];
        _freed.push(seat_);
        _credit(owner, _seatStake - slash);
        emit SeatReleased(owner, seat_);
    }
}
