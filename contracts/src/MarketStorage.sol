// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IMarketTypes} from "./IMarket.sol";

/// @title All that the market remembers, and what is fixed at its deployment.
/// @notice `Market` and `Trial` are two halves of one contract, as one alone does not fit the 24,576 bytes of EIP-170:
///         Trial's code runs on Market's storage. Both inherit this layout, and none of our other files declares
///         storage (build.py compares the two); both are constructed with the same arguments, as what is immutable lies
///         in the code.
abstract contract MarketStorage is IMarketTypes {
    // ------------------------------------------------------------------------------------------- fixed at deployment

    /// @dev The token of all amounts. Trusted to move exactly what it is told (no fee on transfers, no rebasing).
    IERC20 internal immutable _token;
    /// @dev What one seat holds, in wei.
    uint96 internal immutable _seatStake;

    uint32 internal immutable _revealingSeconds;
    uint32 internal immutable _keySeconds;
    uint32 internal immutable _ackSeconds;
    uint32 internal immutable _disputeSeconds;
    uint32 internal immutable _seedSeconds;
    uint32 internal immutable _keyingSeconds;
    uint32 internal immutable _reportRevealSeconds;
    uint32 internal immutable _appealSeconds;
    uint32 internal immutable _claimSeconds;
    uint32 internal immutable _inspectSeconds;
    uint32 internal immutable _drawSeconds;
    uint32 internal immutable _unbondingSeconds;
    uint32 internal immutable _seedBlocks;
    uint32 internal immutable _auditOneIn;

    // ---------------------------------------------------------------------------------------------------------- jobs

    /// @dev One job, packed by what is written together: every line is one word of storage.
    struct Record {
        //
        address user;
        uint40 deadline; // seconds
        State state;
        Outcome outcome;
        Verdict verdict;
        uint16 flags; // what has happened, one bit each: see below
        uint8 round; // index of the last drawn committee
        // KEYING and VCOMMIT: seats of this round; VREVEAL: reports opened; TALLIED: low bits of the block whose hash
        // decides on an audit; DRAWING: draws that have failed in it.
        uint8 count;
        //
        uint96 reserve; // wei
        uint96 fee; // wei per coherent report
        uint32 commitments; // bids committed so far
        uint32 opened; // of them; not written while they come in
        //
        int64 threshold; // millionths
        int64 baseline; // millionths
        uint64 tolerance; // millionths
        uint64 fingerprintTolerance; // billionths of the reference fingerprint
        //
        uint40 postedAt; // seconds
        uint32 trainingSeconds; // the most that a bid may ask for
        uint32 testingSeconds;
        uint32 seatSpan; // seat numbers that there were at the posting
        uint48 drawBlock; // whose hash goes into the next committee's seed; in AWARDED, into a SPLIT job's
        uint8 options;
        uint8 seats; // of round 0, as asked for
        uint8 appeals; // made so far
        uint8 redraws; // made so far
        uint8 nextSeats; // DRAWING: how many are to be drawn
        //
        address winner; // whose bid is best so far
        uint96 price; // wei: the lowest eligible bid that lost; the reserve while there is none
        //
        bytes32 standingOrModel; // until the submission the packed best bid (Auction.sol), then the model's root
        //
        uint96 burned; // wei, so far
        uint96 slashed; // wei, and the rest: only while a long settlement goes on
        int64 metric; // millionths: what the price is reckoned from
        //
        uint96 feeEach; // wei
        int128 balance; // wei: slashes less fees so far
        uint8 coherent; // seats that get a fee
        uint8 settled; // seats let go so far
        //
        uint256[2] conducts; // of all seats, 3 bits each, 85 a word
    }

    uint16 internal constant USER_KEYED = 1 << 0; // the user's test keys are with the first committee
    uint16 internal constant WORKER_KEYED = 1 << 1; // the winner's model keys are with the first committee
    uint16 internal constant USER_REKEYED = 1 << 2; // the same for the later round that runs now
    uint16 internal constant WORKER_REKEYED = 1 << 3;
    uint16 internal constant KEY_PUBLIC = 1 << 4; // the training keys are public
    uint16 internal constant TEST_PUBLIC = 1 << 5; // the testing keys are
    uint16 internal constant X_PUBLIC = 1 << 6;
    uint16 internal constant MODEL_PUBLIC = 1 << 7; // x and y are, by disclosure
    uint16 internal constant CLAIMED = 1 << 8; // y is public, by the claim
    uint16 internal constant USER_ACCUSED = 1 << 9; // DISCLOSE: of the two sides, it is the user
    uint16 internal constant ABORTED = 1 << 10; // the last round ended by a party's default; no other can follow
    uint16 internal constant UNANIMOUS = 1 << 11; // all of round 0 reported, and what it found: while no other follows
    uint16 internal constant IN_PART = 1 << 12; // the option LINEAR, in the word that is read anyway
    uint16 internal constant UNSEATED = 1 << 13; // DRAWING: what is to be drawn is the first committee
    uint16 internal constant UNSPLIT = 1 << 15; // SPLIT: the testing chunks are still to be drawn

    uint8 internal constant PUBLIC = 1;
    uint8 internal constant LINEAR = 2;
    uint8 internal constant SPLIT = 4;

    /// @dev The drawn seats of one round. A busy seat keeps its owner, so that its number says it.
    struct Round {
        // The head: 8 bits of how many seats there are, then a bit for each of them whose report is this round's; from
        // the 56th bit how often it began anew. From the 64th on their numbers, 32 bits each, in the order of the draw.
        uint256[7] seats;
    }

    mapping(bytes32 jobId => Record) internal _records;
    mapping(bytes32 jobId => mapping(uint256 round => Round)) internal _rounds;
    mapping(bytes32 jobId => mapping(uint256 index => Appeal)) internal _appeals;

    /// @dev By keccak256(abi.encode(jobId, bidder, commitment)); see Auction.sol. By bidder, too: else whoever copies a
    ///      commitment on its way, and is first, keeps the original out.
    mapping(bytes32 key => uint256 bid) internal _bids;

    /// @dev Of SPLIT jobs: the seed that picked the testing chunks.
    mapping(bytes32 jobId => bytes32 seed) internal _splits;

    // ----------------------------------------------------------------------------------------------- money and seats

    mapping(address account => uint256 wei_) internal _free;

    /// @dev What random audits are paid from. With what else a job's end writes, in one word.
    uint96 internal _auditPool;
    uint96 internal _burned;
    /// @dev How many seat numbers were ever given: the next new one.
    uint24 internal _nextSeat;
    /// @dev Seats that exist, are not busy and not leaving.
    uint24 internal _freeSeats;
    /// @dev Seats that sit in jobs, be they leaving or not.
    uint16 internal _busySeats;
    //
    /// @dev Deposits minus withdrawals. As it fits 96 bits, every balance and every sum of balances does.
    uint96 internal _total;

    mapping(uint32 seat => Seat) internal _seats;
    mapping(uint32 seat => Strikes) internal _strikes;
    /// @dev A seat's newest report, sealed or opened: see Rounds.sol. It lies by the seat, and is never cleared, as a
    ///      word that was used before is cheaper; whether it is a job's, the head of that job's round says.
    mapping(uint32 seat => bytes32) internal _reports;
    /// @dev Numbers of dissolved seats, to be given again, last freed first.
    uint32[] internal _freed;

    constructor(IERC20 token_, uint96 seatStake_, Timing memory timing_) {
        if (seatStake_ == 0) revert BadTerms("seatStake");
        _token = token_;
        _seatStake = seatStake_;
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
        _drawSeconds = timing_.drawSeconds;
        _unbondingSeconds = timing_.unbondingSeconds;
        _seedBlocks = timing_.seedBlocks;
        _auditOneIn = timing_.auditOneIn;
    }
}
