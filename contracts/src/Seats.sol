// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "./Ledger.sol";

/// @title Validators are drawn by seats: equal stakes, any number to an owner.
/// @notice An address sits at most once on a committee, but a person may have many addresses: whoever splits its seats
///         over them can win more chairs of one committee than under one name. What bounds it is the stakes' price.
/// @notice A seat is free (in the list that committees are drawn from), busy (held by a job), or leaving (in no list,
///         paid out after the unbonding time). A busy seat may ask to leave, and leaves when its job lets go of it.
abstract contract Seats is Ledger {
    struct Seat {
        address owner; // zero: no such seat
        uint40 since; // when it was staked, seconds; it serves only jobs posted later
        uint40 freeAt; // when a leaving seat may be unstaked, seconds; 0: it is not leaving
        bool isBusy;
    }

    /// @notice What one seat holds, in wei.
    uint96 public immutable seatStake;

    /// @notice How long a leaving seat waits for its stake, in seconds.
    uint32 public immutable unbondingSeconds;

    /// @notice Seats that exist, in whatever condition; each holds `seatStake`.
    uint32 public seatCount;

    uint32 private _nextSeat;
    mapping(uint32 seat => Seat) private _seats;

    /// @dev Drawn from by position. `_position` is meaningful only for seats in it.
    uint32[] internal _freeList;
    mapping(uint32 seat => uint256 position) private _position;

    constructor(uint96 seatStake_, uint32 unbondingSeconds_) {
        if (seatStake_ == 0) revert BadTerms("seatStake");
        seatStake = seatStake_;
        unbondingSeconds = unbondingSeconds_;
    }

    /// @notice Turns `count` times `seatStake` of the caller's free balance into seats.
    function stake(uint16 count) external {
        if (count == 0) revert BadTerms("count");
        _debit(msg.sender, uint256(seatStake) * count);
        uint32 first = _nextSeat;
        _nextSeat = first + count;
        seatCount += count;
        for (uint32 seat_ = first; seat_ < first + count; ++seat_) {
            _seats[seat_] = Seat({owner: msg.sender, since: uint40(block.timestamp), freeAt: 0, isBusy: false});
            _pushFree(seat_);
        }
        emit SeatsStaked(msg.sender, first, count);
    }

    /// @notice Takes the caller's seat out of the draw; its stake can be had after the unbonding time.
    function requestUnstake(uint32 seat_) external {
        Seat storage record = _ownSeat(seat_);
        if (record.freeAt != 0) revert SeatBonding(seat_, record.freeAt);
        uint40 freeAt = uint40(block.timestamp + unbondingSeconds);
        record.freeAt = freeAt;
        if (!record.isBusy) _removeFree(_position[seat_]);
        emit SeatLeaving(msg.sender, seat_, freeAt);
    }

    /// @notice Ends a seat that has waited long enough and serves no job; its stake becomes free balance.
    function unstake(uint32 seat_) external {
        Seat storage record = _ownSeat(seat_);
        if (record.freeAt == 0) revert SeatNotLeaving(seat_);
        if (record.isBusy) revert SeatBusy(seat_);
        if (block.timestamp < record.freeAt) revert SeatBonding(seat_, record.freeAt);
        _dissolve(seat_, 0);
    }

    /// @notice How many seats a committee could be drawn from now.
    function freeSeats() external view returns (uint256) {
        return _freeList.length;
    }

    /// @notice The free seats in the order in which a draw sees them.
    function freeList() external view returns (uint32[] memory) {
        return _freeList;
    }

    /// @notice One seat's record; the owner is zero if there is none.
    function seat(uint32 seat_) external view returns (Seat memory) {
        return _seats[seat_];
    }

    function _seat(uint32 seat_) internal view returns (Seat storage) {
        return _seats[seat_];
    }

    /// @dev A draw takes the seat at `position`; `last` is the last position still in play, and fills the gap, and the
    ///      list's own last fills that one: the part in play stays whole, and no seat is asked twice.
    function _takeFree(uint256 position, uint256 last) internal returns (uint32 seat_) {
        seat_ = _freeList[position];
        _seats[seat_].isBusy = true;
        if (position != last) _setFree(position, _freeList[last]);
        _removeFree(last);
    }

    /// @dev A draw passes over the seat at `position`: it changes places with the last one in play.
    function _passFree(uint256 position, uint256 last) internal {
        if (position == last) return;
        uint32 passed = _freeList[position];
        _setFree(position, _freeList[last]);
        _setFree(last, passed);
    }

    /// @dev A job lets go of a seat that did its duty: back to the end of the list, unless it is leaving.
    function _release(uint32 seat_) internal {
        Seat storage record = _seats[seat_];
        record.isBusy = false;
        if (record.freeAt == 0) _pushFree(seat_);
    }

    /// @dev Ends a seat that is in no list: the owner gets the stake less `slash` wei, which the caller accounts for.
    function _dissolve(uint32 seat_, uint96 slash) internal {
        address owner = _seats[seat_].owner;
        delete _seats[seat_];
        delete _position[seat_];
        --seatCount;
        _credit(owner, seatStake - slash);
        emit SeatReleased(owner, seat_);
    }

    function _pushFree(uint32 seat_) private {
        _position[seat_] = _freeList.length;
        _freeList.push(seat_);
    }

    function _removeFree(uint256 position) private {
        uint256 last = _freeList.length - 1;
        if (position != last) _setFree(position, _freeList[last]);
        _freeList.pop();
    }

    function _setFree(uint256 position, uint32 seat_) private {
        _freeList[position] = seat_;
        _position[seat_] = position;
    }

    function _ownSeat(uint32 seat_) private view returns (Seat storage record) {
        record = _seats[seat_];
        if (record.owner != msg.sender) revert SeatNotYours(seat_, record.owner);
    }
}
