// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Jobs} from "./Jobs.sol";

/// @title Who gets what when a job ends: one function an outcome.
/// @notice Every function credits the shares, and whatever the job still holds then is burned: the fines, the bonds of
///         bids that nobody opened, and all remainders of divisions. Nothing can be left behind in a closed job.
/// @dev Shares are basis points of the bond b = reserve / 2, rounded down. Who is excused and who is slashed among the
///      validators is decided here once, when no verdict can change any more.
abstract contract Settlement is Jobs {
    uint256 internal constant BPS = 10_000;

    /// @dev The part of the defaulter's bond that the wronged party gets; the rest burns.
    uint256 internal constant FAULT_COMPENSATION_BPS = 5_000;
    /// @dev What either side burns of a bond when nobody can say whose fault it is.
    uint256 internal constant MUTUAL_ABORT_BURN_BPS = 2_500;
    /// @dev What the worker burns of its bond for a model below the threshold.
    uint256 internal constant REJECTED_BURN_BPS = 3_000;
    /// @dev What a validator loses of its seat's stake for silence.
    uint256 internal constant NO_SHOW_SLASH_BPS = 2_000;

    /// @dev A fingerprint near zero needs no equality to the last digit: billionths that always count as equal.
    int256 internal constant FINGERPRINT_SLACK = 1_000;

    /// @dev The report codes: the model, or the testing set, could not be had.
    int64 internal constant NO_MODEL_CODE = type(int64).min;
    int64 internal constant NO_TEST_CODE = type(int64).min + 1;

    /// @dev CANCELLED, or NO_BIDS: the user gets everything back. Bonds of unopened bids burn.
    function _closeUnawarded(bytes32 jobId, Job storage job_, Outcome outcome) internal {
        _pay(job_, job_.user, _userStake(job_));
        _close(jobId, job_, outcome);
    }

    /// @dev USER_FAULT: the user withheld the training keys. The winner gets its bond and a part of the user's.
    function _closeUserFault(bytes32 jobId, Job storage job_) internal {
        uint256 bond = _bond(job_);
        _pay(job_, job_.winner, bond + (bond * FAULT_COMPENSATION_BPS) / BPS);
        _pay(job_, job_.user, _userStake(job_) - bond);
        _close(jobId, job_, Outcome.USER_FAULT);
    }

    /// @dev WORKER_FAULT: no model, no keys or no claim. The user gets everything back and a part of the winner's bond.
    function _closeWorkerFault(bytes32 jobId, Job storage job_) internal {
        (uint256 feesPaid,) = _settle(jobId, job_);
        uint256 compensation = (uint256(_bond(job_)) * FAULT_COMPENSATION_BPS) / BPS;
        _pay(job_, job_.user, _userStake(job_) - feesPaid + compensation);
        _close(jobId, job_, Outcome.WORKER_FAULT);
    }

    /// @dev MUTUAL_ABORT: nobody can say whose fault. Both burn the same, or a user and its own shill could walk away.
    function _closeMutualAbort(bytes32 jobId, Job storage job_) internal {
        _settle(jobId, job_);
        uint256 bond = _bond(job_);
        uint256 fine = (bond * MUTUAL_ABORT_BURN_BPS) / BPS;
        _pay(job_, job_.winner, bond - fine);
        _pay(job_, job_.user, _userStake(job_) - fine);
        _close(jobId, job_, Outcome.MUTUAL_ABORT);
    }

    /// @dev REJECTED: the model misses the threshold. The user pays the validators only.
    function _closeRejected(bytes32 jobId, Job storage job_) internal {
        (uint256 feesPaid,) = _settle(jobId, job_);
        uint256 bond = _bond(job_);
        _pay(job_, job_.winner, bond - (bond * REJECTED_BURN_BPS) / BPS);
        _pay(job_, job_.user, _userStake(job_) - feesPaid);
        _close(jobId, job_, Outcome.REJECTED);
    }

    /// @dev INCONCLUSIVE: no committee, or none that found anything. The parties get everything back, and the worker,
    ///      who has worked, up to its price out of what silent validators lost.
    function _closeInconclusive(bytes32 jobId, Job storage job_) internal {
        (uint256 feesPaid, uint256 slashed) = _settle(jobId, job_);
        uint256 compensation = slashed < job_.price ? slashed : job_.price;
        _pay(job_, job_.winner, uint256(_bond(job_)) + compensation);
        _pay(job_, job_.user, _userStake(job_) - feesPaid);
        _close(jobId, job_, Outcome.INCONCLUSIVE);
    }

    /// @dev PAID: the worker gets price and bond. A user who withheld seed or testing set (NO_TEST) burns its own bond.
    function _closePaid(bytes32 jobId, Job storage job_) internal {
        (uint256 feesPaid,) = _settle(jobId, job_);
        uint256 bond = _bond(job_);
        uint256 forfeit = job_.verdict == Verdict.NO_TEST ? bond : 0;
        _pay(job_, job_.winner, job_.price + bond);
        _pay(job_, job_.user, _userStake(job_) - feesPaid - job_.price - forfeit);
        _close(jobId, job_, Outcome.PAID);
    }

    /// @dev What the user escrowed at posting, in wei.
    function _userStake(Job storage job_) internal view returns (uint256) {
        return uint256(job_.reserve) + uint256(job_.seats) * job_.fee + _bond(job_);
    }

    /// @dev Moves wei from the job to an account's free balance.
    function _pay(Job storage job_, address account, uint256 amount) internal {
        job_.held = uint96(job_.held - amount);
        _credit(account, amount);
    }

    function _burn(Job storage job_, uint96 amount) internal {
        job_.held -= amount;
        job_.burned += amount;
        _countBurned(amount);
    }

    /// @dev Pays coherent validators, slashes silent ones and lets all seats go. A slash becomes the job's holding.
    ///      A round that never ran (a party withheld keys) has neither: its validators could not have reported.
    function _settle(bytes32 jobId, Job storage job_) private returns (uint256 feesPaid, uint256 slashed) {
        bool hasRun = job_.isUserKeyed && job_.isWorkerKeyed;
        Member[] storage members = _committees[jobId];
        for (uint256 i = 0; i < members.length; ++i) {
            Member storage member = members[i];
            uint96 fee;
            uint96 slash;
            if (hasRun && !member.hasRevealed) {
                slash = uint96((uint256(seatStake) * NO_SHOW_SLASH_BPS) / BPS);
            } else if (hasRun && _isCoherent(job_, member)) {
                fee = job_.fee;
            }
            if (slash != 0) {
                job_.held += slash;
                slashed += slash;
                _dissolve(member.seat, slash);
            } else {
                _release(member.seat);
            }
            if (fee != 0) {
                feesPaid += fee;
                _pay(job_, member.validator, fee);
            }
            emit SeatSettled(jobId, member.validator, fee, slash);
        }
    }

    /// @dev A code is coherent iff it is the verdict; a metric iff it and its fingerprint are near to the medians.
    function _isCoherent(Job storage job_, Member storage member) private view returns (bool) {
        Verdict verdict = job_.verdict;
        if (verdict == Verdict.NO_MODEL) return member.metric == NO_MODEL_CODE;
        if (verdict == Verdict.NO_TEST) return member.metric == NO_TEST_CODE;
        if (verdict == Verdict.NONE || _isCode(member.metric)) return false;
        int256 median = job_.fingerprint;
        int256 slack = (_distance(median, 0) * int256(uint256(job_.fingerprintTolerance))) / 1e9;
        return _distance(member.metric, job_.metric) <= int256(uint256(job_.tolerance))
            && _distance(member.fingerprint, median) <= slack + FINGERPRINT_SLACK;
    }

    function _isCode(int64 metric) internal pure returns (bool) {
        return metric == NO_MODEL_CODE || metric == NO_TEST_CODE;
    }

    /// @dev In 256 bits, so that the far ends of 64 bits cannot overflow.
    function _distance(int256 a, int256 b) private pure returns (int256) {
        return a < b ? b - a : a - b;
    }

    function _close(bytes32 jobId, Job storage job_, Outcome outcome) private {
        _burn(job_, job_.held);
        job_.state = State.CLOSED;
        job_.deadline = 0;
        job_.outcome = outcome;
        emit StateChanged(jobId, State.CLOSED, 0);
        emit JobClosed(jobId, outcome, job_.winner, outcome == Outcome.PAID ? job_.price : 0, job_.burned);
    }
}
