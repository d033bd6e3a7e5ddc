// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Settlement} from "./Settlement.sol";

/// @title From a verdict to the end: who may doubt it, what it leads to, and what the worker has to do for its price.
/// @notice An appeal pays for a committee of twice the size and one more, drawn anew. Whoever doubted a verdict that
///         does not stand in the end gets its bond back, as far as the bonds and slashes reach when the fees are paid.
/// @notice Where nobody appeals, chance may: a random audit is an appeal that the market makes, for three validators,
///         out of its audit pool. It counts neither as an appeal nor in the sizes of committees.
abstract contract Appeals is Settlement {
    /// @dev Before the claim; one more after it, as only then the user can test the model itself.
    uint256 private constant APPEALS = 2;
    uint256 private constant MOST_COMMITTEE = 47;
    uint256 private constant AUDIT_SEATS = 3;

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

    /// @dev TALLIED is over, and nobody has appealed. One finding in so many is tested again, if it is about a metric
    ///      and the first of its job, if the pool can pay three fees and if there are three validators without waiting.
    ///      The block that decides came after the last report was opened; once it is forgotten, the newest at a
    ///      multiple of 256 from it takes its place.
    function _endAppeals(bytes32 jobId, Record storage record) internal {
        Verdict verdict = record.verdict;
        if (
            _isChosen(jobId, record.count) && record.appeals == 0 && _freeSeats >= AUDIT_SEATS
                && _freeSeats >= _busyElsewhere(jobId, record)
        ) {
            uint256 bond = AUDIT_SEATS * record.fee;
            if (bond <= _auditPool && (verdict == Verdict.PASS || verdict == Verdict.FAIL)) {
                _auditPool -= uint96(bond);
                emit Audited(jobId, uint8(AUDIT_SEATS), uint96(bond));
                _want(jobId, record, address(0), AUDIT_SEATS);
                return;
            }
        }
        _resolve(jobId, record);
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
        _retryDraw(jobId, record, 0);
    }

    /// @dev The draw, be it the first or not, is by another block; each time it waits four times as long for that.
    function _retryDraw(bytes32 jobId, Record storage record, uint256 failed) internal {
        record.drawBlock = uint48(block.number + _seedBlocks);
        record.count = uint8(failed);
        _enter(jobId, record, State.DRAWING, uint256(_drawSeconds) << (2 * failed));
    }

    /// @dev Seats that sit in other jobs.
    function _busyElsewhere(bytes32 jobId, Record storage record) internal view returns (uint256) {
        return _busySeats - _seatsDrawn(jobId, record);
    }

    /// @dev Seats that sit in this one, of all its rounds.
    function _seatsDrawn(bytes32 jobId, Record storage record) private view returns (uint256 count) {
        for (uint256 r = 0; r <= record.round; ++r) {
            count += _sizeOf(_rounds[jobId][r]);
        }
    }

    /// @dev No committee could be drawn. If it was an appeal's own, that one is undone: its bond goes back, but for a
    ///      fee of each seat that sat in the job while it waited, which the audit pool gets. Else whoever appeals
    ///      everything while seats are scarce keeps them so, for nothing.
    function _undoAppeal(bytes32 jobId, Record storage record) internal {
        uint256 last = record.appeals;
        if (last == 0) return;
        Appeal storage appeal_ = _appeals[jobId][--last];
        if (appeal_.round != record.round) return;
        address appellant = appeal_.appellant;
        uint256 bond = appeal_.seats * record.fee;
        uint256 kept = appellant == address(0) ? bond : _seatsDrawn(jobId, record) * record.fee;
        if (kept > bond) kept = bond;
        record.appeals = uint8(last);
        _auditPool += uint96(kept);
        _credit(appellant, bond - kept);
        emit AppealUnheard(jobId, appellant, uint96(bond), uint96(kept));
    }

    function _appeal(bytes32 jobId, Record storage record) private {
        uint256 made = record.appeals;
        uint256 doubted = record.round;
        if (made != 0 && _appeals[jobId][0].appellant == address(0)) {
            --made;
            if (made == 0) doubted = _appeals[jobId][0].round;
        }
        if (made >= APPEALS + (record.flags & CLAIMED == 0 ? 0 : 1)) revert NoAppealLeft(jobId);
        uint256 seats = 2 * _sizeOf(_rounds[jobId][doubted]) + 1;
        if (seats > MOST_COMMITTEE) revert NoAppealLeft(jobId);
        uint256 available = _freeSeats + _busyElsewhere(jobId, record);
        if (available < seats) revert NotEnoughSeats(available, seats);
        uint256 bond = seats * record.fee;
        _debit(msg.sender, bond);
        emit Appealed(jobId, msg.sender, uint8(seats), uint96(bond));
        _want(jobId, record, msg.sender, seats);
    }

    /// @dev Somebody's doubt, or the market's, is paid for: another committee is to be drawn.
    function _want(bytes32 jobId, Record storage record, address appellant, uint256 seats) private {
        uint8 made = record.appeals;
        _appeals[jobId][made] =
            Appeal({appellant: appellant, seats: uint8(seats), verdict: record.verdict, round: record.round});
        record.appeals = made + 1;
        _awaitDraw(jobId, record, seats);
    }

    /// @param low The low bits of the block's number, which are all that is needed.
    function _isChosen(bytes32 jobId, uint8 low) private view returns (bool) {
        unchecked {
            if (_auditOneIn == 0) return false;
            uint256 latest = block.number - 1;
            bytes32 hash = blockhash(latest - ((latest - low) % BLOCKHASH_WINDOW));
            return uint256(keccak256(abi.encode(hash, jobId, bytes32("audit")))) % _auditOneIn == 0;
        }
    }
}
