// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Committee} from "./Committee.sol";
import {Jobs} from "./Jobs.sol";
import {Ledger} from "./Ledger.sol";
import {Seats} from "./Seats.sol";

/// @title The market: a job from posting to payout, between parties who need not trust each other.
/// @notice No owner, no upgrade, no pause. Every state has a deadline and every deadline an outcome, and anybody may
///         `poke`: no job and no money waits for a party that has gone.
contract Market is Committee {
    uint256 internal constant MOST_ADDRESSES = 8;
    uint256 internal constant MOST_ADDRESS_BYTES = 200;

    /// @param token_ The token of all amounts.
    /// @param seatStake_ Wei that one validator seat holds.
    /// @param timing_ How long every party has.
    constructor(IERC20 token_, uint96 seatStake_, Timing memory timing_)
        Ledger(token_)
        Seats(seatStake_, timing_.unbondingSeconds)
        Jobs(timing_)
    {}

    /// @notice Publishes the caller's public keys and addresses, for those who missed its node record.
    /// @param encryptionKey X25519, for sealed boxes.
    /// @param peerKey Ed25519, the node's identity in the peer-to-peer network.
    /// @param addresses At most 8, of at most 200 bytes each.
    function publishNode(bytes32 encryptionKey, bytes32 peerKey, string[] calldata addresses) external {
        _onlyUpTo(addresses.length, MOST_ADDRESSES);
        for (uint256 i = 0; i < addresses.length; ++i) {
            _onlyUpTo(bytes(addresses[i]).length, MOST_ADDRESS_BYTES);
        }
        emit NodePublished(msg.sender, encryptionKey, peerKey, addresses);
    }

    /// @notice The hash lock's preimage is the whole authority: whoever publishes y gets the worker its price.
    function claim(bytes32 jobId, bytes32 y) external {
        Job storage job_ = _live(jobId, State.CLAIMABLE);
        _onlyPreimage(y, job_.yHash);
        emit Claimed(jobId, y);
        _closePaid(jobId, job_); // a later version enters INSPECT here if the verdict is PASS
    }

    /// @notice Moves a job whose deadline has passed; anybody may.
    function poke(bytes32 jobId) external {
        Job storage job_ = _jobs[jobId];
        State state = job_.state;
        if (state == State.NONE || state == State.CLOSED) revert WrongState(jobId, state);
        if (block.timestamp < job_.deadline) revert TooEarly(jobId, job_.deadline, block.timestamp);

        if (state == State.BIDDING) _endBidding(jobId, job_);
        else if (state == State.REVEALING) _award(jobId, job_);
        else if (state == State.AWARDED) _closeUserFault(jobId, job_);
        else if (state == State.KEYED) _closeMutualAbort(jobId, job_);
        else if (state == State.TRAINING) _closeWorkerFault(jobId, job_);
        else if (state == State.SEED) _resolve(jobId, job_, Verdict.NO_TEST);
        else if (state == State.KEYING) _endKeying(jobId, job_);
        else if (state == State.VCOMMIT) _endCommits(jobId, job_);
        else if (state == State.VREVEAL) _tally(jobId, job_);
        else if (state == State.TALLIED) _resolve(jobId, job_, job_.verdict);
        else _closeWorkerFault(jobId, job_); // CLAIMABLE
    }

    /// @dev Whoever withheld its keys is at fault; if both did, nobody can say who would have.
    function _endKeying(bytes32 jobId, Job storage job_) private {
        if (job_.isWorkerKeyed) _resolve(jobId, job_, Verdict.NO_TEST);
        else if (job_.isUserKeyed) _resolve(jobId, job_, Verdict.NO_MODEL);
        else _closeMutualAbort(jobId, job_);
    }

    function _endCommits(bytes32 jobId, Job storage job_) private {
        if (job_.committed == 0) _tally(jobId, job_);
        else _enter(jobId, job_, State.VREVEAL);
    }

    /// @dev What a final verdict leads to; there is one, or the job would have ended at the tally.
    function _resolve(bytes32 jobId, Job storage job_, Verdict verdict) private {
        job_.verdict = verdict;
        if (verdict == Verdict.PASS || verdict == Verdict.NO_TEST) _enter(jobId, job_, State.CLAIMABLE);
        else if (verdict == Verdict.FAIL) _closeRejected(jobId, job_);
        else _closeWorkerFault(jobId, job_); // NO_MODEL
    }
}
