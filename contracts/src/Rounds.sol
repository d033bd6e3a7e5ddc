// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SeatBook} from "./SeatBook.sol";

/// @title A round: the committee that was drawn, its reports, and what they say together.
/// @notice Quorum is a strict majority of the seats. A code that more than half of the reports carry is the verdict;
///         else the lower median of the metrics is held against the threshold. Nothing of it is stored: it follows from
///         the reports, whenever it is asked for.
abstract contract Rounds is SeatBook {
    /// @dev The report codes: the model, or the testing set, could not be had.
    int64 internal constant NO_MODEL_CODE = type(int64).min;
    int64 internal constant NO_TEST_CODE = type(int64).min + 1;

    /// @dev A report's word: a commitment with this bit set, or an opened report without it (and never zero). So no
    ///      validator can commit to what looks like a report, and 255 bits of its commitment bind it.
    uint256 private constant SEALED = 1;
    uint256 private constant OPENED = 2;

    function _seal(bytes32 commitment) internal pure returns (bytes32) {
        return commitment | bytes32(SEALED);
    }

    function _pack(int64 metric, int64 fingerprint) internal pure returns (bytes32) {
        return bytes32((uint256(uint64(metric)) << 128) | (uint256(uint64(fingerprint)) << 64) | OPENED);
    }

    function _isOpened(bytes32 report) internal pure returns (bool) {
        return uint256(report) & OPENED != 0 && uint256(report) & SEALED == 0;
    }

    function _metricOf(bytes32 report) internal pure returns (int64) {
        return int64(uint64(uint256(report) >> 128));
    }

    function _fingerprintOf(bytes32 report) internal pure returns (int64) {
        return int64(uint64(uint256(report) >> 64));
    }

    /// @dev Zero: no committee was drawn.
    function _sizeOf(Round storage round) internal view returns (uint256) {
        return uint32(round.seats[0]);
    }

    /// @dev The drawn seats' numbers.
    function _seatsOf(Round storage round) internal view returns (uint32[] memory numbers) {
        uint256 word = round.seats[0];
        uint256 size = uint32(word);
        numbers = new uint32[](size);
        for (uint256 i = 1; i <= size; ++i) {
            if (i % 8 == 0) word = round.seats[i / 8];
            numbers[i - 1] = uint32(word >> (32 * (i % 8)));
        }
    }

    function _storeSeats(Round storage round, uint32[] memory numbers) internal {
        uint256 size = numbers.length;
        uint256 word = size;
        for (uint256 i = 1; i <= size; ++i) {
            if (i % 8 == 0) {
                round.seats[i / 8 - 1] = word;
                word = 0;
            }
            word |= uint256(numbers[i - 1]) << (32 * (i % 8));
        }
        round.seats[size / 8] = word;
    }

    function _reportsOf(Round storage round, uint256 size) internal view returns (bytes32[] memory reports) {
        reports = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            reports[i] = round.reports[i];
        }
    }

    /// @dev Where `account` sits; the length means nowhere. Owners are read from storage as far as needed, and once.
    function _indexOf(uint32[] memory numbers, address[] memory owners, address account)
        internal
        view
        returns (uint256 index)
    {
        while (index < numbers.length) {
            if (owners[index] == address(0)) owners[index] = _seats[numbers[index]].owner;
            if (owners[index] == account) break;
            ++index;
        }
    }

    /// @dev VCOMMIT is over, or everybody has committed.
    function _startOpening(bytes32 jobId, Record storage record) internal {
        record.count = 0;
        _enter(jobId, record, State.VREVEAL, _reportRevealSeconds);
    }

    /// @dev What a round's reports say together.
    /// @return found NONE without a quorum, and where the codes are split and nobody measured anything.
    /// @return opened How many reports there are.
    function _tallyOf(Record storage record, bytes32[] memory reports)
        internal
        view
        returns (Tally memory found, uint256 opened)
    {
        int64[] memory metrics = new int64[](reports.length);
        int64[] memory fingerprints = new int64[](reports.length);
        uint256 noModel;
        uint256 noTest;
        uint256 measured;
        for (uint256 i = 0; i < reports.length; ++i) {
            bytes32 report = reports[i];
            if (!_isOpened(report)) continue;
            ++opened;
            int64 metric = _metricOf(report);
            if (metric == NO_MODEL_CODE) {
                ++noModel;
            } else if (metric == NO_TEST_CODE) {
                ++noTest;
            } else {
                _insert(metrics, measured, metric);
                _insert(fingerprints, measured++, _fingerprintOf(report));
            }
        }
        if (2 * opened <= reports.length) return (found, opened);
        if (2 * noModel > opened) {
            found.verdict = Verdict.NO_MODEL;
        } else if (2 * noTest > opened) {
            found.verdict = Verdict.NO_TEST;
        } else if (measured != 0) {
            found.metric = metrics[(measured - 1) / 2];
            found.fingerprint = fingerprints[(measured - 1) / 2];
            bool isPassed = record.options & LINEAR == 0
                ? found.metric >= record.threshold
                : found.metric > record.baseline;
            found.verdict = isPassed ? Verdict.PASS : Verdict.FAIL;
        }
    }

    /// @dev Insertion into the ascending first `count` elements.
    function _insert(int64[] memory sorted, uint256 count, int64 value) private pure {
        while (count != 0 && sorted[count - 1] > value) {
            sorted[count] = sorted[count - 1];
            --count;
        }
        sorted[count] = value;
    }
}
