// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The market's nouns: states, structs, events and refusals.
/// @notice Money is wei of the Morphware token and fits 96 bits. Time is seconds. An action is valid iff
///         `block.timestamp < deadline`; `poke` is valid iff `block.timestamp >= deadline`.
interface IMarketTypes {
    enum State {
        NONE, BIDDING, REVEALING, AWARDED, KEYED, KEY_DISPUTE, TRAINING, SEED, KEYING, X_DISPUTE, VCOMMIT, DISCLOSE,
        VREVEAL, TALLIED, DRAWING, CLAIMABLE, INSPECT, CLOSED
    }

    enum Outcome { NONE, CANCELLED, NO_BIDS, USER_FAULT, WORKER_FAULT, MUTUAL_ABORT, PAID, REJECTED, INCONCLUSIVE }

    enum Verdict { NONE, PASS, FAIL, NO_MODEL, NO_TEST }

    // ------------------------------------------------------------------------------------------ what calls carry

    /// @notice What a job promises. Metrics are millionths, higher is better.
    struct Terms {
        uint96 reserve; // wei; the bid bond and the user's bond are half of it each
        uint96 fee; // wei per report
        uint8 seats; // committee size of round 0, odd
        int64 threshold; // millionths
        uint64 tolerance; // millionths: reports this near to the median are coherent
        uint64 fingerprintTolerance; // billionths of the reference fingerprint
        uint32 biddingSeconds;
        uint32 trainingSeconds; // the most that a bid may ask for
        uint32 testingSeconds;
        uint32 estimatedSeconds; // the user's estimate of the training's run time
        bytes32 trainKeyHash; // keccak256(training key . code key), 64 bytes, for the winner; SPLIT: of the code key
        bytes32 testKeyHash; // keccak256(testing key . code key), 64 bytes, for the committee; SPLIT: see Split.sol
        bytes32 seedHash; // keccak256(user's 32-byte share of the committee seed)
        uint8 options; // bit 0 PUBLIC: the user's keys are public; bit 1 LINEAR: paid in proportion above the baseline;
        // bit 2 SPLIT: chunks of the data that are drawn after the award test the model; not with PUBLIC
        int64 baseline; // millionths, below the threshold; 0 unless LINEAR
    }

    /// @notice The preimage of a bid. `salt` is keccak256 of the bidder's 32-byte share of the committee seed.
    struct Opening {
        address bidder;
        uint96 price;
        bool isAuthentic;
        uint32 estimatedSeconds;
        bytes32 salt;
    }

    /// @notice A commitment to a bid that anybody may bring:
    ///         EIP-712 `Commit(bytes32 jobId,address bidder,bytes32 commitment)`.
    struct SignedBid {
        address bidder;
        bytes32 commitment;
        bytes signature; // 65 bytes, r . s . v
    }

    /// @notice The preimage of a report. A metric of type(int64).min means NO_MODEL, one above it NO_TEST.
    struct Report {
        address validator;
        int64 metric; // millionths
        int64 fingerprint; // billionths
        bytes32 predictionRoot;
        bytes32 salt;
    }

    /// @notice A commitment to a report that anybody may bring:
    ///         EIP-712 `CommitReport(bytes32 jobId,uint8 round,address validator,bytes32 commitment)`.
    struct SignedReport {
        address validator;
        bytes32 commitment;
        bytes signature; // 65 bytes, r . s . v
    }

    /// @notice What `submitModel` committed to. The market keeps only keccak256(abi.encode(this)), so whoever shows one
    ///         preimage brings the rest again.
    struct ModelRoot {
        bytes32 modelHash;
        bytes32 xHash;
        bytes32 yHash;
        bytes32 workerSeed;
    }

    // ------------------------------------------------------------------------------------------- what views answer

