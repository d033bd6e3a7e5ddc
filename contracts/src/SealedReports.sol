// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IDesk} from "./IMarket.sol";
import {Rounds} from "./Rounds.sol";

/// @title Reports are committed to before any is opened, so that nobody can copy one.
abstract contract SealedReports is IDesk, Rounds, EIP712 {
    bytes32 private constant COMMIT_REPORT_TYPEHASH =
        keccak256("CommitReport(bytes32 jobId,uint8 round,uint8 restarts,address validator,bytes32 commitment)");

    /// @notice A drawn validator commits to its report. The last one ends the phase.
    function commitReport(bytes32 jobId, bytes32 commitment) external {
        uint8 index = _live(jobId, State.VCOMMIT).round;
        Round storage round = _rounds[jobId][index];
        (uint32[] memory numbers, uint256 head) = _seatsOf(round);
        uint256 position = _indexOf(numbers, new address[](numbers.length), msg.sender, 0);
        if (position == numbers.length) revert NotOnCommittee(msg.sender);
        if (commitment == 0) revert BadTerms("commitment");
        if (head & _markOf(position) != 0) revert AlreadyDone(jobId, msg.sender);
        _reports[numbers[position]] = _seal(commitment, msg.sender);
        emit ReportCommitted(jobId, index, msg.sender, commitment);
        _noteCommitted(jobId, round, head | _markOf(position));
    }

    /// @notice Brings commitments that validators have signed; one that may not stand is passed over, so that none of
    ///         them spoils the batch.
    /// @param reports At most 64; cheapest in the committee's order.
    function commitReportBatch(bytes32 jobId, SignedReport[] calldata reports) external {
        uint8 index = _live(jobId, State.VCOMMIT).round;
        _onlyUpTo(reports.length, MOST_BATCH);
        Round storage round = _rounds[jobId][index];
        (uint32[] memory numbers, uint256 before) = _seatsOf(round);
        address[] memory owners = new address[](numbers.length);
        bytes32 domain = _domainSeparatorV4();
        uint256 head = before;
        uint256 next;
        for (uint256 i = 0; i < reports.length; ++i) {
            SignedReport calldata report = reports[i];
            address validator = report.validator;
            bytes32 commitment = report.commitment;
            uint256 position = _indexOf(numbers, owners, validator, next);
            if (position == numbers.length || commitment == 0 || head & _markOf(position) != 0) continue;
            next = position + 1;
            if (!_isReportSigned(jobId, index, head, domain, report)) continue;
            _reports[numbers[position]] = _seal(commitment, validator);
            head |= _markOf(position);
            emit ReportCommitted(jobId, index, validator, commitment);
        }
        if (head == before) revert NothingTaken(jobId);
        _noteCommitted(jobId, round, head);
    }

    /// @dev What a validator signs: good for one try of one round, as a missing key that comes voids what was said.
    function _isReportSigned(
        bytes32 jobId,
        uint8 round,
        uint256 head,
        bytes32 domain,
        SignedReport calldata report
    ) private pure returns (bool) {
        bytes32 structHash = keccak256(
            abi.encode(COMMIT_REPORT_TYPEHASH, jobId, round, _restartsOf(head), report.validator, report.commitment)
        );
        return _isSigned(report.validator, domain, structHash, report.signature);
    }

    function _noteCommitted(bytes32 jobId, Round storage round, uint256 head) private {
        round.seats[0] = head;
        uint256 all = _marksOf(uint8(head));
        if (head & all == all) _startOpening(jobId, _records[jobId]);
    }
}
