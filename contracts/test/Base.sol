// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Jobs} from "../src/Jobs.sol";
import {Market} from "../src/Market.sol";
import {MorphwareToken} from "../src/MorphwareToken.sol";
import {Seats} from "../src/Seats.sol";
import {Cheats} from "./Cheats.sol";

/// @notice A market with one user, bidders and validators, the numbers of PROTOCOL.md 5.3 (reserve 100, bids 30 and 40,
///         fee 2, seat stake 70), and a way to bring a job into any state. Every step ends with the conservation check.
abstract contract Base {
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint96 internal constant SUPPLY = 1e27;
    uint96 internal constant PURSE = 10_000; // wei that each account deposits
    uint96 internal constant RESERVE = 100;
    uint96 internal constant FEE = 2;
    uint96 internal constant STAKE = 70;
    uint96 internal constant BOND = RESERVE / 2;
    uint256 internal constant SEATS = 5;
    uint256 internal constant VALIDATORS = 7;

    bytes32 internal constant USER_SEED = "user seed";
    bytes32 internal constant WORKER_SEED = "worker seed";
    bytes32 internal constant Y = "y";
    int64 internal constant GOOD = 950_000;
    int64 internal constant BAD = 850_000;
    int64 internal constant PRINT = 123_456_789;
    int64 internal constant NO_MODEL = type(int64).min;
    int64 internal constant NO_TEST = type(int64).min + 1;

    address internal immutable bank = _named("bank");
    address internal immutable user = _named("user");
    address internal immutable stranger = _named("stranger");
    address[] internal workers;
    address[] internal validators;
    address[] internal accounts;

    MorphwareToken internal token;
    Market internal market;
    bytes32[] internal jobs;
    bytes32 internal jobId;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        token = MorphwareToken(_deploy(abi.encodePacked(vm.getCode("artifacts/MorphwareToken.json"), abi.encode(bank, SUPPLY))));
        market = Market(_deploy(abi.encodePacked(vm.getCode("artifacts/Market.json"), abi.encode(token, STAKE, _timing()))));
        accounts = [user, stranger];
        for (uint256 i = 0; i < 5; ++i) {
            workers.push(_named(string.concat("worker", vm.toString(i))));
            accounts.push(workers[i]);
        }
        for (uint256 i = 0; i < VALIDATORS; ++i) {
            validators.push(_named(string.concat("validator", vm.toString(i))));
            accounts.push(validators[i]);
        }
        for (uint256 i = 0; i < accounts.length; ++i) {
            _fund(accounts[i], PURSE);
        }
        for (uint256 i = 0; i < VALIDATORS; ++i) {
            vm.prank(validators[i]);
            market.stake(1);
        }
        vm.warp(block.timestamp + 1);
        _checkConserved();
    }

    // ---- the scene

    function _timing() internal pure returns (IMarket.Timing memory) {
        return IMarket.Timing({
            revealingSeconds: 11,
            keySeconds: 12,
            ackSeconds: 13,
            disputeSeconds: 14,
            seedSeconds: 15,
            keyingSeconds: 16,
            reportRevealSeconds: 17,
            appealSeconds: 18,
            claimSeconds: 19,
            inspectSeconds: 20,
            unbondingSeconds: 1_000,
            seedBlocks: 2
        });
    }

    function _terms() internal pure returns (IMarket.Terms memory) {
        return IMarket.Terms({
            reserve: RESERVE,
            fee: FEE,
            seats: uint8(SEATS),
            threshold: 900_000,
            tolerance: 1_000,
            fingerprintTolerance: 10_000, // 1e-5
            biddingSeconds: 10,
            trainingSeconds: 60,
            testingSeconds: 30,
            estimatedSeconds: 40,
            trainKeyHash: keccak256("train keys"),
            testKeyHash: keccak256("test keys"),
            seedHash: keccak256(abi.encodePacked(USER_SEED))
        });
    }

    function _named(string memory name) internal pure returns (address) {
        return address(uint160(uint256(keccak256(bytes(name)))));
    }

    function _deploy(bytes memory code) internal returns (address deployed) {
        assembly {
            deployed := create(0, add(code, 32), mload(code))
        }
        vm.assertTrue(deployed != address(0), "artifact did not deploy");
    }

    function _fund(address account, uint96 amount) internal {
        vm.prank(bank);
        token.transfer(account, amount);
        vm.prank(account);
        token.approve(address(market), amount);
        vm.prank(account);
        market.deposit(amount);
    }

    // ---- what must hold after every call

    function _checkConserved() internal view virtual {
        uint256 sum = market.burned() + uint256(market.seatCount()) * STAKE;
        for (uint256 i = 0; i < accounts.length; ++i) {
            sum += market.freeBalance(accounts[i]);
        }
        for (uint256 i = 0; i < jobs.length; ++i) {
            Jobs.Job memory job = market.job(jobs[i]);
            sum += job.held;
            if (job.state == IMarket.State.CLOSED) vm.assertEq(job.held, 0, "a closed job holds nothing");
        }
        vm.assertEq(sum, market.total(), "conservation");
        vm.assertEq(market.total(), token.balanceOf(address(market)), "the books and the token agree");
    }

    /// @dev What an account has won or lost since the start: free balance and stakes against its purse.
    function _net(address account) internal view returns (int256) {
        return int256(market.freeBalance(account) + _seatsOf(account) * STAKE) - int256(uint256(PURSE));
    }

    function _seatsOf(address account) internal view returns (uint256 count) {
        for (uint32 i = 0; i < 64; ++i) {
            if (market.seat(i).owner == account) ++count;
        }
    }

    function _state() internal view returns (IMarket.State) {
        return market.job(jobId).state;
    }

    function _checkState(IMarket.State wanted) internal view {
        vm.assertEq(uint256(_state()), uint256(wanted), "state");
    }

    function _checkClosed(IMarket.Outcome wanted) internal view {
        _checkState(IMarket.State.CLOSED);
        vm.assertEq(uint256(market.job(jobId).outcome), uint256(wanted), "outcome");
        _checkConserved();
    }

    function _checkNet(int256 user_, int256 winner_, int256 burned_) internal view {
        vm.assertEq(_net(user), user_, "user");
        vm.assertEq(_net(workers[0]), winner_, "winner");
        vm.assertEq(int256(market.burned()), burned_, "burned");
        vm.assertEq(int256(uint256(market.job(jobId).burned)), burned_, "burned by the job");
    }

    // ---- single steps

    function _post() internal returns (bytes32) {
        vm.prank(user);
        jobId = market.post(_terms(), "spec");
        jobs.push(jobId);
        _checkConserved();
        return jobId;
    }

    function _opening(uint256 worker, uint96 price, bool isAuthentic) internal view returns (IMarket.Opening memory) {
        return IMarket.Opening({
            bidder: workers[worker],
            price: price,
            isAuthentic: isAuthentic,
            estimatedSeconds: 50,
            salt: keccak256(abi.encodePacked(WORKER_SEED))
        });
    }

    function _bidHash(IMarket.Opening memory opening) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Bid(uint256 chainId,address market,bytes32 jobId,address bidder,uint96 price,bool isAuthentic,uint32 estimatedSeconds,bytes32 salt)"
                ),
                block.chainid,
                address(market),
                jobId,
                opening.bidder,
                opening.price,
                opening.isAuthentic,
                opening.estimatedSeconds,
                opening.salt
            )
        );
    }

    function _commit(IMarket.Opening memory opening) internal {
        vm.prank(opening.bidder);
        market.commit(jobId, _bidHash(opening));
        _checkConserved();
    }

    function _reveal(IMarket.Opening memory opening) internal {
        vm.prank(stranger);
        market.revealBatch(jobId, _one(opening));
        _checkConserved();
    }

    function _one(IMarket.Opening memory opening) internal pure returns (IMarket.Opening[] memory batch) {
        batch = new IMarket.Opening[](1);
        batch[0] = opening;
    }

    function _poke() internal {
        vm.warp(market.job(jobId).deadline);
        vm.prank(stranger);
        market.poke(jobId);
        _checkConserved();
    }

    function _member(uint256 index) internal view returns (address) {
        return market.committee(jobId)[index].validator;
    }

    function _boxes(uint256 count) internal pure returns (bytes[] memory boxes) {
        boxes = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            boxes[i] = new bytes(112);
        }
    }

    function _report(uint256 index, int64 metric, int64 fingerprint) internal view returns (IMarket.Report memory) {
        return IMarket.Report({
            validator: _member(index),
            metric: metric,
            fingerprint: fingerprint,
            predictionRoot: keccak256("root"),
            salt: keccak256(abi.encode("salt", index))
        });
    }

    function _reportHash(IMarket.Report memory report) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Report(uint256 chainId,address market,bytes32 jobId,uint8 round,address validator,int64 metric,int64 fingerprint,bytes32 predictionRoot,bytes32 salt)"
                ),
                block.chainid,
                address(market),
                jobId,
                uint8(0),
                report.validator,
                report.metric,
                report.fingerprint,
                report.predictionRoot,
                report.salt
            )
        );
    }

    function _commitReport(IMarket.Report memory report) internal {
        vm.prank(report.validator);
        market.commitReport(jobId, _reportHash(report));
        _checkConserved();
    }

    function _revealReport(IMarket.Report memory report) internal {
        IMarket.Report[] memory batch = new IMarket.Report[](1);
        batch[0] = report;
        vm.prank(stranger);
        market.revealReports(jobId, batch);
        _checkConserved();
    }

    // ---- from state to state: worker 0 bids 30 and wins at worker 1's 40

    function _toBidding() internal {
        _post();
        _checkState(IMarket.State.BIDDING);
    }

    function _toRevealing() internal {
        _toBidding();
        _commit(_opening(0, 30, true));
        _commit(_opening(1, 40, true));
        _poke();
        _checkState(IMarket.State.REVEALING);
    }

    function _toAwarded() internal {
        _toRevealing();
        _reveal(_opening(0, 30, true));
        _reveal(_opening(1, 40, true));
        _checkState(IMarket.State.AWARDED);
    }

    function _toKeyed() internal {
        _toAwarded();
        vm.prank(user);
        market.postKeys(jobId, new bytes(112));
        _checkConserved();
        _checkState(IMarket.State.KEYED);
    }

    function _toTraining() internal {
        _toKeyed();
        vm.prank(workers[0]);
        market.ack(jobId);
        _checkConserved();
        _checkState(IMarket.State.TRAINING);
    }

    function _toSeed() internal {
        _toTraining();
        vm.prank(workers[0]);
        market.submitModel(
            jobId, keccak256("model"), keccak256("x"), keccak256(abi.encodePacked(Y)), WORKER_SEED, "manifest"
        );
        _checkConserved();
        _checkState(IMarket.State.SEED);
        vm.roll(block.number + 3);
    }

    function _revealSeed() internal {
        vm.prank(user);
        market.revealSeed(jobId, USER_SEED);
        _checkConserved();
    }

    function _toKeying() internal {
        _toSeed();
        _revealSeed();
        _checkState(IMarket.State.KEYING);
    }

    function _postTestKeys() internal {
        uint256 count = market.committee(jobId).length;
        vm.prank(user);
        market.postTestKeys(jobId, _boxes(count));
        _checkConserved();
    }

    function _postModelKeys() internal {
        uint256 count = market.committee(jobId).length;
        vm.prank(workers[0]);
        market.postModelKeys(jobId, _boxes(count));
        _checkConserved();
    }

    function _toVcommit() internal {
        _toKeying();
        _postModelKeys();
        _postTestKeys();
        _checkState(IMarket.State.VCOMMIT);
    }

    /// @dev Commits the given reports (one a member, in order), the rest of the committee stays silent, and opens them.
    function _vote(IMarket.Report[] memory reports) internal {
        for (uint256 i = 0; i < reports.length; ++i) {
            _commitReport(reports[i]);
        }
        if (_state() == IMarket.State.VCOMMIT) _poke();
        for (uint256 i = 0; i < reports.length; ++i) {
            _revealReport(reports[i]);
        }
        if (_state() == IMarket.State.VREVEAL) _poke();
    }

    function _same(int64 metric, uint256 count) internal view returns (IMarket.Report[] memory reports) {
        reports = new IMarket.Report[](count);
        for (uint256 i = 0; i < count; ++i) {
            reports[i] = _report(i, metric, PRINT);
        }
    }

    function _toVreveal() internal {
        _toVcommit();
        IMarket.Report[] memory reports = _same(GOOD, SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            _commitReport(reports[i]);
        }
        _checkState(IMarket.State.VREVEAL);
    }

    function _toTallied(int64 metric) internal {
        _toVcommit();
        _vote(_same(metric, SEATS));
        _checkState(IMarket.State.TALLIED);
    }

    function _toClaimable() internal {
        _toTallied(GOOD);
        _poke();
        _checkState(IMarket.State.CLAIMABLE);
    }

    function _claim() internal {
        vm.prank(stranger);
        market.claim(jobId, Y);
        _checkConserved();
    }

    function _to(IMarket.State state) internal {
        if (state == IMarket.State.BIDDING) _toBidding();
        else if (state == IMarket.State.REVEALING) _toRevealing();
        else if (state == IMarket.State.AWARDED) _toAwarded();
        else if (state == IMarket.State.KEYED) _toKeyed();
        else if (state == IMarket.State.TRAINING) _toTraining();
        else if (state == IMarket.State.SEED) _toSeed();
        else if (state == IMarket.State.KEYING) _toKeying();
        else if (state == IMarket.State.VCOMMIT) _toVcommit();
        else if (state == IMarket.State.VREVEAL) _toVreveal();
        else if (state == IMarket.State.TALLIED) _toTallied(GOOD);
        else if (state == IMarket.State.CLAIMABLE) _toClaimable();
        else revert("no such state in this version");
    }
}
