// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Settlement} from "./Settlement.sol";

/// @title From a verdict to the end: who may doubt it, what it leads to, and what the worker has to do for its price.
/// @notice An appeal pays for a committee of twice the size and one more, drawn anew. Whoever doubted what does not
///         stand in the end gets its bond back out of what the wrong ones lose.
abstract contract Appeals is Settlement {
    /// @dev Before the claim; one more after it, as only then the user can test the model itself.
    uint256 private constant APPEALS = 2;
    uint256 private constant MOST_COMMITTEE = 47;

    /// @notice Doubts the verdict, anybody may, for a bond of the next committee's fees.
    function appeal(bytes32 jobId) external {
        _appeal(jobId, _live(jobId, State.TALLIED));
    }

    /// @notice The user, who has the model now, doubts that it passed.
    function inspectAppeal(bytes32 jobId) external {
        Record storage record = _live(jobId, State.INSPECT);
        _onlyCaller(record.user);
        _appeal(jobId, record);
    }

    /// @notice The hash lock's preimage is the whole authority: whoever publishes y gets the worker its price. If the
    ///         model passed, the user may inspect it first.
    function claim(bytes32 jobId, bytes32 y, bytes32 modelHash, bytes32 xHash, bytes32 workerSeed) external {
        Record storage record = _live(jobId, State.CLAIMABLE);
        _onlyRoot(_modelRoot(modelHash, xHash, _hashOf(y), workerSeed), record.standingOrModel);
        record.flags |= CLAIMED;
        emit Claimed(jobId, y);
        if (record.verdict == Verdict.PASS) _enter(jobId, record, State.INSPECT, _inspectSeconds);
        else _closeAs(jobId, record, Outcome.PAID);
    }

    /// @dev What the verdict leads to when nobody can doubt it any more.
    function _resolve(bytes32 jobId, Record storage record) internal {
        Verdict verdict = record.verdict;
        Outcome outcome = Outcome.INCONCLUSIVE; // NONE
        if (verdict == Verdict.FAIL) {
            outcome = Outcome.REJECTED;
        } else if (verdict == Verdict.NO_MODEL) {
            outcome = Outcome.WORKER_FAULT;
        } else if (verdict != Verdict.NONE) {
            if (record.flags & CLAIMED == 0) {
                _enter(jobId, record, State.CLAIMABLE, _claimSeconds);
                return;
            }
            outcome = Outcome.PAID;
        }
        _closeAs(jobId, record, outcome);
    }

    /// @dev A party's default ends the round that runs: its validators neither earn nor lose. Without an accuser, the
    ///      verdict falls against whoever was silent.
    function _abort(bytes32 jobId, Record storage record, Verdict verdict) internal {
        record.flags |= ABORTED;
        record.verdict = verdict;
        _resolve(jobId, record);
    }

    /// @dev A committee of `seats` is to be drawn, with the hash of a block that nobody knows yet.
    function _awaitDraw(bytes32 jobId, Record storage record, uint256 seats) internal {
        record.nextSeats = uint8(seats);
        record.drawBlock = uint48(block.number + _seedBlocks);
        _enter(jobId, record, State.DRAWING, _drawSeconds);
    }

    function _appeal(bytes32 jobId, Record storage record) private {
        uint256 made = record.appeals;
        if (made >= APPEALS + (record.flags & CLAIMED == 0 ? 0 : 1)) revert NoAppealLeft(jobId);
        uint256 seats = 2 * _sizeOf(_rounds[jobId][record.round]) + 1;
        if (seats > MOST_COMMITTEE) revert NoAppealLeft(jobId);
        if (_freeSeats < seats) revert NotEnoughSeats(_freeSeats, seats);
        uint256 bond = seats * record.fee;
        _debit(msg.sender, bond);
        _appeals[jobId][made] = Appeal({appellant: msg.sender, seats: uint8(seats), verdict: record.verdict});
        record.appeals = uint8(made + 1);
        emit Appealed(jobId, msg.sender, uint8(seats), uint96(bond));
        _awaitDraw(jobId, record, seats);
    }
}
