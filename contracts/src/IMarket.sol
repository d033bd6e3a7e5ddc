// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What the market promises: its nouns, its calls, its events and its refusals.
/// @notice Money is wei of the Morphware token and fits 96 bits. Time is seconds. An action is valid iff
///         `block.timestamp < deadline`; `poke` is valid iff `block.timestamp >= deadline`.
interface IMarket {
    enum State {
        NONE, BIDDING, REVEALING, AWARDED, KEYED, KEY_DISPUTE, TRAINING, SEED, KEYING, X_DISPUTE, VCOMMIT, DISCLOSE,
        VREVEAL, TALLIED, DRAWING, CLAIMABLE, INSPECT, CLOSED
    }

    enum Outcome { NONE, CANCELLED, NO_BIDS, USER_FAULT, WORKER_FAULT, MUTUAL_ABORT, PAID, REJECTED, INCONCLUSIVE }

    enum Verdict { NONE, PASS, FAIL, NO_MODEL, NO_TEST }

    /// @notice What a job promises. Metrics are millionths, higher is better.
    struct Terms {
        uint96 reserve; // wei; the bid bond and the user's bond are half of it each
        uint96 fee; // wei per report
        uint8 seats; // committee size, odd
        int64 threshold; // millionths
        uint64 tolerance; // millionths: reports this near to the median are coherent
        uint64 fingerprintTolerance; // billionths of the reference fingerprint
        uint32 biddingSeconds;
        uint32 trainingSeconds; // the most that a bid may ask for
        uint32 testingSeconds;
        uint32 estimatedSeconds; // the user's estimate of the training's run time
        bytes32 trainKeyHash; // keccak256(training key . code key), 64 bytes, for the winner
        bytes32 testKeyHash; // keccak256(testing key . code key), 64 bytes, for the committee
        bytes32 seedHash; // keccak256(user's 32-byte share of the committee seed)
    }

    /// @notice The preimage of a bid. `salt` is keccak256 of the bidder's 32-byte share of the committee seed.
    struct Opening {
        address bidder;
        uint96 price;
        bool isAuthentic;
        uint32 estimatedSeconds;
        bytes32 salt;
    }

    /// @notice The preimage of a report. A metric of type(int64).min means NO_MODEL, one above it NO_TEST.
    struct Report {
        address validator;
        int64 metric; // millionths
        int64 fingerprint; // billionths
        bytes32 predictionRoot;
        bytes32 salt;
    }

    /// @notice How long a party has in each state, in seconds; the states whose time the job itself sets are not here.
    struct Timing {
        uint32 revealingSeconds; // REVEALING: bidders and anybody open bids
        uint32 keySeconds; // AWARDED: the user hands over the training keys
        uint32 ackSeconds; // KEYED: the winner looks at the data
        uint32 disputeSeconds; // KEY_DISPUTE, X_DISPUTE, DISCLOSE: the accused discloses (a later version)
        uint32 seedSeconds; // SEED: the user reveals its share of the committee's seed
        uint32 keyingSeconds; // KEYING: both parties hand the committee their keys
        uint32 reportRevealSeconds; // VREVEAL: validators and anybody open reports
        uint32 appealSeconds; // TALLIED: anybody may appeal (a later version)
        uint32 claimSeconds; // CLAIMABLE: the worker publishes y
        uint32 inspectSeconds; // INSPECT: the user tests the model itself (a later version)
        uint32 unbondingSeconds; // a leaving seat waits for its stake
        uint32 seedBlocks; // blocks, not seconds: from the model's to the one whose hash goes into the seed
    }

    event Deposited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);
    event SeatsStaked(address indexed account, uint32 firstSeat, uint32 count);
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
    event KeysPosted(bytes32 indexed jobId, bytes box);
    event ModelSubmitted(
        bytes32 indexed jobId, bytes32 modelHash, bytes32 xHash, bytes32 yHash, bytes32 workerSeed, uint64 seedBlock,
        bytes model
    );
    event CommitteeDrawn(bytes32 indexed jobId, uint8 round, bytes32 seed, address[] validators);
    event TestKeysPosted(bytes32 indexed jobId, bytes[] boxes);
    event ModelKeysPosted(bytes32 indexed jobId, bytes[] boxes);
    event ReportCommitted(bytes32 indexed jobId, uint8 round, address indexed validator, bytes32 commitment);
    event ReportRevealed(
        bytes32 indexed jobId, uint8 round, address indexed validator, int64 metric, int64 fingerprint,
        bytes32 predictionRoot
    );
    event RoundTallied(bytes32 indexed jobId, uint8 round, Verdict verdict, int64 metric, int64 fingerprint);
    event Claimed(bytes32 indexed jobId, bytes32 y);
    event SeatSettled(bytes32 indexed jobId, address indexed validator, uint96 fee, uint96 slash);
    event JobClosed(bytes32 indexed jobId, Outcome outcome, address winner, uint96 price, uint96 burned);

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
    error AlreadyBid(uint256 commitments);
    error NotOnCommittee(address account);
    error AlreadyDone(bytes32 jobId, address account);
    error WrongBoxCount(uint256 actual, uint256 wanted);
    error BoxTooLarge(uint256 actual, uint256 most);
    error SeedBlockPending(uint256 seedBlock, uint256 current);
    error SeatNotYours(uint32 seat, address owner);
    error SeatBusy(uint32 seat);
    error SeatBonding(uint32 seat, uint256 freeAt);
    error SeatNotLeaving(uint32 seat);

    function deposit(uint96 amount) external;
    function depositWithPermit(uint96 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    function withdraw(uint96 amount) external;
    function stake(uint16 count) external;
    function requestUnstake(uint32 seat) external;
    function unstake(uint32 seat) external;
    function publishNode(bytes32 encryptionKey, bytes32 peerKey, string[] calldata addresses) external;

    function post(Terms calldata terms, bytes calldata spec) external returns (bytes32 jobId);
    function cancel(bytes32 jobId) external;
    function commit(bytes32 jobId, bytes32 commitment) external;
    function revealBatch(bytes32 jobId, Opening[] calldata openings) external;
    function postKeys(bytes32 jobId, bytes calldata box) external;
    function ack(bytes32 jobId) external;
    function decline(bytes32 jobId) external;
    function submitModel(
        bytes32 jobId, bytes32 modelHash, bytes32 xHash, bytes32 yHash, bytes32 workerSeed, bytes calldata model
    ) external;
    function revealSeed(bytes32 jobId, bytes32 userSeed) external;
    function postTestKeys(bytes32 jobId, bytes[] calldata boxes) external;
    function postModelKeys(bytes32 jobId, bytes[] calldata boxes) external;
    function commitReport(bytes32 jobId, bytes32 commitment) external;
    function revealReports(bytes32 jobId, Report[] calldata reports) external;
    function claim(bytes32 jobId, bytes32 y) external;
    function poke(bytes32 jobId) external;
}
