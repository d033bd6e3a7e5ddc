// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Appeals} from "./Appeals.sol";

/// @title Who tests the model: seats, drawn with a seed that nobody can know before the model is committed.
/// @notice The draw's rule, attempt by attempt: README.md. The first committee's seed is of both parties' shares and a
///         block; a later one's of a block after the appeal, so that nobody can know all rounds when the first begins.
abstract contract Committee is Appeals {
    /// @dev Attempts of one draw, at a hash and a word of storage each: bounds its gas.
    uint256 private constant MOST_DRAWS = 1024;

    /// @dev Further draws after one that failed, each after four times the time of the one before. Whoever makes seats
    ///      scarce as it likes can choose among them, so they are few.
    uint256 private constant MOST_WAITS = 5;

    /// @notice Draws the seed that picks a SPLIT job's testing chunks, after the block whose hash goes in. Anybody may:
    ///         a user that waits for another hash need not be waited for.
    function drawSplit(bytes32 jobId) external {
        Record storage record = _live(jobId, State.AWARDED);
        if (record.flags & UNSPLIT == 0) revert AlreadyDone(jobId, msg.sender);
        bytes32 seed = _seedOf(jobId, record);
        record.flags &= ~UNSPLIT;
        _splits[jobId] = seed;
        emit SplitDrawn(jobId, seed);
    }

    /// @notice The user reveals its share of the seed, after the block whose hash goes in: the committee is drawn.
    /// @param userSeed The user's share; its hash is `terms.seedHash`.
    /// @param model What `submitModel` committed to.
    function revealSeed(
        bytes32 jobId,
        bytes32 userSeed,
        bytes32 trainKeyHash,
        bytes32 testKeyHash,
        ModelRoot calldata model
    ) external {
        Record storage record = _live(jobId, State.SEED);
        _onlyCaller(record.user);
        _onlyRoot(_jobIdOf(msg.sender, _hashOf(userSeed), trainKeyHash, testKeyHash), jobId);
        _onlyRoot(
            _modelRoot(model.modelHash, model.xHash, model.yHash, model.workerSeed), record.standingOrModel
        );
        bytes32 seed = keccak256(abi.encode(userSeed, model.workerSeed, _drawHash(record), jobId));
        if (_draw(jobId, record, 0, record.seats, seed)) {
            _enter(jobId, record, State.KEYING, _keyingSeconds);
        } else if (_mayFind(jobId, record, record.seats)) {
            record.flags |= UNSEATED;
            _awaitDraw(jobId, record, record.seats);
        } else {
            _closeAs(jobId, record, Outcome.MUTUAL_ABORT);
        }
    }

    /// @dev DRAWING is over. The first committee, if it is only drawn now, gets its keys as ever; a later round starts
    ///      with its commitments, as whoever holds keys can hand them on. A draw that fails where a later one may not
    ///      is made again. In the end both parties are fined if there is no first committee, or who keeps seats busy
    ///      would have a way out; and the verdict stands if there is no later one.
    function _drawNext(bytes32 jobId, Record storage record) internal {
        bytes32 seed = _seedOf(jobId, record);
        bool isFirst = record.flags & UNSEATED != 0;
        uint8 round = isFirst ? 0 : record.round + 1;
        uint256 failed = record.count;
        if (_draw(jobId, record, round, record.nextSeats, seed)) {
            record.round = round;
            record.flags &= ~(USER_REKEYED | WORKER_REKEYED | UNSEATED);
            if (isFirst) _enter(jobId, record, State.KEYING, _keyingSeconds);
            else _enter(jobId, record, State.VCOMMIT, record.testingSeconds);
        } else if (failed < MOST_WAITS && _mayFind(jobId, record, record.nextSeats)) {
            _retryDraw(jobId, record, failed + 1);
        } else if (isFirst) {
            _closeAs(jobId, record, Outcome.MUTUAL_ABORT);
        } else {
            _undoAppeal(jobId, record);
            _resolve(jobId, record);
        }
    }

    /// @dev Whether another draw could find what one has not: there are seats enough, and it had bad luck, or other
    ///      jobs will let some go.
    function _mayFind(bytes32 jobId, Record storage record, uint256 wanted) private view returns (bool) {
        return _freeSeats >= wanted || _busyElsewhere(jobId, record) != 0;
    }

    /// @dev What draws a later committee, or a split: nobody's share goes in, and the block is one after the decision.
    function _seedOf(bytes32 jobId, Record storage record) private view returns (bytes32) {
        return keccak256(abi.encode(_drawHash(record), jobId));
    }

    /// @dev The draw block's hash while it is known; after that the newest known block's at a multiple of the window
    ///      from it, so that waiting is worth one more throw each window and can never leave the job without a hash.
    function _drawHash(Record storage record) private view returns (bytes32) {
        uint256 drawBlock = record.drawBlock;
        if (block.number <= drawBlock) revert SeedBlockPending(drawBlock, block.number);
        uint256 latest = block.number - 1;
        return blockhash(latest - ((latest - drawBlock) % BLOCKHASH_WINDOW));
    }

    /// @dev Picks `wanted` seats and makes them busy, or none: neither where they cannot be found, nor while more seats
    ///      sit in other jobs than are free. Whoever keeps other people's seats busy is left with at most twice its
    ///      share of all seats.
    /// @return isDrawn Whether there is a committee.
    function _draw(bytes32 jobId, Record storage record, uint8 round, uint256 wanted, bytes32 seed)
        private
        returns (bool isDrawn)
    {
        uint256 span = record.seatSpan;
        if (span == 0) return false;
        uint256 postedAt = record.postedAt;
        (address[] memory barred, uint256 others) = _barred(jobId, record, round, wanted);
        if (_isScarce(others - 2, wanted)) return false;
        uint32[] memory numbers = new uint32[](wanted);
        uint256 count;
        unchecked {
            for (uint256 attempt = 0; attempt < MOST_DRAWS && count < wanted; ++attempt) {
                uint32 number = uint32(uint256(keccak256(abi.encode(seed, round, attempt))) % span);
                Seat memory seat_ = _seats[number];
                if (seat_.owner == address(0) || !_isFree(seat_) || seat_.since >= postedAt) continue;
                if (_isIn(barred, others + count, seat_.owner)) continue;
                _seats[number].isBusy = true;
                barred[others + count] = seat_.owner;
                numbers[count++] = number;
            }
            if (count != wanted) {
                while (count != 0) {
                    _seats[numbers[--count]].isBusy = false;
                }
                return false;
            }
        }
        _freeSeats -= uint24(count);
        _busySeats += uint16(count);
        _storeSeats(_rounds[jobId][round], numbers, count);
        record.count = uint8(count);
        address[] memory validators = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            validators[i] = barred[others + i];
        }
        emit CommitteeDrawn(jobId, round, seed, validators);
        return true;
    }

    /// @dev Whether there are too few seats even to look for them.
    /// @param own Seats of the job that sit in it already.
    function _isScarce(uint256 own, uint256 wanted) private view returns (bool) {
        uint256 busy = _busySeats;
        return _freeSeats < busy - own || busy + wanted > type(uint16).max;
    }

    /// @dev Who may not sit: the parties, and the owners of all seats of earlier rounds. There is room for `wanted`
    ///      more.
    function _barred(bytes32 jobId, Record storage record, uint256 rounds, uint256 wanted)
        private
        view
        returns (address[] memory accounts, uint256 count)
    {
        uint256 room = 2 + wanted;
        for (uint256 r = 0; r < rounds; ++r) {
            room += _sizeOf(_rounds[jobId][r]);
        }
        accounts = new address[](room);
        accounts[count++] = record.user;
        accounts[count++] = record.winner;
        for (uint256 r = 0; r < rounds; ++r) {
            (uint32[] memory numbers,) = _seatsOf(_rounds[jobId][r]);
            for (uint256 i = 0; i < numbers.length; ++i) {
                accounts[count++] = _seats[numbers[i]].owner;
            }
        }
    }

    function _isIn(address[] memory accounts, uint256 count, address account) private pure returns (bool) {
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                if (accounts[i] == account) return true;
            }
            return false;
        }
    }
}
