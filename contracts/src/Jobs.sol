// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Seats} from "./Seats.sol";

/// @title What a job is, where it stands, and how it moves from state to state.
/// @notice The one clock rule: in a state with deadline d an action is valid iff `block.timestamp < d`, and `poke` iff
///         `block.timestamp >= d`. So at every instant exactly one of the two is.
abstract contract Jobs is Seats {
    /// @dev All that the market remembers of a job, packed by what is written together.
    struct Job {
        address user;
        uint40 deadline; // seconds
        State state;
        Outcome outcome;
        uint8 seats; // committee size asked for
        uint8 round; // of reports; appeals (a later version) count it up
        Verdict verdict;
        bool isUserKeyed; // the user's test keys are with the committee
        bool isWorkerKeyed; // the winner's model keys are with the committee; with both, the round runs
        //
        uint96 reserve; // wei
        uint96 held; // wei: everything that this job holds (reserve, fees, bonds, slashes), but seats' own stakes
        uint32 commitments; // bids committed so far
        uint32 unopened; // of them, not opened
        //
        uint96 best; // wei, the winner's bid
        uint96 second; // wei, the lowest eligible bid that lost; the reserve while there is none
        uint32 bestSequence;
        uint32 winnerSeconds; // the winner's own estimate: its training deadline
        //
        address winner; // whose bid is best so far
        uint96 price; // wei, from the award on
        //
        uint96 fee; // wei per coherent report
        uint96 burned; // wei
        uint64 seedBlock;
        //
        uint40 postedAt; // seconds
        uint32 trainingSeconds; // the most that a bid may ask for
        uint32 testingSeconds;
        uint8 committed; // reports committed in this round
        uint8 revealed; // reports opened in this round
        uint64 tolerance; // millionths
        uint64 fingerprintTolerance; // billionths of the reference fingerprint
        //
        int64 threshold; // millionths
        int64 metric; // millionths, the round's lower median
        int64 fingerprint; // billionths, the round's lower median
        //
        bytes32 seedHash;
        bytes32 winnerSalt; // keccak256 of the winner's seed share; zero once that is known
        bytes32 workerSeed;
        bytes32 yHash;
    }

    /// @dev One drawn seat in one job.
    struct Member {
        address validator;
        uint32 seat;
        bool hasCommitted;
        bytes32 commitment;
        bool hasRevealed;
        int64 metric; // millionths, or a code
        int64 fingerprint; // billionths
    }

    mapping(bytes32 jobId => Job) internal _jobs;
    mapping(bytes32 jobId => Member[]) internal _committees;

    uint32 private immutable _revealingSeconds;
    uint32 private immutable _keySeconds;
    uint32 private immutable _ackSeconds;
    uint32 private immutable _disputeSeconds;
    uint32 private immutable _seedSeconds;
    uint32 private immutable _keyingSeconds;
    uint32 internal immutable _reportRevealSeconds;
    uint32 private immutable _appealSeconds;
    uint32 private immutable _claimSeconds;
    uint32 private immutable _inspectSeconds;
    uint32 internal immutable _seedBlocks;

    constructor(Timing memory timing_) {
        _revealingSeconds = timing_.revealingSeconds;
        _keySeconds = timing_.keySeconds;
        _ackSeconds = timing_.ackSeconds;
        _disputeSeconds = timing_.disputeSeconds;
        _seedSeconds = timing_.seedSeconds;
        _keyingSeconds = timing_.keyingSeconds;
        _reportRevealSeconds = timing_.reportRevealSeconds;
        _appealSeconds = timing_.appealSeconds;
        _claimSeconds = timing_.claimSeconds;
        _inspectSeconds = timing_.inspectSeconds;
        _seedBlocks = timing_.seedBlocks;
    }

    /// @notice How long every party has; fixed at deployment.
    function timing() public view returns (Timing memory) {
        return Timing({
            revealingSeconds: _revealingSeconds,
            keySeconds: _keySeconds,
            ackSeconds: _ackSeconds,
            disputeSeconds: _disputeSeconds,
            seedSeconds: _seedSeconds,
            keyingSeconds: _keyingSeconds,
            reportRevealSeconds: _reportRevealSeconds,
            appealSeconds: _appealSeconds,
            claimSeconds: _claimSeconds,
            inspectSeconds: _inspectSeconds,
            unbondingSeconds: unbondingSeconds,
            seedBlocks: _seedBlocks
        });
    }

    /// @notice A job's whole record; its state is NONE if there is no such job.
    function job(bytes32 jobId) external view returns (Job memory) {
        return _jobs[jobId];
    }

    /// @notice The drawn seats of a job with their reports, in the order in which they were drawn.
    function committee(bytes32 jobId) external view returns (Member[] memory) {
        return _committees[jobId];
    }

    /// @dev The job, if it stands in `state` and its deadline has not passed.
    function _live(bytes32 jobId, State state) internal view returns (Job storage job_) {
        job_ = _jobs[jobId];
        if (job_.state != state) revert WrongState(jobId, job_.state);
        if (block.timestamp >= job_.deadline) revert TooLate(jobId, job_.deadline, block.timestamp);
    }

    /// @dev Enters a state that lasts until somebody acts, and at most the state's time.
    function _enter(bytes32 jobId, Job storage job_, State state) internal {
        _enterFor(jobId, job_, state, _secondsOf(job_, state));
    }

    function _enterFor(bytes32 jobId, Job storage job_, State state, uint256 seconds_) internal {
        uint40 deadline = uint40(block.timestamp + seconds_);
        job_.state = state;
        job_.deadline = deadline;
        emit StateChanged(jobId, state, deadline);
    }

    /// @dev The bid bond and the user's bond: half of the reserve each, in wei.
    function _bond(Job storage job_) internal view returns (uint96) {
        return job_.reserve / 2;
    }

    function _onlyCaller(address wanted) internal view {
        if (msg.sender != wanted) revert WrongCaller(msg.sender, wanted);
    }

    function _onlyPreimage(bytes32 preimage, bytes32 wanted) internal pure {
        bytes32 actual = keccak256(abi.encodePacked(preimage));
        if (actual != wanted) revert WrongPreimage(wanted, actual);
    }

    function _onlyUpTo(uint256 length, uint256 most) internal pure {
        if (length > most) revert BoxTooLarge(length, most);
    }

    /// @dev How long a state lasts. KEY_DISPUTE, X_DISPUTE, DISCLOSE, DRAWING and INSPECT come with disputes and appeals.
    function _secondsOf(Job storage job_, State state) private view returns (uint256) {
        if (state == State.REVEALING) return _revealingSeconds;
        if (state == State.AWARDED) return _keySeconds;
        if (state == State.KEYED) return _ackSeconds;
        if (state == State.TRAINING) return job_.winnerSeconds;
        if (state == State.SEED) return _seedSeconds;
        if (state == State.KEYING) return _keyingSeconds;
        if (state == State.VCOMMIT) return job_.testingSeconds;
        if (state == State.VREVEAL) return _reportRevealSeconds;
        if (state == State.TALLIED) return _appealSeconds;
        assert(state == State.CLAIMABLE);
        return _claimSeconds;
    }
}
