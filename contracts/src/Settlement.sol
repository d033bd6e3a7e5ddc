// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrial} from "./IMarket.sol";
import {Rounds} from "./Rounds.sol";

/// @title Who gets what when a job ends: its seats first, then the parties, and the rest burns.
/// @notice Who is excused and who is slashed among the validators is decided here once, when no verdict can change any
///         more. The first call decides everything; where there are more seats than one call settles, `poke` goes on.
/// @dev Shares are basis points of the bond b = reserve / 2, rounded down. Whatever the job still holds after the
///      shares is burned: fines and all remainders of divisions. Nothing can be left behind in a closed job.
abstract contract Settlement is ITrial, Rounds {
    /// @dev The part of the defaulter's bond that the wronged party gets; the rest burns.
    uint256 private constant FAULT_COMPENSATION_BPS = 5_000;
    /// @dev What either side burns of a bond when nobody can say whose fault it is.
    uint256 private constant MUTUAL_ABORT_BURN_BPS = 2_500;
    /// @dev What the worker burns of its bond for a model below the threshold.
    uint256 private constant REJECTED_BURN_BPS = 3_000;

    /// @dev The audit pool gets one part in so many of the price, and of all slashes, out of what would burn.
    uint256 private constant AUDITED_PRICE = 100;
    uint256 private constant AUDITED_SLASHES = 5;

    /// @dev What a validator loses of its seat's stake: for silence, for a metric far from what more than half of the
    ///      last committee's seats found, for the third code in a while that did not become the verdict.
    uint256 private constant SILENCE_SLASH_BPS = 2_000;
    uint256 private constant OUTLIER_SLASH_BPS = 5_000;
    uint256 private constant STRIKE_SLASH_BPS = 1_000;
    uint256 private constant STRIKES = 3;
    uint256 private constant STRIKE_WINDOW = 30 days;

    /// @dev A fingerprint near zero needs no equality to the last digit: billionths that always count as equal.
    int256 private constant FINGERPRINT_SLACK = 1_000;

    /// @dev Seats settled in one call: bounds its gas.
    uint256 private constant SWEEP = 24;

    /// @dev How a seat did: it gets neither fee nor slash; or a fee; or is slashed for the reason given; or gets a
    ///      strike for a code that did not become and stay the verdict.
    uint256 private constant EXCUSED = 0;
    uint256 private constant COHERENT = 1;
    uint256 private constant SILENT = 2;
    uint256 private constant OUTLIER = 3;
    uint256 private constant MISTAKEN = 4;

    /// @dev How a long settlement remembers them. The most seats that a job can have are 136, of 5, 3, 11, 23, 47 and a
    ///      second 47 in the place of the first.
    uint256 private constant CONDUCT_BITS = 3;
    uint256 private constant CONDUCTS = 85; // a word

    /// @dev All rounds of a job, looked at from its end.
    struct Hearing {
        uint256[] chairs; // of all seats, by (round, index), see Rounds.sol; and their conduct, 8 bits from the 40th
        uint256 settled; // how many of them have been let go
        uint256 coherent; // how many get a fee
        uint256 feeEach; // wei
        uint256 slashed; // wei, all slashes together
        uint256 verdicts; // of each round by itself, 8 bits a round
        Verdict last; // that any round has found
        bool hasMetric; // some round found a metric; the last one's:
        int256 metric; // millionths
        int256 fingerprint; // billionths
    }

    /// @dev Ends a job.
    function _closeAs(bytes32 jobId, Record storage record, Outcome outcome) internal {
        record.outcome = outcome;
        _close(jobId, record);
    }

    /// @dev Ends a job, whose outcome is set and whose verdict is final.
    function _close(bytes32 jobId, Record storage record) private {
        Hearing memory hearing;
        uint256[] memory chairs = _chairsOf(jobId, record);
        hearing.chairs = chairs;
        uint256 seats = chairs.length;
        // Where all of the only round agreed, and the price is whole, nobody needs to look at the reports again.
        if (record.round == 0 && record.flags & (UNANIMOUS | IN_PART) == UNANIMOUS) {
            hearing.coherent = seats;
            for (uint256 i = 0; i < seats; ++i) {
                chairs[i] |= COHERENT << 40;
            }
        } else if (seats != 0) {
            for (uint256 r = 0; r <= record.round; ++r) {
                _consider(record, hearing, r);
            }
            _judge(record, hearing);
            for (uint256 i = 0; i < seats; ++i) {
                hearing.slashed += _slashOf(_numberOf(chairs[i]), _conductOf(chairs[i]), block.timestamp);
            }
        }
        if (hearing.coherent != 0) {
            uint256 purse = uint256(record.seats) * record.fee + _appealBonds(jobId, record) + hearing.slashed;
            hearing.feeEach = purse / hearing.coherent;
            if (hearing.feeEach > record.fee) hearing.feeEach = record.fee;
        }
        if (seats > SWEEP) {
            for (uint256 i = 0; i < seats; ++i) {
                record.conducts[i / CONDUCTS] |= _conductOf(chairs[i]) << (CONDUCT_BITS * (i % CONDUCTS));
            }
            record.slashed = uint96(hearing.slashed);
            record.metric = int64(hearing.metric);
            record.feeEach = uint96(hearing.feeEach);
            record.coherent = uint8(hearing.coherent);
        }
        _settle(jobId, record, hearing, block.timestamp);
    }

    /// @dev Goes on with a settlement that `_close` has begun, at the time that is now the deadline. It looks at no
    ///      report, as a seat that was let go of may serve others by now.
    function _sweep(bytes32 jobId, Record storage record) internal {
        Hearing memory hearing;
        uint256[] memory chairs = _chairsOf(jobId, record);
        for (uint256 i = 0; i < chairs.length; ++i) {
            uint256 conduct = record.conducts[i / CONDUCTS] >> (CONDUCT_BITS * (i % CONDUCTS));
            chairs[i] |= (conduct % (1 << CONDUCT_BITS)) << 40;
        }
        hearing.chairs = chairs;
        hearing.settled = record.settled;
        hearing.coherent = record.coherent;
        hearing.feeEach = record.feeEach;
        hearing.slashed = record.slashed;
        hearing.metric = record.metric;
        _settle(jobId, record, hearing, record.deadline);
    }

    /// @dev Hears one round's reports. The metric to compare with is the last that a committee found.
    function _consider(Record storage record, Hearing memory hearing, uint256 round)
        internal
        view
        returns (Tally memory found, uint256 opened, uint256 seats)
    {
        (found, opened, seats) = _tallyOf(record, hearing.chairs, round);
        hearing.verdicts |= uint256(found.verdict) << (8 * round);
        if (found.verdict != Verdict.NONE) hearing.last = found.verdict;
        if (found.verdict == Verdict.PASS || found.verdict == Verdict.FAIL) {
            hearing.hasMetric = true;
            hearing.metric = found.metric;
            hearing.fingerprint = found.fingerprint;
        }
    }

    /// @dev The first round has been heard: if all are coherent, that is so at the end, too, unless another round comes.
    function _noteUnanimity(Record storage record, Hearing memory hearing) internal {
        _judge(record, hearing);
        if (hearing.coherent == hearing.chairs.length) record.flags |= UNANIMOUS;
    }

    /// @dev Puts every seat's conduct to its chair. An outlier is excused where the metric is not backed by most of the
    ///      last committee: an appeal that came to nothing proves nobody wrong, and neither does a median that nobody
    ///      else found, as of a test that gives another number each time.
    function _judge(Record storage record, Hearing memory hearing) private view {
        unchecked {
            int256 metricSlack = int256(uint256(record.tolerance));
            int256 fingerprintSlack = FINGERPRINT_SLACK
                + (_distance(hearing.fingerprint, 0) * int256(uint256(record.fingerprintTolerance))) / 1e9;
            uint256 abortedRound = record.flags & ABORTED == 0 ? type(uint256).max : record.round;
            uint256[] memory chairs = hearing.chairs;
            int256 wanted = hearing.metric;
            int256 print = hearing.fingerprint;
            uint256 coherent;
            uint256 outliers;
            for (uint256 i = 0; i < chairs.length; ++i) {
                uint256 chair = chairs[i];
                uint256 conduct = EXCUSED;
                int256 metric = _metricOf(chair);
                if (!_isOpened(chair)) {
                    if (_roundOf(chair) != abortedRound) conduct = SILENT;
                } else if (metric <= NO_TEST_CODE) {
                    Verdict code = metric == NO_MODEL_CODE ? Verdict.NO_MODEL : Verdict.NO_TEST;
                    bool isOwn = uint8(hearing.verdicts >> (8 * _roundOf(chair))) == uint8(code);
                    conduct = isOwn && hearing.last == code ? COHERENT : MISTAKEN;
                } else if (
                    !hearing.hasMetric
                        || (
                            _distance(metric, wanted) <= metricSlack
                                && _distance(_fingerprintOf(chair), print) <= fingerprintSlack
                        )
                ) {
                    conduct = COHERENT;
                } else {
                    conduct = OUTLIER;
                    ++outliers;
                }
                if (conduct == COHERENT) ++coherent;
                chairs[i] = chair | (conduct << 40);
            }
            hearing.coherent = coherent;
            if (outliers == 0 || _isBacked(chairs, record.round)) return;
            for (uint256 i = 0; i < chairs.length; ++i) {
                if (_conductOf(chairs[i]) == OUTLIER) chairs[i] ^= (OUTLIER ^ EXCUSED) << 40;
            }
        }
    }

    /// @dev Whether more than half of the round's seats measured what the metrics are held against, which is its own
    ///      finding then.
    function _isBacked(uint256[] memory chairs, uint256 round) private pure returns (bool) {
        unchecked {
            uint256 seats;
            uint256 near;
            for (uint256 i = 0; i < chairs.length; ++i) {
                uint256 chair = chairs[i];
                if (_roundOf(chair) != round) continue;
                ++seats;
                if (_conductOf(chair) == COHERENT && _metricOf(chair) > NO_TEST_CODE) ++near;
            }
            return 2 * near > seats;
        }
    }

    function _conductOf(uint256 chair) private pure returns (uint256) {
        return uint8(chair >> 40);
    }

    /// @dev In 256 bits, so that the far ends of 64 bits cannot overflow.
    function _distance(int256 a, int256 b) private pure returns (int256) {
        unchecked {
            return a < b ? b - a : a - b;
        }
    }

    /// @dev Wei that a seat loses. A strike counts from the first one within the window.
    function _slashOf(uint32 number, uint256 conduct, uint256 now_) private view returns (uint256) {
        if (conduct == COHERENT || conduct == EXCUSED) return 0;
        uint256 bps;
        if (conduct == SILENT) bps = SILENCE_SLASH_BPS;
        else if (conduct == OUTLIER) bps = OUTLIER_SLASH_BPS;
        else if (conduct == MISTAKEN && _struck(number, now_).count >= STRIKES) bps = STRIKE_SLASH_BPS;
        return (uint256(_seatStake) * bps) / BPS;
    }

    function _struck(uint32 number, uint256 now_) private view returns (Strikes memory strikes_) {
        strikes_ = _strikes[number];
        if (strikes_.count == 0 || now_ > strikes_.firstAt + STRIKE_WINDOW) return Strikes(1, uint40(now_));
        strikes_.count += 1;
    }

    /// @dev Pays, slashes and lets go of the next seats; after the last ones the parties are paid.
    function _settle(bytes32 jobId, Record storage record, Hearing memory hearing, uint256 now_) private {
        uint24 released;
        uint256 slashes;
        uint256 fees;
        uint256[] memory chairs = hearing.chairs;
        uint256 to = chairs.length;
        if (to > hearing.settled + SWEEP) to = hearing.settled + SWEEP;
        for (uint256 i = hearing.settled; i < to; ++i) {
            uint256 conduct = _conductOf(chairs[i]);
            uint32 number = _numberOf(chairs[i]);
            Seat storage seat_ = _seats[number];
            address owner = seat_.owner;
            uint256 fee = conduct == COHERENT ? hearing.feeEach : 0;
            uint256 slash = _slashOf(number, conduct, now_);
            if (conduct == MISTAKEN) _strikes[number] = _struck(number, now_);
            unchecked {
                slashes += slash;
                fees += fee;
                if (slash != 0) {
                    _dissolve(number, owner, slash);
                } else {
                    if (seat_.freeAt == 0) ++released;
                    seat_.isBusy = false;
                }
            }
            _credit(owner, fee);
            emit SeatSettled(jobId, owner, uint96(fee), uint96(slash));
        }
        if (to != hearing.settled) {
            _freeSeats += released;
            _busySeats -= uint16(to - hearing.settled);
        }
        if (to == chairs.length) {
            _clearRounds(jobId, record);
            _payParties(jobId, record, hearing);
        } else {
            record.settled = uint8(to);
            record.balance += int128(int256(slashes)) - int128(int256(fees));
            if (hearing.settled == 0) _enter(jobId, record, record.state, 0);
        }
    }

    /// @dev The row of the table in README.md. Fees come out of the user's escrow for them first, then out of the pool
    ///      of slashes and appeal bonds; then the appellants who were right get theirs back; what is left burns, but for
    ///      what is for audits: of an unpaid job nothing that leaves less than a quarter of the reserve to burn.
    function _payParties(bytes32 jobId, Record storage record, Hearing memory hearing) private {
        Outcome outcome = record.outcome;
        uint256 bond = _bond(record);
        uint256 escrow = uint256(record.seats) * record.fee;
        uint256 pool = _appealBonds(jobId, record) + hearing.slashed;
        uint256 held = record.reserve + 2 * bond + escrow + pool;
        uint256 fees = hearing.feeEach * hearing.coherent;
        held -= fees;
        if (fees <= escrow) {
            escrow -= fees;
        } else {
            pool -= fees - escrow;
            escrow = 0;
        }
        uint256 audits; // what the audit pool gets
        {
            uint256 refunds;
            (refunds, audits) = _refundAppeals(jobId, record, pool);
            pool -= refunds;
            held -= refunds;
        }

        uint256 price; // what the winner is paid
        uint256 toWinner;
        uint256 toUser = record.reserve + escrow + bond;
        if (outcome == Outcome.PAID) {
            price = _priceOf(record, hearing.metric);
            toWinner = price + bond;
            // A user who withheld seed or testing set loses its own bond; else it pays for audits on top of the price.
            toUser -= price + (record.verdict == Verdict.NO_TEST ? bond : price / AUDITED_PRICE);
        } else if (outcome == Outcome.REJECTED) {
            toWinner = bond - (bond * REJECTED_BURN_BPS) / BPS;
        } else if (outcome == Outcome.WORKER_FAULT) {
            toUser += (bond * FAULT_COMPENSATION_BPS) / BPS;
        } else if (outcome == Outcome.USER_FAULT) {
            toWinner = bond + (bond * FAULT_COMPENSATION_BPS) / BPS;
            toUser -= bond;
        } else if (outcome == Outcome.MUTUAL_ABORT) {
            // Nobody can say whose fault. Both burn the same, or a user and its own shill could walk away.
            uint256 fine = (bond * MUTUAL_ABORT_BURN_BPS) / BPS;
            toWinner = bond - fine;
            toUser -= fine;
        } else {
            // INCONCLUSIVE: the worker, who has worked, gets up to its price out of what the validators lost.
            toWinner = bond + (pool < record.price ? pool : record.price);
        }
        _credit(record.winner, toWinner);
        _credit(record.user, toUser);
        held -= toWinner + toUser;
        uint256 exempt = record.reserve / 4;
        {
            uint256 spared = outcome == Outcome.PAID ? 0 : exempt;
            uint256 fed = price / AUDITED_PRICE + hearing.slashed / AUDITED_SLASHES;
            uint256 most = held > spared ? held - spared : 0;
            if (fed > most) fed = most;
            held -= fed;
            audits += fed;
        }
        if (audits != 0) _auditPool += uint96(audits);
        uint96 burned_ = _burn(jobId, record, held, exempt);
        _end(jobId, record, outcome, price, burned_);
    }

    /// @dev In the order of the appeals, as far as the pool goes: whoever doubted what is not the verdict now was
    ///      right. An audit's bond goes back to the audit pool, which the caller sees to.
    function _refundAppeals(bytes32 jobId, Record storage record, uint256 pool)
        private
        returns (uint256 refunds, uint256 audits)
    {
        Verdict verdict = record.verdict;
        if (verdict == Verdict.NONE) return (0, 0);
        for (uint256 i = 0; i < record.appeals; ++i) {
            Appeal storage appeal_ = _appeals[jobId][i];
            if (appeal_.verdict == verdict) continue;
            uint256 refund = uint256(appeal_.seats) * record.fee;
            if (refund > pool - refunds) refund = pool - refunds;
            refunds += refund;
            if (appeal_.appellant == address(0)) audits = refund;
            else _credit(appeal_.appellant, refund);
        }
    }

    /// @dev The price; in a LINEAR job that part of it that the metric has made of the way from baseline to threshold.
    function _priceOf(Record storage record, int256 metric) private view returns (uint256) {
        if (record.flags & IN_PART == 0 || record.verdict != Verdict.PASS) return record.price;
        int256 most = int256(record.threshold) - record.baseline;
        int256 reached = metric - record.baseline;
        if (reached > most) reached = most;
        return (uint256(record.price) * uint256(reached)) / uint256(most);
    }
}
