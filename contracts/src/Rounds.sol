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

    /// @dev A report's word in storage is sealed (this bit is set) or opened (only the other one is). So no validator
    ///      can commit to what looks like a report, and 255 bits bind its commitment.
    uint256 private constant SEALED = 1;
    uint256 private constant OPENED = 2;

    /// @dev The validator goes in: a copy of a commitment under another seat is another word, and cannot be opened.
    function _seal(bytes32 commitment, address validator) internal pure returns (bytes32) {
        return keccak256(abi.encode(commitment, validator)) | bytes32(SEALED);
    }

    /// @dev 64 bits of metric, 64 of fingerprint, 64 of marks.
    function _pack(int64 metric, int64 fingerprint) internal pure returns (bytes32) {
        return bytes32((uint256(uint64(metric)) << 128) | (uint256(uint64(fingerprint)) << 64) | OPENED);
    }

    function _isOpened(uint256 report) internal pure returns (bool) {
        return report & (OPENED | SEALED) == OPENED;
    }

    function _metricOf(uint256 report) internal pure returns (int64) {
        return int64(uint64(report >> 128));
    }

    function _fingerprintOf(uint256 report) internal pure returns (int64) {
        return int64(uint64(report >> 64));
    }

    /// @dev Zero: no committee was drawn.
    function _sizeOf(Round storage round) internal view returns (uint256) {
        return uint32(round.seats[0]);
    }

    /// @dev The drawn seats' numbers.
    function _seatsOf(Round storage round) internal view returns (uint32[] memory numbers) {
        unchecked {
            uint256 word = round.seats[0];
            uint256 size = uint32(word);
            numbers = new uint32[](size);
            for (uint256 i = 1; i <= size; ++i) {
                if (i % 8 == 0) word = round.seats[i / 8];
                numbers[i - 1] = uint32(word >> (32 * (i % 8)));
            }
        }
    }

    /// @dev Stores the first `size` of the numbers.
    function _storeSeats(Round storage round, uint32[] memory numbers, uint256 size) internal {
        unchecked {
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
    }

    /// @dev Reads a round into `chairs` from `next` on: one word a seat, which is its opened report, if there is one,
    ///      and in the marks behind it the seat's number (32 bits from the 8th) and the round (8 bits from the 40th).
    /// @return The position behind the last.
    function _load(Round storage round, uint256 index, uint256[] memory chairs, uint256 next)
        internal
        view
        returns (uint256)
    {
        unchecked {
            uint256 word = round.seats[0];
            uint256 size = uint32(word);
            for (uint256 i = 1; i <= size; ++i) {
                if (i % 8 == 0) word = round.seats[i / 8];
                uint256 report = uint256(round.reports[i - 1]);
                if (!_isOpened(report)) report = 0;
                chairs[next++] = report | (uint256(uint32(word >> (32 * (i % 8)))) << 8) | (index << 40);
            }
            return next;
        }
    }

    function _numberOf(uint256 chair) internal pure returns (uint32) {
        return uint32(chair >> 8);
    }

    function _roundOf(uint256 chair) internal pure returns (uint256) {
        return uint8(chair >> 40);
    }

    /// @dev Where `account` sits; the length means nowhere. The search begins at `from`, where a batch in the
    ///      committee's order has it; owners are read from storage as far as needed, and once.
    function _indexOf(uint32[] memory numbers, address[] memory owners, address account, uint256 from)
        internal
        view
        returns (uint256)
    {
        unchecked {
            uint256 size = numbers.length;
            for (uint256 step = 0; step < size; ++step) {
                uint256 index = (from + step) % size;
                address owner = owners[index];
                if (owner == address(0)) {
                    owner = _seats[numbers[index]].owner;
                    owners[index] = owner;
                }
                if (owner == account) return index;
            }
            return size;
        }
    }

    /// @dev VCOMMIT is over, or everybody has committed.
    function _startOpening(bytes32 jobId, Record storage record) internal {
        record.count = 0;
        _enter(jobId, record, State.VREVEAL, _reportRevealSeconds);
    }

    /// @dev What the reports of the chairs from `from` to before `to` say together.
    /// @return found NONE without a quorum, and where the codes are split and nobody measured anything.
    /// @return opened How many reports there are.
    function _tallyOf(Record storage record, uint256[] memory chairs, uint256 from, uint256 to)
        internal
        view
        returns (Tally memory found, uint256 opened)
    {
        unchecked {
            uint256 seats = to - from;
            int64[] memory metrics = new int64[](seats);
            int64[] memory fingerprints = new int64[](seats);
            uint256 noModel;
            uint256 noTest;
            uint256 measured;
            for (uint256 i = from; i < to; ++i) {
                uint256 report = chairs[i];
                if (!_isOpened(report)) continue;
                ++opened;
                int64 metric = _metricOf(report);
                if (metric > NO_TEST_CODE) {
                    _insert(metrics, measured, metric);
                    _insert(fingerprints, measured++, _fingerprintOf(report));
                } else if (metric == NO_MODEL_CODE) {
                    ++noModel;
                } else {
                    ++noTest;
                }
            }
            if (2 * opened <= seats) return (found, opened);
            if (2 * noModel > opened) {
                found.verdict = Verdict.NO_MODEL;
            } else if (2 * noTest > opened) {
                found.verdict = Verdict.NO_TEST;
            } else if (measured != 0) {
                int64 median = metrics[(measured - 1) / 2];
                found.metric = median;
                found.fingerprint = fingerprints[(measured - 1) / 2];
                bool isPassed =
                    record.options & LINEAR == 0 ? median >= record.threshold : median > record.baseline;
                found.verdict = isPassed ? Verdict.PASS : Verdict.FAIL;
            }
        }
    }

    /// @dev Insertion into the ascending first `count` elements.
    function _insert(int64[] memory sorted, uint256 count, int64 value) private pure {
        unchecked {
            while (count != 0) {
                int64 other = sorted[count - 1];
                if (other <= value) break;
                sorted[count--] = other;
            }
            sorted[count] = value;
        }
    }
}