    /// @notice How long a party has in each state, in seconds; the states whose time the job itself sets are not here.
    struct Timing {
        uint32 revealingSeconds; // REVEALING: bidders and anybody open bids
        uint32 keySeconds; // AWARDED: the user hands over the training keys
        uint32 ackSeconds; // KEYED: the winner looks at the data
        uint32 disputeSeconds; // KEY_DISPUTE, X_DISPUTE, DISCLOSE: the accused discloses
        uint32 seedSeconds; // SEED: the user reveals its share of the committee's seed
        uint32 keyingSeconds; // KEYING: both parties hand the committee their keys
        uint32 reportRevealSeconds; // VREVEAL: validators and anybody open reports
        uint32 appealSeconds; // TALLIED: anybody may appeal
        uint32 claimSeconds; // CLAIMABLE: the worker publishes y
        uint32 inspectSeconds; // INSPECT: the user tests the model itself
        uint32 drawSeconds; // DRAWING: at least this long until a later round's committee is drawn
        uint32 unbondingSeconds; // a leaving seat waits for its stake
        uint32 seedBlocks; // blocks, not seconds: from the model, or an appeal, to the one that goes into the seed
        uint32 auditOneIn; // findings, not seconds: of so many, one is audited; 0: none
    }

    /// @notice What the market knows of a job; its state is NONE if there is no such job.
    struct Job {
        address user;
        uint40 deadline; // seconds; 0 when CLOSED
        State state;
        Outcome outcome; // not NONE while the state is not CLOSED: its seats are being settled, `poke` goes on
        Verdict verdict;
        uint8 options;
        uint8 seats; // committee size of round 0 asked for
        uint8 round; // index of the last drawn committee
        uint8 appeals; // made so far
        uint8 redraws; // made so far
        uint8 nextSeats; // DRAWING: how many are to be drawn
        uint64 drawBlock; // whose hash goes into the next (or the last) committee's seed
        uint32 seatSpan; // seat numbers that there were at the posting
        uint40 postedAt; // seconds
        uint32 trainingSeconds; // the most that a bid may ask for
        uint32 testingSeconds;
        uint96 reserve; // wei
        uint96 fee; // wei per coherent report
        uint32 commitments; // bids committed so far
        uint32 unopened; // of them, not opened
        address winner; // whose bid is best so far
        uint96 price; // wei, from the award on
        uint96 burned; // wei, so far
        int256 held; // wei: reserve, fees, bonds; during a long settlement also slashes less fees: may be < 0
        int64 threshold; // millionths
        int64 baseline; // millionths
        uint64 tolerance; // millionths
        uint64 fingerprintTolerance; // billionths of the reference fingerprint
        bool isUserKeyed; // the user's test keys are with the first committee
        bool isWorkerKeyed; // the winner's model keys are with the first committee
        bool isKeyPublic; // the training keys are
        bool isTestPublic; // the testing keys are
        bool isXPublic;
        bool isModelPublic; // x and y are, by disclosure
        bool isClaimed; // y is public, by the claim
        bool isUserAccused; // DISCLOSE: of the two sides, it is the user
        bool isAborted; // the last round ended by a party's default
        bytes32 model; // keccak256(abi.encode(ModelRoot)), from the submission on
    }

    /// @notice One drawn seat of one round, while its job has no outcome.
    struct Member {
        address validator;
        uint32 seat;
        bool isCommitted;
        bool isRevealed;
        int64 metric; // millionths, or a code
        int64 fingerprint; // billionths
    }

    /// @notice What one round found by itself.
    struct Tally {
        Verdict verdict;
        int64 metric; // millionths, lower median
        int64 fingerprint; // billionths, lower median
    }

    struct Appeal {
        address appellant; // zero: a random audit, which is the market's own appeal
        uint8 seats; // of the committee that it paid for; its bond is that many fees
        Verdict verdict; // that it doubts
        uint8 round; // that found it
    }

    struct Seat {
        address owner; // zero: no such seat
        uint40 since; // when it was staked, seconds; it serves only jobs posted later
        uint40 freeAt; // when a leaving seat may be unstaked, seconds; 0: it is not leaving
        bool isBusy; // it sits on a committee
    }

    struct Strikes {
        uint8 count;
        uint40 firstAt; // seconds
    }

    // -------------------------------------------------------------------------------------------------- what happens

