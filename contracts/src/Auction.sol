// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IDesk} from "./IMarket.sol";
import {MarketRules} from "./MarketRules.sol";

/// @title A sealed-bid, second-price, reverse auction: the cheapest authentic worker wins, at the second-lowest price.
/// @notice Bids are commitments behind one uniform bond, decoys included, so that neither bond nor gas tells them
///         apart. Anybody may bring a signed commitment, and open anybody's bid. A bid that nobody opens burns its
///         bond. Only the best bid and the second price are kept, so the result does not depend on the order of the
///         openings.
abstract contract Auction is IDesk, MarketRules, EIP712 {
    bytes32 internal constant BID_TYPEHASH = keccak256(
        "Bid(uint256 chainId,address market,bytes32 jobId,address bidder,uint96 price,bool isAuthentic,uint32 estimatedSeconds,bytes32 salt)"
    );
    bytes32 private constant COMMIT_TYPEHASH = keccak256("Commit(bytes32 jobId,address bidder,bytes32 commitment)");

    uint256 private constant MOST_SEATS = 11;

    /// @dev At least one number in so many has to be a free seat, or a draw would mostly miss.
    uint256 private constant SPARSEST = 8;

    /// @dev A slashed majority of a committee (at 50% of the stake) must not be cheaper than the reserve, so that
    ///      seatStake >= 2 reserve / ((seats + 1) 50%).
    uint256 private constant STAKE_FACTOR = 4;

    /// @dev Whoever has a committee drawn keeps other people's seats busy: that is to cost fees, at least 1/100 of a
    ///      stake each, or what an exit burns, of a reserve of at least 1/32 of seatStake (seats + 1).
    uint256 private constant LEAST_RESERVE = 32;
    uint256 private constant LEAST_FEE = 100;

    /// @dev The longest window that a job may set. Bonds and seats are held through all of them: 2^32 - 1 seconds would
    ///      freeze other people's money for 136 years.
    uint32 private constant MOST_WINDOW_SECONDS = 30 days;

    /// @dev Bit by bit, by the options' number: none, PUBLIC, LINEAR, both, SPLIT, SPLIT with LINEAR. Keys that are public
    ///      cannot be withheld from a worker, so PUBLIC goes with no SPLIT.
    uint256 private constant ALLOWED_OPTIONS = (1 << 0) | (1 << 1) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 6);

    /// @dev A bid's word is its sequence + 1. An opened one is forgotten, but for the best so far, by which
    ///      `submitModel` knows the salt; between batches that one has this bit, so that it is not opened twice.
    uint256 internal constant OPENED = 1 << 255;

    /// @dev The auction while a batch is opened: read once, written once.
    struct Contest {
        uint256 bond; // wei
        uint96 reserve; // wei
        uint32 mostSeconds; // that a bid may ask for
        address winner; // zero: none so far
        uint96 best; // wei, the winner's bid
        uint96 second; // wei
        uint32 sequence; // the winner's
        uint32 estimatedSeconds; // the winner's: its training deadline
        bytes32 key; // the winner's in `_bids`, if it was opened in this batch
    }

    /// @notice Posts a job and escrows reserve, fees and the user's bond out of the caller's free balance.
    /// @param terms What the job promises; the job is named by the caller and the terms' three hashes.
    /// @param spec The encoded specification, at most 8 KiB, for the event only.
    function post(Terms calldata terms, bytes calldata spec) external returns (bytes32 jobId) {
        _checkTerms(terms);
        _onlyUpTo(spec.length, MOST_DOCUMENT_BYTES);
        jobId = _jobIdOf(msg.sender, terms.seedHash, terms.trainKeyHash, terms.testKeyHash);
        Record storage record = _records[jobId];
        if (record.state != State.NONE) revert JobExists(jobId);
        _checkSeats(terms.seats);
        uint40 deadline = uint40(block.timestamp + terms.biddingSeconds);
        record.user = msg.sender;
        record.deadline = deadline;
        record.state = State.BIDDING;
        uint16 flags = terms.options & LINEAR == 0 ? 0 : IN_PART;
        if (terms.options & PUBLIC != 0) flags |= KEY_PUBLIC | TEST_PUBLIC;
        else if (terms.options & SPLIT != 0) flags |= UNSPLIT;
        record.flags = flags;
        record.reserve = terms.reserve;
        record.fee = terms.fee;
        record.threshold = terms.threshold;
        record.baseline = terms.baseline;
        record.tolerance = terms.tolerance;
        record.fingerprintTolerance = terms.fingerprintTolerance;
        record.postedAt = uint40(block.timestamp);
        record.trainingSeconds = terms.trainingSeconds;
        record.testingSeconds = terms.testingSeconds;
        record.seatSpan = _nextSeat;
        record.options = terms.options;
        record.seats = terms.seats;
        _debit(msg.sender, _userStake(record));
        emit JobPosted(jobId, msg.sender, terms, spec);
        emit StateChanged(jobId, State.BIDDING, deadline);
    }

    /// @notice Takes the caller's own job back while nobody has bid.
    function cancel(bytes32 jobId) external {
        Record storage record = _live(jobId, State.BIDDING);
        _onlyCaller(record.user);
        if (record.commitments != 0) revert AlreadyBid(record.commitments);
        _closeUnawarded(jobId, record, Outcome.CANCELLED, 0);
    }

    /// @notice Bids, sealed: locks the bond behind `commitment`. Any number of bids per account, each commitment once.
    ///         Another account's copy of it does not count against it, cannot be opened, and burns its bond.
    function commit(bytes32 jobId, bytes32 commitment) external {
        Record storage record = _live(jobId, State.BIDDING);
        if (msg.sender == record.user) revert UserMayNotBid(msg.sender);
        if (commitment == 0) revert BadTerms("commitment");
        bytes32 key = _bidKey(jobId, msg.sender, commitment);
        if (_bids[key] != 0) revert CommitmentExists(commitment);
        _debit(msg.sender, _bond(record));
        uint32 sequence = record.commitments;
        _bids[key] = uint256(sequence) + 1;
        record.commitments = sequence + 1;
        emit BidCommitted(jobId, msg.sender, commitment, sequence);
    }

    /// @notice Brings bids that others have signed, anybody's; a bid that may not stand is passed over, so that none of
    ///         them spoils the batch.
    /// @param bids At most 64.
    function commitBatch(bytes32 jobId, SignedBid[] calldata bids) external {
        Record storage record = _live(jobId, State.BIDDING);
        _onlyUpTo(bids.length, MOST_BATCH);
        address user = record.user;
        uint256 bond = _bond(record);
        uint32 before = record.commitments;
        uint32 sequence = before;
        bytes32 domain = _domainSeparatorV4();
        for (uint256 i = 0; i < bids.length; ++i) {
            SignedBid calldata bid = bids[i];
            address bidder = bid.bidder;
            bytes32 commitment = bid.commitment;
            if (bidder == user || commitment == 0) continue;
            bytes32 structHash = keccak256(abi.encode(COMMIT_TYPEHASH, jobId, bidder, commitment));
            if (!_isSigned(bidder, domain, structHash, bid.signature)) continue;
            bytes32 key = _bidKey(jobId, bidder, commitment);
            if (_bids[key] != 0) continue;
            uint256 balance = _free[bidder];
            if (balance < bond) continue;
            emit BidCommitted(jobId, bidder, commitment, sequence);
            unchecked {
                _free[bidder] = balance - bond; // compared just now
                _bids[key] = ++sequence; // there are not 2^32 bonds in the world
            }
        }
        if (sequence == before) revert NothingTaken(jobId);
        record.commitments = sequence;
    }

    /// @notice Opens bids, anybody's. What is open already, and what was never committed, is passed over, so that
    ///         nobody can spoil a batch; one of them must be new. The last opening awards the job at once.
    /// @param openings At most 64.
    function revealBatch(bytes32 jobId, Opening[] calldata openings) external {
        Record storage record = _live(jobId, State.REVEALING);
        _onlyUpTo(openings.length, MOST_BATCH);
        Contest memory contest = _contest(record);
        uint32 opened;
        bytes32 first;
        for (uint256 i = 0; i < openings.length; ++i) {
            Opening memory opening = openings[i]; // checked once, on its way into memory
            bytes32 commitment = keccak256(abi.encode(BID_TYPEHASH, block.chainid, address(this), jobId, opening));
            if (i == 0) first = commitment;
            if (_open(jobId, contest, opening, commitment)) ++opened;
        }
        if (opened == 0) revert UnknownCommitment(first);
        opened += record.opened;
        record.opened = opened;
        bool isLast = opened == record.commitments;
        if (contest.winner != address(0)) {
            record.price = contest.second;
            if (contest.key != 0) {
                _storeStanding(record, contest);
                if (!isLast) _bids[contest.key] |= OPENED;
            }
        }
        if (isLast) _award(jobId, record, 0);
    }

    function _open(bytes32 jobId, Contest memory contest, Opening memory opening, bytes32 commitment)
        internal
        returns (bool isNew)
    {
        // The bidder is in the hash: a copy lies under another bidder, and no opening leads there.
        bytes32 key = _bidKey(jobId, opening.bidder, commitment);
        uint256 bid = _bids[key];
        if (bid == 0 || bid & OPENED != 0 || key == contest.key) return false;
        emit BidOpened(
            jobId, opening.bidder, commitment, opening.price, opening.isAuthentic, opening.estimatedSeconds
        );
        address loser = opening.bidder;
        uint32 sequence = uint32(bid) - 1;
        if (_isBest(contest, opening, sequence)) {
            loser = _crown(contest, opening, sequence, key);
        } else {
            delete _bids[key];
        }
        if (loser != address(0)) _credit(loser, contest.bond);
        return true;
    }

    /// @dev Lets an eligible bid compete by (price, sequence); the one that does not win may lower the second price.
    function _isBest(Contest memory contest, Opening memory opening, uint32 sequence) private pure returns (bool) {
        uint96 price = opening.price;
        if (!opening.isAuthentic || price == 0 || price > contest.reserve) return false;
        if (opening.estimatedSeconds == 0 || opening.estimatedSeconds > contest.mostSeconds) return false;
        if (contest.winner == address(0) || price < contest.best) return true;
        if (price == contest.best && sequence < contest.sequence) return true;
        if (price < contest.second) contest.second = price;
        return false;
    }

    /// @return dethroned Whose bond is free now: the best bid's so far, or nobody's.
    function _crown(Contest memory contest, Opening memory opening, uint32 sequence, bytes32 key)
        private
        returns (address dethroned)
    {
        dethroned = contest.winner;
        contest.second = dethroned == address(0) ? contest.reserve : contest.best;
        contest.winner = opening.bidder;
        contest.best = opening.price;
        contest.sequence = sequence;
        contest.estimatedSeconds = opening.estimatedSeconds;
        // One that an earlier batch opened stays marked: to know its key would cost a word.
        if (contest.key != 0) delete _bids[contest.key];
        contest.key = key;
    }

    function _contest(Record storage record) internal view returns (Contest memory contest) {
        contest.bond = _bond(record);
        contest.reserve = record.reserve;
        contest.mostSeconds = record.trainingSeconds;
        contest.winner = record.winner;
        contest.second = record.price;
        (contest.best, contest.sequence, contest.estimatedSeconds) = _standing(record);
    }

    function _storeStanding(Record storage record, Contest memory contest) internal {
        record.winner = contest.winner;
        record.standingOrModel = bytes32(
            uint256(contest.best) | (uint256(contest.sequence) << 96) | (uint256(contest.estimatedSeconds) << 128)
        );
    }

    /// @dev The best bid so far: 96 bits of price, 32 of its sequence, 32 of its run time. `_award` knows it too.
    function _standing(Record storage record)
        internal
        view
        returns (uint96 best, uint32 sequence, uint32 estimatedSeconds)
    {
        uint256 word = uint256(record.standingOrModel);
        return (uint96(word), uint32(word >> 96), uint32(word >> 128));
    }

    function _bidKey(bytes32 jobId, address bidder, bytes32 commitment) internal pure returns (bytes32) {
        return keccak256(abi.encode(jobId, bidder, commitment));
    }

    function _checkTerms(Terms calldata terms) private view {
        if (terms.reserve == 0) revert BadTerms("reserve");
        if (terms.seats % 2 == 0 || terms.seats > MOST_SEATS) revert BadTerms("seats");
        if (!_isWindow(terms.biddingSeconds)) revert BadTerms("biddingSeconds");
        if (!_isWindow(terms.trainingSeconds)) revert BadTerms("trainingSeconds");
        // A committee that cannot even report in time is slashed, and the winner is paid its slashes: its time is no
        // shorter than what the market itself finds enough for sending one transaction.
        if (!_isWindow(terms.testingSeconds) || terms.testingSeconds < _reportRevealSeconds) {
            revert BadTerms("testingSeconds");
        }
        uint256 reserve = terms.reserve;
        uint256 stakes = uint256(_seatStake) * (uint256(terms.seats) + 1);
        if (stakes < STAKE_FACTOR * reserve || LEAST_RESERVE * reserve < stakes) revert BadTerms("reserve");
        if (LEAST_FEE * uint256(terms.fee) < _seatStake) revert BadTerms("fee");
        if ((ALLOWED_OPTIONS >> terms.options) & 1 == 0) revert BadTerms("options");
        bool isBaseline = terms.options & LINEAR == 0 ? terms.baseline == 0 : terms.baseline < terms.threshold;
        if (!isBaseline) revert BadTerms("baseline");
    }

    /// @dev Without a committee both parties are fined, and a committee that nobody can appeal from is the last. So
    ///      there have to be seats for the first one of k and, beside it, for a first appeal of 2k + 1; the numbers must
    ///      not be too sparse for a draw; and no more may be busy than free. Other jobs may still take them before.
    function _checkSeats(uint256 seats) private view {
        uint256 free = _freeSeats;
        uint256 needed = 3 * seats + 1;
        if (free < needed) revert NotEnoughSeats(free, needed);
        needed = (uint256(_nextSeat) + SPARSEST - 1) / SPARSEST;
        if (free < needed) revert NotEnoughSeats(free, needed);
        if (free < _busySeats) revert NotEnoughSeats(free, _busySeats);
    }

    function _isWindow(uint32 duration) private pure returns (bool) {
        return duration != 0 && duration <= MOST_WINDOW_SECONDS;
    }
}
