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

    /// @notice Opens reports, anybody's; as with bids, what is open already or unknown is passed over, and one has to be
    ///         new. The last one of the committee ends the phase.
    /// @param reports At most 64.
    function revealReports(bytes32 jobId, Report[] calldata reports) external {
        Record storage record = _live(jobId, State.VREVEAL);
        _onlyUpTo(reports.length, MOST_BATCH);
        uint8 index = record.round;
        Round storage round = _rounds[jobId][index];
        uint32[] memory numbers = _seatsOf(round);
        address[] memory owners = new address[](numbers.length);
        uint256 opened;
        bytes32 first;
        for (uint256 i = 0; i < reports.length; ++i) {
            bytes32 commitment = _reportHash(jobId, index, reports[i]);
            if (i == 0) first = commitment;
            uint256 position = _indexOf(numbers, owners, reports[i].validator);
            if (position == numbers.length || round.reports[position] != _seal(commitment)) continue;
            round.reports[position] = _pack(reports[i].metric, reports[i].fingerprint);
            ++opened;
            emit ReportRevealed(
                jobId,
                index,
                reports[i].validator,
                reports[i].metric,
                reports[i].fingerprint,
                reports[i].predictionRoot
            );
        }
        if (opened == 0) revert UnknownCommitment(first);
        opened += record.count;
        record.count = uint8(opened);
        if (opened == numbers.length) _finishRound(jobId, record, false);
    }

    /// @dev VCOMMIT is over.
    function _endCommits(bytes32 jobId, Record storage record) internal {
        if (record.count == 0) _finishRound(jobId, record, true);
        else _startOpening(jobId, record);
    }

    /// @dev The reports are in, or their time is over. Without a quorum there is one more try; after that, and where the
    ///      reports agree on nothing, the verdict stays what it was.
    function _finishRound(bytes32 jobId, Record storage record, bool isPoked) internal {
        uint8 index = record.round;
        Round storage round = _rounds[jobId][index];
        uint256 size = _sizeOf(round);
        (Tally memory found, uint256 opened) = _tallyOf(record, _reportsOf(round, size));
        emit RoundTallied(jobId, index, found.verdict, found.metric, found.fingerprint);
        if (2 * opened > size) {
            if (found.verdict != Verdict.NONE) record.verdict = found.verdict;
            _enter(jobId, record, State.TALLIED, _appealSeconds);
        } else if (record.redraws < REDRAWS) {
            record.redraws += 1;
            _awaitDraw(jobId, record, size);
        } else {
            _resolve(jobId, record, record.verdict, isPoked);
        }
    }

    function _reportHash(bytes32 jobId, uint8 round, Report calldata report) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                REPORT_TYPEHASH,
                block.chainid,
                address(this),
                jobId,
                round,
                report.validator,
                report.metric,
                report.fingerprint,
                report.predictionRoot,
                report.salt
            )
        );
    }
}
