// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDesk} from "./IMarket.sol";
import {Rounds} from "./Rounds.sol";
import {Split} from "./Split.sol";

/// @title How the committee gets its keys, and what becomes of a key that does not come.
/// @notice Keys are handed over in sealed boxes. Whoever is entitled to one and did not get it complains, once for each
///         key, and its owner (or whoever knows it) publishes it in clear: an entitled receiver could have leaked it
///         anyway, so nothing is lost, and whoever then stays silent is at fault.
abstract contract Keys is IDesk, Rounds, Split {
    /// @dev One in the counter of restarts of a round's head.
    uint256 private constant RESTART = 1 << 56;

    /// @notice The user hands the testing and code keys to each validator, sealed, in the committee's order. In a later
    ///         round this moves nothing: whoever holds the keys can hand them on.
    function postTestKeys(bytes32 jobId, bytes[] calldata boxes) external {
        Record storage record = _keyed(jobId);
        _onlyCaller(record.user);
        bool isFirst = _noteKeys(jobId, record, boxes, USER_KEYED, USER_REKEYED);
        emit TestKeysPosted(jobId, boxes);
        if (isFirst) _startTesting(jobId, record);
    }

    /// @notice The winner hands both halves of the model's key to each validator, sealed, in the committee's order.
    function postModelKeys(bytes32 jobId, bytes[] calldata boxes) external {
        Record storage record = _keyed(jobId);
        _onlyCaller(record.winner);
        bool isFirst = _noteKeys(jobId, record, boxes, WORKER_KEYED, WORKER_REKEYED);
        emit ModelKeysPosted(jobId, boxes);
        if (isFirst) _startTesting(jobId, record);
    }

    /// @notice The user, who got no x, makes the winner publish it; before it hands its own keys to the committee.
    function complainX(bytes32 jobId) external {
        Record storage record = _live(jobId, State.KEYING);
        _onlyCaller(record.user);
        if (record.flags & USER_KEYED != 0) revert AlreadyDone(jobId, msg.sender);
        if (record.flags & X_PUBLIC != 0) revert AlreadyDisclosed(jobId);
        _enter(jobId, record, State.X_DISPUTE, _disputeSeconds);
    }

    /// @notice The winner publishes x.
    function discloseX(bytes32 jobId, bytes32 x, bytes32 modelHash, bytes32 yHash, bytes32 workerSeed) external {
        Record storage record = _live(jobId, State.X_DISPUTE);
        _onlyCaller(record.winner);
        _onlyRoot(_modelRoot(modelHash, _hashOf(x), yHash, workerSeed), record.standingOrModel);
        record.flags |= X_PUBLIC;
        emit XDisclosed(jobId, x);
        _enter(jobId, record, State.KEYING, _keyingSeconds);
    }

    /// @notice A validator of the running round, who got no key, makes a side publish it.
    /// @param againstUser The user's testing keys; else the winner's x and y.
    function complainKeys(bytes32 jobId, bool againstUser) external {
        Record storage record = _live(jobId, State.VCOMMIT);
        (uint32[] memory numbers,) = _seatsOf(_rounds[jobId][record.round]);
        if (_indexOf(numbers, new address[](numbers.length), msg.sender, 0) == numbers.length) {
            revert NotOnCommittee(msg.sender);
        }
        uint16 flags = record.flags;
        if (flags & (againstUser ? TEST_PUBLIC : MODEL_PUBLIC) != 0) revert AlreadyDisclosed(jobId);
        record.flags = againstUser ? flags | USER_ACCUSED : flags & ~USER_ACCUSED;
        emit KeysComplained(jobId, msg.sender, againstUser);
        _enter(jobId, record, State.DISCLOSE, _disputeSeconds);
    }

    /// @notice Publishes the testing key and the code key, anybody may who knows them.
    /// @param keys The two keys, 64 bytes, whose hash is `terms.testKeyHash`; in a SPLIT job more: see Split.sol.
    function discloseTest(bytes32 jobId, bytes calldata keys, bytes32 seedHash, bytes32 trainKeyHash) external {
        Record storage record = _live(jobId, State.DISCLOSE);
        if (record.flags & USER_ACCUSED == 0) revert WrongAccused(jobId);
        _onlyKeys(jobId, record.user, keys, seedHash, trainKeyHash, true);
        record.flags |= TEST_PUBLIC;
        emit TestKeysDisclosed(jobId, keys);
        _restart(jobId, record);
    }

    /// @notice Publishes both halves of the model's key, anybody may who knows them. It is no claim to the price.
    function discloseModel(bytes32 jobId, bytes32 x, bytes32 y, bytes32 modelHash, bytes32 workerSeed) external {
        Record storage record = _live(jobId, State.DISCLOSE);
        if (record.flags & USER_ACCUSED != 0) revert WrongAccused(jobId);
        _onlyRoot(_modelRoot(modelHash, _hashOf(x), _hashOf(y), workerSeed), record.standingOrModel);
        record.flags |= MODEL_PUBLIC | X_PUBLIC;
        emit ModelKeysDisclosed(jobId, x, y);
        _restart(jobId, record);
    }

    /// @dev The job, in KEYING, or where a later round's reports are committed.
    function _keyed(bytes32 jobId) private view returns (Record storage record) {
        record = _records[jobId];
        bool isLater = record.state == State.VCOMMIT && record.round != 0;
        if (record.state != State.KEYING && !isLater) revert WrongState(jobId, record.state);
        _onlyInTime(jobId, record);
    }

    /// @return isFirst Whether it is the first round's keys.
    function _noteKeys(bytes32 jobId, Record storage record, bytes[] calldata boxes, uint16 first, uint16 later)
        private
        returns (bool isFirst)
    {
        isFirst = record.state == State.KEYING;
        uint16 flag = isFirst ? first : later;
        if (record.flags & flag != 0) revert AlreadyDone(jobId, msg.sender);
        uint256 wanted = record.count;
        if (boxes.length != wanted) revert WrongBoxCount(boxes.length, wanted);
        for (uint256 i = 0; i < wanted; ++i) {
            _onlyUpTo(boxes[i].length, MOST_BOX_BYTES);
        }
        record.flags |= flag;
    }

    function _startTesting(bytes32 jobId, Record storage record) private {
        uint16 both = USER_KEYED | WORKER_KEYED;
        if (record.flags & both == both) _enter(jobId, record, State.VCOMMIT, record.testingSeconds);
    }

    /// @dev With a key that was missing, everybody of the round tests and commits anew; what was signed before is void.
    function _restart(bytes32 jobId, Record storage record) private {
        Round storage round = _rounds[jobId][record.round];
        uint256 head = round.seats[0];
        round.seats[0] = (head & ~_marksOf(uint8(head))) + RESTART;
        _enter(jobId, record, State.VCOMMIT, record.testingSeconds);
    }
}
