// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Appeals} from "./Appeals.sol";

/// @title What the tests say: reports are opened, and the round is tallied.
abstract contract Reports is Appeals {
    bytes32 private constant REPORT_TYPEHASH = keccak256(
        "Report(uint256 chainId,address market,bytes32 jobId,uint8 round,address validator,int64 metric,int64 fingerprint,bytes32 predictionRoot,bytes32 salt)"
    );
    /// @dev A round that found nothing, as too few reported, is repeated so often in a job.
    uint256 private constant REDRAWS = 1;

    /// @notice Opens reports, anybody's; as with bids, what is open already or unknown is passed over, and one has to
    ///         be new. The last one of the committee ends the phase.
    /// @param reports At most 64; cheapest in the committee's order.
    function revealReports(bytes32 jobId, Report[] calldata reports) external {
        Record storage record = _live(jobId, State.VREVEAL);
        _onlyUpTo(reports.length, MOST_BATCH);
        uint8 index = record.round;
        (uint32[] memory numbers, uint256 head) = _seatsOf(_rounds[jobId][index]);
        uint256 opened;
        bytes32 first;
        uint256 next;
        for (uint256 i = 0; i < reports.length; ++i) {
            Report memory report = reports[i];
            bytes32 commitment =
                keccak256(abi.encode(REPORT_TYPEHASH, block.chainid, address(this), jobId, index, report));
            if (i == 0) first = commitment;
            next = _sealedAt(numbers, head, _seal(commitment, report.validator), next);
            if (next == numbers.length) continue;
            _reports[numbers[next]] = _pack(report.metric, report.fingerprint);
            unchecked {
                ++opened;
                ++next;
            }
            emit ReportRevealed(
                jobId, index, report.validator, report.metric, report.fingerprint, report.predictionRoot
            );
        }
        if (opened == 0) revert UnknownCommitment(first);
        opened += record.count;
        record.count = uint8(opened);
        if (opened == numbers.length) _finishRound(jobId, record);
    }

    /// @dev VCOMMIT is over.
    function _endCommits(bytes32 jobId, Record storage record) internal {
        uint256 head = _rounds[jobId][record.round].seats[0];
        if (head & _marksOf(uint8(head)) == 0) _finishRound(jobId, record);
        else _startOpening(jobId, record);
    }

    /// @dev The reports are in, or their time is over. Without a quorum there is one more try; after that the verdict
    ///      stays what it was.
    function _finishRound(bytes32 jobId, Record storage record) internal {
        uint8 index = record.round;
        Hearing memory hearing;
        hearing.chairs = _chairsOf(jobId, record);
        (Tally memory found, uint256 opened, uint256 size) = _consider(record, hearing, index);
        emit RoundTallied(jobId, index, found.verdict, found.metric, found.fingerprint);
        if (2 * opened > size) {
            record.verdict = found.verdict;
            if (index == 0) _noteUnanimity(record, hearing);
            unchecked {
                record.count = uint8(block.number + _seedBlocks);
            }
            _enter(jobId, record, State.TALLIED, _appealSeconds);
        } else if (record.redraws < REDRAWS) {
            record.redraws += 1;
            _awaitDraw(jobId, record, size);
        } else {
            _resolve(jobId, record);
        }
    }

    /// @dev Where a sealed word lies that is this round's; the length means nowhere. The search begins at `from`.
    function _sealedAt(uint32[] memory numbers, uint256 head, bytes32 word, uint256 from)
        private
        view
        returns (uint256)
    {
        unchecked {
            uint256 size = numbers.length;
            for (uint256 step = 0; step < size; ++step) {
                uint256 position = from + step;
                if (position >= size) position -= size;
                if (head & _markOf(position) != 0 && _reports[numbers[position]] == word) return position;
            }
            return size;
        }
    }
}
