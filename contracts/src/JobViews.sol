// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDesk} from "./IMarket.sol";
import {Rounds} from "./Rounds.sol";

/// @title What anybody can ask about a job. Events tell more, and for ever.
abstract contract JobViews is IDesk, Rounds {
    /// @notice A job's whole record; its state is NONE if there is no such job.
    function job(bytes32 jobId) external view returns (Job memory answer) {
        Record storage record = _records[jobId];
        answer.user = record.user;
        answer.deadline = record.deadline;
        answer.state = record.state;
        answer.outcome = record.outcome;
        answer.verdict = record.verdict;
        answer.options = record.options;
        answer.seats = record.seats;
        answer.round = record.round;
        answer.appeals = record.appeals;
        answer.redraws = record.redraws;
        answer.nextSeats = record.nextSeats;
        answer.drawBlock = record.drawBlock;
        answer.seatSpan = record.seatSpan;
        answer.postedAt = record.postedAt;
        answer.trainingSeconds = record.trainingSeconds;
        answer.testingSeconds = record.testingSeconds;
        answer.reserve = record.reserve;
        answer.fee = record.fee;
        answer.commitments = record.commitments;
        answer.unopened = record.commitments - record.opened;
        answer.winner = record.winner;
        if (record.state > State.REVEALING) answer.price = record.price;
        answer.burned = record.burned;
        answer.held = _heldBy(jobId, record);
        answer.threshold = record.threshold;
        answer.baseline = record.baseline;
        answer.tolerance = record.tolerance;
        answer.fingerprintTolerance = record.fingerprintTolerance;
        uint16 flags = record.flags;
        answer.isUserKeyed = flags & USER_KEYED != 0;
        answer.isWorkerKeyed = flags & WORKER_KEYED != 0;
        answer.isKeyPublic = flags & KEY_PUBLIC != 0;
        answer.isTestPublic = flags & TEST_PUBLIC != 0;
        answer.isXPublic = flags & X_PUBLIC != 0;
        answer.isModelPublic = flags & MODEL_PUBLIC != 0;
        answer.isClaimed = flags & CLAIMED != 0;
        answer.isUserAccused = flags & USER_ACCUSED != 0;
        answer.isAborted = flags & ABORTED != 0;
        if (uint256(record.standingOrModel) >> 160 != 0) answer.model = record.standingOrModel; // a bid is shorter
    }

    /// @notice One round's seats with their reports, in the order of the draw; nothing once the job has an outcome.
    function committee(bytes32 jobId, uint8 round) external view returns (Member[] memory members) {
        Record storage record = _records[jobId];
        if (record.outcome != Outcome.NONE) return members;
        (uint32[] memory numbers, uint256 head) = _seatsOf(_rounds[jobId][round]);
        members = new Member[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            members[i].validator = _seats[numbers[i]].owner;
            members[i].seat = numbers[i];
            if (head & _markOf(i) == 0) continue;
            members[i].isCommitted = true;
            uint256 report = uint256(_reports[numbers[i]]);
            if (!_isOpened(report)) continue;
            members[i].isRevealed = true;
            members[i].metric = _metricOf(report);
            members[i].fingerprint = _fingerprintOf(report);
        }
    }

    /// @notice A job's appeals, in order.
    function appeals(bytes32 jobId) external view returns (Appeal[] memory made) {
        made = new Appeal[](_records[jobId].appeals);
        for (uint256 i = 0; i < made.length; ++i) {
            made[i] = _appeals[jobId][i];
        }
    }

    /// @dev Reserve, fees, the user's bond, the bonds of sealed bids and the best's, and those of the appeals.
    function _heldBy(bytes32 jobId, Record storage record) private view returns (int256) {
        if (record.state == State.NONE || record.state == State.CLOSED) return 0;
        uint256 bonds = record.state > State.REVEALING ? 0 : record.commitments - record.opened;
        if (record.winner != address(0)) ++bonds;
        return int256(_userStake(record) + bonds * _bond(record) + _appealBonds(jobId, record)) + record.balance;
    }
}
