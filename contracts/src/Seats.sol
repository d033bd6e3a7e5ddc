// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDesk} from "./IMarket.sol";
import {SeatBook} from "./SeatBook.sol";

/// @title Validators are drawn by seats: equal stakes, any number to an owner.
/// @notice An address sits at most once in a job, but a person may have many addresses: whoever splits its seats over
///         them can win more chairs of one committee than under one name. What bounds it is the stakes' price.
/// @notice Seats have numbers, and the number of a dissolved seat is given away again before a new one is, so that
///         draws, which pick numbers, seldom miss.
abstract contract Seats is IDesk, SeatBook {
    /// @notice Turns `count` times `seatStake` of the caller's free balance into seats.
    function stake(uint16 count) external {
        if (count == 0) revert BadTerms("count");
        _debit(msg.sender, uint256(_seatStake) * count);
        uint32[] memory numbers = new uint32[](count);
        uint256 reusable = _freed.length;
        uint24 next = _nextSeat;
        for (uint256 i = 0; i < count; ++i) {
            uint32 number;
            if (reusable != 0) {
                number = _freed[--reusable];
                _freed.pop();
            } else {
                number = next++;
            }
            numbers[i] = number;
            _seats[number] = Seat({owner: msg.sender, since: uint40(block.timestamp), freeAt: 0, isBusy: false});
        }
        _nextSeat = next;
        _freeSeats += count;
        emit SeatsStaked(msg.sender, numbers);
    }

    /// @notice Takes the caller's seat out of the draw; its stake can be had after the unbonding time.
    function requestUnstake(uint32 seat_) external {
        Seat storage record = _ownSeat(seat_);
        if (record.freeAt != 0) revert SeatBonding(seat_, record.freeAt);
        uint40 freeAt = uint40(block.timestamp + _unbondingSeconds);
        record.freeAt = freeAt;
        if (!record.isBusy) --_freeSeats;
        emit SeatLeaving(msg.sender, seat_, freeAt);
    }

    /// @notice Ends a seat that has waited long enough and serves no job; its stake becomes free balance.
    function unstake(uint32 seat_) external {
        Seat storage record = _ownSeat(seat_);
        if (record.freeAt == 0) revert SeatNotLeaving(seat_);
        if (record.isBusy) revert SeatBusy(seat_);
        if (block.timestamp < record.freeAt) revert SeatBonding(seat_, record.freeAt);
        _dissolve(seat_, msg.sender, 0);
    }

    function _ownSeat(uint32 seat_) private view returns (Seat storage record) {
        record = _seats[seat_];
        if (record.owner != msg.sender) revert SeatNotYours(seat_, record.owner);
    }
}
