// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SeatBook} from "./SeatBook.sol";

/// @title A round: the committee that was drawn, its reports, and what they say together.
/// @notice Quorum is a strict majority of the seats. The lower median of all reports decides: NO_MODEL is the lowest,
///         NO_TEST the highest, and the metrics lie between. A code is the verdict, a metric is held against the
///         threshold. So whoever withholds the model, or the testing set, from a part of the committee is hurt by it,
///         and a minority of liars cannot outvote an honest majority by it. Nothing of it is stored: it follows from the
///         reports, whenever it is asked for.
abstract contract Rounds is SeatBook {
    /// @dev The report codes: the model, or the testing set, could not be had.
    int64 internal constant NO_MODEL_CODE = type(int64).min;
    int64 internal constant NO_TEST_CODE = type(int64).min + 1;

    /// @dev A report's word in storage is sealed (this bit is set) or opened (only the other one is). So no validator
    ///      can commit to what looks like a report, and 255 bits bind its commitment.
    uint256 private constant SEALED = 1;
    uint256 private constant OPENED = 2;
    /// @dev A chair's mark: see `_chairsOf`.
    uint256 private constant REPORTED_BIT = 56;
    uint256 private constant REPORTED = 1 << REPORTED_BIT;

    /// @dev A round's words hold 8 lanes of 32 bits each; its head takes the first two.
    uint256 private constant LANES = 8;
    uint256 private constant HEAD_LANES = 2;

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
        return uint8(round.seats[0]);
    }

    /// @dev The bit of a round's head that makes the report of its seat at `position` this round's. Without it the word
    ///      that lies by the seat is of an earlier job, or of before a missing key came, and nobody's business.
    function _markOf(uint256 position) internal pure returns (uint256) {
        unchecked {
            return 1 << (8 + position);
        }
    }

    /// @dev All such bits of a round of `size` seats.
    function _marksOf(uint256 size) internal pure returns (uint256) {
        unchecked {
            return ((1 << size) - 1) << 8;
        }
    }

    /// @dev How often a missing key was disclosed while the round tested: twice at most, each key once in a job.
    function _restartsOf(uint256 head) internal pure returns (uint8) {
        return uint8(head >> 56);
    }

    /// @dev The drawn seats' numbers, and the round's head with its marks.
    function _seatsOf(Round storage round) internal view returns (uint32[] memory numbers, uint256 head) {
        unchecked {
            head = round.seats[0];
            uint256 word = head;
            uint256 size = uint8(head);
            numbers = new uint32[](size);
            for (uint256 i = 0; i < size; ++i) {
                uint256 lane = HEAD_LANES + i;
                if (lane % LANES == 0) word = round.seats[lane / LANES];
                numbers[i] = uint32(word >> (32 * (lane % LANES)));
            }
        }
    }

    /// @dev Stores the first `size` of the numbers; no report is the round's yet.
    function _storeSeats(Round storage round, uint32[] memory numbers, uint256 size) internal {
        unchecked {
            uint256 word = size;
            uint256 lane = HEAD_LANES;
            for (uint256 i = 0; i < size; ++i) {
                word |= uint256(numbers[i]) << (32 * (lane % LANES));
                if (++lane % LANES != 0) continue;
                round.seats[lane / LANES - 1] = word;
                word = 0;
            }
            if (lane % LANES != 0) round.seats[lane / LANES] = word;
        }
    }

    /// @dev The chairs of all rounds, one word a seat: its number (32 bits from the 8th), its round (8 bits from the
    ///      48th), and whether a report of it is its round's (the 56th bit). `_tallyOf` adds the report, if it is open.
    function _chairsOf(bytes32 jobId, Record storage record) internal view returns (uint256[] memory chairs) {
        unchecked {
            uint256 rounds = uint256(record.round) + 1;
            uint256 count;
            for (uint256 r = 0; r < rounds; ++r) {
                count += _sizeOf(_rounds[jobId][r]);
            }
            chairs = new uint256[](count);
            count = 0;
            for (uint256 r = 0; r < rounds; ++r) {
                Round storage round = _rounds[jobId][r];
                uint256 head = round.seats[0];
                uint256 word = head;
                uint256 behind = HEAD_LANES + uint8(head);
                for (uint256 lane = HEAD_LANES; lane < behind; ++lane) {
                    if (lane % LANES == 0) word = round.seats[lane / LANES];
                    uint256 mark = ((head >> (8 - HEAD_LANES + lane)) & 1) << REPORTED_BIT;
                    chairs[count++] = mark | (r << 48) | (uint256(uint32(word >> (32 * (lane % LANES)))) << 8);
                }
            }
        }
    }

    function _numberOf(uint256 chair) internal pure returns (uint32) {
        return uint32(chair >> 8);
    }

    function _roundOf(uint256 chair) internal pure returns (uint256) {
        return uint8(chair >> 48);
    }

    /// @dev Nobody needs them any more; clearing them is paid for.
    function _clearRounds(bytes32 jobId, Record storage record) internal {
        for (uint256 r = 0; r <= record.round; ++r) {
            Round storage round = _rounds[jobId][r];
            uint256 size = _sizeOf(round);
            if (size == 0) continue;
            for (uint256 word = 0; word <= (HEAD_LANES + size - 1) / LANES; ++word) {
                delete round.seats[word];
            }
        }
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
                uint256 index = from + step;
                if (index >= size) index -= size;
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

    /// @dev What the reports of one round say together; they are read into its chairs.
    /// @return found NONE only without a quorum.
    /// @return opened How many reports there are.
    /// @return seats How many there could be.
    function _tallyOf(Record storage record, uint256[] memory chairs, uint256 round)
        internal
        view
        returns (Tally memory found, uint256 opened, uint256 seats)
    {
        unchecked {
            int64[] memory metrics = new int64[](chairs.length);
            int64[] memory fingerprints = new int64[](chairs.length);
            uint256 noModel;
            uint256 measured;
            for (uint256 i = 0; i < chairs.length; ++i) {
                uint256 chair = chairs[i];
                if (_roundOf(chair) != round) continue;
                ++seats;
                if (chair & REPORTED == 0) continue;
                uint256 report = uint256(_reports[_numberOf(chair)]);
                if (!_isOpened(report)) continue;
                chairs[i] = chair | report;
                ++opened;
                int64 metric = _metricOf(report);
                if (metric > NO_TEST_CODE) {
                    _insert(metrics, measured, metric);
                    _insert(fingerprints, measured++, _fingerprintOf(report));
                } else if (metric == NO_MODEL_CODE) {
                    ++noModel;
                }
            }
            if (2 * opened <= seats) return (found, opened, seats);
            uint256 middle = (opened - 1) / 2;
            if (middle < noModel) {
                found.verdict = Verdict.NO_MODEL;
            } else if (middle - noModel >= measured) {
                found.verdict = Verdict.NO_TEST;
            } else {
                int64 median = metrics[middle - noModel];
                found.metric = median;
                found.fingerprint = fingerprints[(measured - 1) / 2];
                bool isPassed =
                    record.flags & IN_PART == 0 ? median >= record.threshold : median > record.baseline;
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