    event Deposited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);
    event AuditsFunded(address indexed account, uint256 amount);
    event SeatsStaked(address indexed account, uint32[] seats);
    event SeatLeaving(address indexed account, uint32 seat, uint256 freeAt);
    event SeatReleased(address indexed account, uint32 seat);
    event NodePublished(address indexed account, bytes32 encryptionKey, bytes32 peerKey, string[] addresses);

    event JobPosted(bytes32 indexed jobId, address indexed user, Terms terms, bytes spec);
    event StateChanged(bytes32 indexed jobId, State state, uint40 deadline);
    event BidCommitted(bytes32 indexed jobId, address indexed bidder, bytes32 commitment, uint32 sequence);
    event BidOpened(
        bytes32 indexed jobId, address indexed bidder, bytes32 commitment, uint96 price, bool isAuthentic,
        uint32 estimatedSeconds
    );
    event JobAwarded(bytes32 indexed jobId, address indexed winner, uint96 bid, uint96 price, uint32 unopened);
    event SplitDrawn(bytes32 indexed jobId, bytes32 seed);
    event KeysPosted(bytes32 indexed jobId, bytes box);
    event KeyDisclosed(bytes32 indexed jobId, bytes keys);
    event ModelSubmitted(
        bytes32 indexed jobId, bytes32 modelHash, bytes32 xHash, bytes32 yHash, bytes32 workerSeed, uint64 seedBlock,
        bytes model
    );
    event CommitteeDrawn(bytes32 indexed jobId, uint8 round, bytes32 seed, address[] validators);
    event TestKeysPosted(bytes32 indexed jobId, bytes[] boxes);
    event ModelKeysPosted(bytes32 indexed jobId, bytes[] boxes);
    event XDisclosed(bytes32 indexed jobId, bytes32 x);
    event KeysComplained(bytes32 indexed jobId, address indexed validator, bool againstUser);
    event TestKeysDisclosed(bytes32 indexed jobId, bytes keys);
    event ModelKeysDisclosed(bytes32 indexed jobId, bytes32 x, bytes32 y);
    event ReportCommitted(bytes32 indexed jobId, uint8 round, address indexed validator, bytes32 commitment);
    event ReportRevealed(
        bytes32 indexed jobId, uint8 round, address indexed validator, int64 metric, int64 fingerprint,
        bytes32 predictionRoot
    );
    event RoundTallied(bytes32 indexed jobId, uint8 round, Verdict verdict, int64 metric, int64 fingerprint);
    event Appealed(bytes32 indexed jobId, address indexed appellant, uint8 seats, uint96 bond);
    event AppealUnheard(bytes32 indexed jobId, address indexed appellant, uint96 bond, uint96 kept);
    event Audited(bytes32 indexed jobId, uint8 seats, uint96 bond);
    event Claimed(bytes32 indexed jobId, bytes32 y);
    event SeatSettled(bytes32 indexed jobId, address indexed validator, uint96 fee, uint96 slash);
    event PokeRewarded(bytes32 indexed jobId, address indexed poker, uint96 amount);
    event JobClosed(bytes32 indexed jobId, Outcome outcome, address winner, uint96 price, uint96 burned);

    // ----------------------------------------------------------------------------------------------- what is refused

    error WrongState(bytes32 jobId, State actual);
    error TooLate(bytes32 jobId, uint256 deadline, uint256 timestamp);
    error TooEarly(bytes32 jobId, uint256 deadline, uint256 timestamp);
    error WrongCaller(address caller, address wanted);
    error InsufficientBalance(address account, uint256 balance, uint256 needed);
    error WrongPreimage(bytes32 wanted, bytes32 actual);
    error JobExists(bytes32 jobId);
    error BadTerms(string field);
    error NotEnoughSeats(uint256 available, uint256 needed);
    error UserMayNotBid(address user);
    error CommitmentExists(bytes32 commitment);
    error UnknownCommitment(bytes32 commitment);
    error NothingTaken(bytes32 jobId);
    error AlreadyBid(uint256 commitments);
    error NotOnCommittee(address account);
    error AlreadyDone(bytes32 jobId, address account);
    error AlreadyDisclosed(bytes32 jobId);
    error WrongAccused(bytes32 jobId);
    error NoAppealLeft(bytes32 jobId);
    error WrongBoxCount(uint256 actual, uint256 wanted);
    error BoxTooLarge(uint256 actual, uint256 most);
    error SeedBlockPending(uint256 seedBlock, uint256 current);
    error SeatNotYours(uint32 seat, address owner);
    error SeatBusy(uint32 seat);
    error SeatBonding(uint32 seat, uint256 freeAt);
    error SeatNotLeaving(uint32 seat);
}

