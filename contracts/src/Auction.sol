// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Settlement} from "./Settlement.sol";

/// @title A sealed-bid, second-price, reverse auction: the cheapest authentic worker wins, at the second-lowest price.
/// @notice Bids are commitments behind one uniform bond, decoys included, so that neither bond nor gas tells them apart.
///         Anybody may open anybody's bid. A bid that nobody opens burns its bond. Only the best bid and the second
///         price are kept, so the result does not depend on the order, and an opening costs the same for any number.
abstract contract Auction is Settlement {
    bytes32 internal constant JOB_TYPEHASH =
        keccak256("Job(uint256 chainId,address market,address user,bytes32 seedHash)");
    bytes32 internal constant BID_TYPEHASH = keccak256(
        "Bid(uint256 chainId,address market,bytes32 jobId,address bidder,uint96 price,bool isAuthentic,uint32 estimatedSeconds,bytes32 salt)"
    );

    uint256 internal constant MOST_SEATS = 11;
    /// @dev Bytes of an encoded specification or model manifest. They live in events only.
    uint256 internal constant MOST_DOCUMENT_BYTES = 8 * 1024;

    /// @dev A slashed majority of a committee (at 50% of the stake) must not be cheaper than the reserve, so that
    ///      seatStake >= 2 reserve / ((seats + 1) 50%).
    uint256 private constant STAKE_FACTOR = 4;

    /// @dev The longest window that a job may set. Bonds and seats are held through all of them: 2^32 - 1 seconds would
    ///      freeze other people's money for 136 years.
    uint32 private constant MOST_WINDOW_SECONDS = 30 days;

    struct Bid {
        uint32 sequence;
        bool isCommitted; // false: no such bid
        bool isOpened;
    }

    /// @dev By bidder, too: else whoever copies a commitment on its way, and is first, keeps the original out.
    mapping(bytes32 jobId => mapping(address bidder => mapping(bytes32 commitment => Bid))) private _bids;

    /// @notice Posts a job and escrows reserve, fees and the user's bond out of the caller's free balance.
    /// @param terms What the job promises; the job is named by the caller and `terms.seedHash`.
    /// @param spec The encoded specification, at most 8 KiB, for the event only.
    function post(Terms calldata terms, bytes calldata spec) external returns (bytes32 jobId) {
        _checkTerms(terms);
        _onlyUpTo(spec.length, MOST_DOCUMENT_BYTES);
        jobId = keccak256(abi.encode(JOB_TYPEHASH, block.chainid, address(this), msg.sender, terms.seedHash));
        Job storage job_ = _jobs[jobId];
        if (job_.state != State.NONE) revert JobExists(jobId);
        // Without a committee the job ends INCONCLUSIVE, which burns nothing: it must not be a way out by choice.
        if (_freeList.length < terms.seats) revert NotEnoughSeats(_freeList.length, terms.seats);

        job_.user = msg.sender;
        job_.seats = terms.seats;
        job_.reserve = terms.reserve;
        job_.fee = terms.fee;
        job_.postedAt = uint40(block.timestamp);
        job_.trainingSeconds = terms.trainingSeconds;
        job_.testingSeconds = terms.testingSeconds;
        job_.threshold = terms.threshold;
        job_.tolerance = terms.tolerance;
        job_.fingerprintTolerance = terms.fingerprintTolerance;
        job_.seedHash = terms.seedHash;
        uint256 escrow = _userStake(job_);
        _debit(msg.sender, escrow);
        job_.held = uint96(escrow); // fits: it was part of a free balance
        emit JobPosted(jobId, msg.sender, terms, spec);
        _enterFor(jobId, job_, State.BIDDING, terms.biddingSeconds);
    }

    /// @notice Takes the caller's own job back while nobody has bid.
    function cancel(bytes32 jobId) external {
        Job storage job_ = _live(jobId, State.BIDDING);
        _onlyCaller(job_.user);
        if (job_.commitments != 0) revert AlreadyBid(job_.commitments);
        _closeUnawarded(jobId, job_, Outcome.CANCELLED);
    }

    /// @notice Bids, sealed: locks the bond behind `commitment`. Any number of bids per account, each commitment once.
    ///         Another account's copy of it does not count against it, cannot be opened, and burns its bond.
    function commit(bytes32 jobId, bytes32 commitment) external {
        Job storage job_ = _live(jobId, State.BIDDING);
        if (msg.sender == job_.user) revert UserMayNotBid(msg.sender);
        Bid storage bid = _bids[jobId][msg.sender][commitment];
        if (bid.isCommitted) revert CommitmentExists(commitment);
        uint96 bond = _bond(job_);
        _debit(msg.sender, bond);
        job_.held += bond;
        uint32 sequence = job_.commitments++;
        ++job_.unopened;
        bid.sequence = sequence;
        bid.isCommitted = true;
        emit BidCommitted(jobId, msg.sender, commitment, sequence);
    }

    /// @notice Opens bids, anybody's. What is open already is passed over, so that nobody can spoil a batch by being
    ///         first; what was never committed refuses the whole batch. The last opening awards the job at once.
    function revealBatch(bytes32 jobId, Opening[] calldata openings) external {
        Job storage job_ = _live(jobId, State.REVEALING);
        for (uint256 i = 0; i < openings.length; ++i) {
            _open(jobId, job_, openings[i]);
        }
        if (job_.unopened == 0) _award(jobId, job_);
    }

    /// @dev BIDDING is over.
    function _endBidding(bytes32 jobId, Job storage job_) internal {
        if (job_.commitments == 0) _closeUnawarded(jobId, job_, Outcome.NO_BIDS);
        else _enter(jobId, job_, State.REVEALING);
    }

    /// @dev REVEALING is over: unopened bonds burn, and the job is the winner's, if there is one.
    function _award(bytes32 jobId, Job storage job_) internal {
        _burn(job_, job_.unopened * _bond(job_));
        if (job_.winner == address(0)) {
            _closeUnawarded(jobId, job_, Outcome.NO_BIDS);
            return;
        }
        job_.price = job_.second;
        emit JobAwarded(jobId, job_.winner, job_.best, job_.price, job_.unopened);
        _enter(jobId, job_, State.AWARDED);
    }

    function _open(bytes32 jobId, Job storage job_, Opening calldata opening) private {
        bytes32 commitment = keccak256(
            abi.encode(
                BID_TYPEHASH,
                block.chainid,
                address(this),
                jobId,
                opening.bidder,
                opening.price,
                opening.isAuthentic,
                opening.estimatedSeconds,
                opening.salt
            )
        );
        // The bidder is in the hash: a copy lies under another bidder, and no opening leads there.
        Bid storage bid = _bids[jobId][opening.bidder][commitment];
        if (!bid.isCommitted) revert UnknownCommitment(commitment);
        if (bid.isOpened) return;
        bid.isOpened = true;
        --job_.unopened;
        emit BidOpened(
            jobId, opening.bidder, commitment, opening.price, opening.isAuthentic, opening.estimatedSeconds
        );
        address loser = _isEligible(job_, opening) ? _enterBid(job_, opening, bid.sequence) : opening.bidder;
        if (loser != address(0)) _pay(job_, loser, _bond(job_));
    }

    function _isEligible(Job storage job_, Opening calldata opening) private view returns (bool) {
        return opening.isAuthentic && opening.price != 0 && opening.price <= job_.reserve
            && opening.estimatedSeconds != 0 && opening.estimatedSeconds <= job_.trainingSeconds;
    }

    /// @dev Lets an eligible bid compete by (price, sequence).
    /// @return loser Whose bond is free now: the dethroned best, the new bid's if it does not win, or nobody's.
    function _enterBid(Job storage job_, Opening calldata opening, uint32 sequence) private returns (address loser) {
        loser = job_.winner;
        bool isFirst = loser == address(0);
        bool isBest = isFirst || opening.price < job_.best
            || (opening.price == job_.best && sequence < job_.bestSequence);
        if (!isBest) {
            if (opening.price < job_.second) job_.second = opening.price;
            return opening.bidder;
        }
        job_.second = isFirst ? job_.reserve : job_.best;
        job_.best = opening.price;
        job_.bestSequence = sequence;
        job_.winnerSeconds = opening.estimatedSeconds;
        job_.winner = opening.bidder;
        job_.winnerSalt = opening.salt;
    }

    function _checkTerms(Terms calldata terms) private view {
        if (terms.reserve == 0) revert BadTerms("reserve");
        if (terms.seats % 2 == 0 || terms.seats > MOST_SEATS) revert BadTerms("seats");
        if (!_isWindow(terms.biddingSeconds)) revert BadTerms("biddingSeconds");
        if (!_isWindow(terms.trainingSeconds)) revert BadTerms("trainingSeconds");
        // A committee that has no time to test is slashed for its silence, and the winner is paid its slashes: its time
        // is no shorter than what the market itself finds enough for sending one transaction.
        if (!_isWindow(terms.testingSeconds) || terms.testingSeconds < _reportRevealSeconds) {
            revert BadTerms("testingSeconds");
        }
        if (uint256(seatStake) * (uint256(terms.seats) + 1) < STAKE_FACTOR * uint256(terms.reserve)) {
            revert BadTerms("reserve");
        }
    }

    function _isWindow(uint32 duration) private pure returns (bool) {
        return duration != 0 && duration <= MOST_WINDOW_SECONDS;
    }
}