/// @title The half that takes what people bring (money, seats, bids, keys, the model, sealed reports): what `Market`
///        implements itself.
interface IDesk is IMarketTypes {
    function deposit(uint96 amount) external;
    function depositWithPermit(uint96 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    function withdraw(uint96 amount) external;
    function fundAudits(uint96 amount) external;
    function stake(uint16 count) external;
    function requestUnstake(uint32 seat_) external;
    function unstake(uint32 seat_) external;
    function publishNode(bytes32 encryptionKey, bytes32 peerKey, string[] calldata addresses) external;

    function post(Terms calldata terms, bytes calldata spec) external returns (bytes32 jobId);
    function cancel(bytes32 jobId) external;
    function commit(bytes32 jobId, bytes32 commitment) external;
    function commitBatch(bytes32 jobId, SignedBid[] calldata bids) external;
    function revealBatch(bytes32 jobId, Opening[] calldata openings) external;
    function postKeys(bytes32 jobId, bytes calldata box) external;
    function complainKey(bytes32 jobId) external;
    function discloseKey(bytes32 jobId, bytes calldata keys, bytes32 seedHash, bytes32 testKeyHash) external;
    function ack(bytes32 jobId) external;
    function submitModel(
        bytes32 jobId, bytes32 modelHash, bytes32 xHash, bytes32 yHash, bytes32 workerSeed, bytes calldata model
    ) external;

    function postTestKeys(bytes32 jobId, bytes[] calldata boxes) external;
    function postModelKeys(bytes32 jobId, bytes[] calldata boxes) external;
    function complainX(bytes32 jobId) external;
    function discloseX(bytes32 jobId, bytes32 x, bytes32 modelHash, bytes32 yHash, bytes32 workerSeed) external;
    function commitReport(bytes32 jobId, bytes32 commitment) external;
    function commitReportBatch(bytes32 jobId, SignedReport[] calldata reports) external;
    function complainKeys(bytes32 jobId, bool againstUser) external;
    function discloseTest(bytes32 jobId, bytes calldata keys, bytes32 seedHash, bytes32 trainKeyHash) external;
    function discloseModel(bytes32 jobId, bytes32 x, bytes32 y, bytes32 modelHash, bytes32 workerSeed) external;

    function multicall(bytes[] calldata data) external returns (bytes[] memory results);

    function job(bytes32 jobId) external view returns (Job memory);
    function committee(bytes32 jobId, uint8 round) external view returns (Member[] memory);
    function appeals(bytes32 jobId) external view returns (Appeal[] memory);
}

/// @title The half that draws, tallies, judges and pays, and every deadline: what `Trial` implements, at the market's
///        own address.
interface ITrial is IMarketTypes {
    function drawSplit(bytes32 jobId) external;
    function decline(bytes32 jobId) external;
    function revealSeed(
        bytes32 jobId, bytes32 userSeed, bytes32 trainKeyHash, bytes32 testKeyHash, ModelRoot calldata model
    ) external;
    function revealReports(bytes32 jobId, Report[] calldata reports) external;
    function appeal(bytes32 jobId) external;
    function claim(bytes32 jobId, bytes32 y, bytes32 modelHash, bytes32 xHash, bytes32 workerSeed) external;
    function inspectAppeal(bytes32 jobId) external;
    function poke(bytes32 jobId) external;

    function tally(bytes32 jobId, uint8 round) external view returns (Tally memory);

    function token() external view returns (address);
    function freeBalance(address account) external view returns (uint256);
    function burned() external view returns (uint256);
    function total() external view returns (uint256);
    function auditPool() external view returns (uint256);
    function seat(uint32 seat_) external view returns (Seat memory);
    function strikes(uint32 seat_) external view returns (Strikes memory);
    function freeSeats() external view returns (uint256);
    function busySeats() external view returns (uint256);
    function seatCount() external view returns (uint256);
    function nextSeat() external view returns (uint256);
    function freed() external view returns (uint32[] memory);
    function timing() external view returns (Timing memory);
    function seatStake() external view returns (uint96);
}

/// @title Everything that the market's address answers to.
/// @notice Every call on a job passes the same gates in the same order: the state (WrongState; an unknown job is in
///         NONE), the deadline (TooLate, TooEarly), the caller (WrongCaller). Only then its own checks.
interface IMarket is IDesk, ITrial {}
