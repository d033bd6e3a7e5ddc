// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scene} from "./Scene.sol";

/// @notice Single steps of a job, the right arguments for each, and what everybody got in the end. The conservation of
///         money is checked after every one of them.
abstract contract Steps is Scene {
    /// @dev How often a missing key was disclosed while a round tested.
    mapping(bytes32 jobId => mapping(uint8 round => uint8)) internal restarts;

    bytes32 private constant BID_TYPEHASH = keccak256(
        "Bid(uint256 chainId,address market,bytes32 jobId,address bidder,uint96 price,bool isAuthentic,uint32 estimatedSeconds,bytes32 salt)"
    );
    bytes32 private constant REPORT_TYPEHASH = keccak256(
        "Report(uint256 chainId,address market,bytes32 jobId,uint8 round,address validator,int64 metric,int64 fingerprint,bytes32 predictionRoot,bytes32 salt)"
    );

    int64 internal constant GOOD = 950_000;
    int64 internal constant BAD = 850_000;
    int64 internal constant PRINT = 123_456_789;
    int64 internal constant NO_MODEL = type(int64).min;
    int64 internal constant NO_TEST = type(int64).min + 1;

    bytes32 internal jobId;
    /// @dev Who was drawn, by round: a closed job has forgotten it.
    mapping(bytes32 jobId => mapping(uint256 round => address[])) private _drawn;

    // ---- what there is now

    function _state() internal view returns (State) {
        return market.job(jobId).state;
    }

    function _checkState(State wanted) internal view {
        vm.assertEq(uint256(_state()), uint256(wanted), "state");
    }

    function _checkVerdict(Verdict wanted) internal view {
        vm.assertEq(uint256(market.job(jobId).verdict), uint256(wanted), "verdict");
    }

    function _checkClosed(Outcome wanted) internal view {
        _checkState(State.CLOSED);
        vm.assertEq(uint256(market.job(jobId).outcome), uint256(wanted), "outcome");
        _checkConserved();
    }

    function _checkNet(int256 user_, int256 winner_, int256 burned_) internal view {
        vm.assertEq(_net(user), user_, "user");
        vm.assertEq(_net(workers[0]), winner_, "winner");
        vm.assertEq(int256(market.burned()), burned_, "burned");
        vm.assertEq(int256(uint256(market.job(jobId).burned)), burned_, "burned by the job");
    }

    function _checkRound(uint256 round, int256[] memory wanted) internal view {
        for (uint256 i = 0; i < wanted.length; ++i) {
            vm.assertEq(_net(_member(round, i)), wanted[i], string.concat("validator ", vm.toString(i)));
        }
    }

    function _all(int256 each) internal pure returns (int256[] memory wanted) {
        return _each(SEATS, each);
    }

    function _each(uint256 count, int256 each) internal pure returns (int256[] memory wanted) {
        wanted = new int256[](count);
        for (uint256 i = 0; i < count; ++i) {
            wanted[i] = each;
        }
    }

    /// @dev The size of the committee that was drawn last.
    function _size() internal view returns (uint256) {
        return _drawn[jobId][market.job(jobId).round].length;
    }

    /// @dev A member of the committee that was drawn last.
    function _member(uint256 index) internal view returns (address) {
        return _member(market.job(jobId).round, index);
    }

    function _member(uint256 round, uint256 index) internal view returns (address) {
        return _drawn[jobId][round][index];
    }

    /// @dev The number of a member's seat; each validator has one.
    function _seat(uint256 index) internal view returns (uint32) {
        return _seatOf(_member(index));
    }

    function _seatOf(address account) internal view returns (uint32 number) {
        while (market.seat(number).owner != account) ++number;
    }

    function _noteCommittee() internal {
        uint8 round = market.job(jobId).round;
        Member[] memory members = market.committee(jobId, round);
        for (uint256 i = _drawn[jobId][round].length; i < members.length; ++i) {
            _drawn[jobId][round].push(members[i].validator);
        }
    }

    // ---- posting and bids

    function _post() internal returns (bytes32) {
        vm.prank(user);
        jobId = market.post(_terms(), "spec");
        jobs.push(jobId);
        _checkConserved();
        return jobId;
    }

    function _opening(uint256 worker, uint96 price, bool isAuthentic) internal view returns (Opening memory) {
        return Opening({
            bidder: workers[worker],
            price: price * unit,
            isAuthentic: isAuthentic,
            estimatedSeconds: 50,
            salt: keccak256(abi.encode(WORKER_SEED))
        });
    }

    function _bidHash(Opening memory opening) internal view returns (bytes32) {
        return keccak256(abi.encode(BID_TYPEHASH, block.chainid, address(market), jobId, opening));
    }

    function _commit(Opening memory opening) internal {
        vm.prank(opening.bidder);
        market.commit(jobId, _bidHash(opening));
        _checkConserved();
    }

    function _reveal(Opening memory opening) internal {
        vm.prank(stranger);
        market.revealBatch(jobId, _one(opening));
        _checkConserved();
    }

    function _one(Opening memory opening) internal pure returns (Opening[] memory batch) {
        batch = new Opening[](1);
        batch[0] = opening;
    }

    function _poke() internal {
        uint40 deadline = market.job(jobId).deadline;
        if (block.timestamp < deadline) vm.warp(deadline);
        if (_state() == State.DRAWING) vm.roll(market.job(jobId).drawBlock + 1);
        vm.prank(stranger);
        market.poke(jobId);
        _noteCommittee();
        _checkConserved();
    }

    // ---- keys and the model

    function _postKeys() internal {
        vm.prank(user);
        market.postKeys(jobId, new bytes(112));
        _checkConserved();
    }

    function _complainKey() internal {
        vm.prank(workers[0]);
        market.complainKey(jobId);
        _checkConserved();
    }

    function _discloseKey() internal {
        vm.prank(user);
        market.discloseKey(jobId, TRAIN_KEYS, keccak256(abi.encode(userSeed)), keccak256(TEST_KEYS));
        _checkConserved();
    }

    function _ack() internal {
        vm.prank(workers[0]);
        market.ack(jobId);
        _checkConserved();
    }

    function _model() internal pure returns (ModelRoot memory) {
        return ModelRoot(MODEL_HASH, keccak256(abi.encode(X)), keccak256(abi.encode(Y)), WORKER_SEED);
    }

    function _modelRoot(ModelRoot memory model) internal pure returns (bytes32) {
        return keccak256(abi.encode(model));
    }

    function _submitModel() internal {
        ModelRoot memory model = _model();
        vm.prank(workers[0]);
        market.submitModel(jobId, model.modelHash, model.xHash, model.yHash, WORKER_SEED, "manifest");
        _checkConserved();
    }

    /// @dev How the market refuses secrets that are not the job's: they give a job of another name.
    function _wrongSecrets(bytes32 seed, bytes memory trainKeys, bytes memory testKeys)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typeHash = keccak256("Job(uint256 chainId,address market,address user,bytes32 secrets)");
        bytes32 secrets =
            keccak256(abi.encode(keccak256(abi.encode(seed)), keccak256(trainKeys), keccak256(testKeys)));
        bytes32 actual = keccak256(abi.encode(typeHash, block.chainid, address(market), user, secrets));
        return abi.encodeWithSelector(WrongPreimage.selector, jobId, actual);
    }

    function _revealSeed() internal {
        vm.prank(user);
        market.revealSeed(jobId, userSeed, trainKeyHash, testKeyHash, _model());
        _noteCommittee();
        _checkConserved();
    }

    function _postTestKeys() internal {
        bytes[] memory boxes = _boxes(_size());
        vm.prank(user);
        market.postTestKeys(jobId, boxes);
        _checkConserved();
    }

    function _postModelKeys() internal {
        bytes[] memory boxes = _boxes(_size());
        vm.prank(workers[0]);
        market.postModelKeys(jobId, boxes);
        _checkConserved();
    }

    function _boxes(uint256 count) internal pure returns (bytes[] memory boxes) {
        boxes = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            boxes[i] = new bytes(112);
        }
    }

    function _complainX() internal {
        vm.prank(user);
        market.complainX(jobId);
        _checkConserved();
    }

    function _discloseX() internal {
        vm.prank(workers[0]);
        market.discloseX(jobId, X, MODEL_HASH, keccak256(abi.encode(Y)), WORKER_SEED);
        _checkConserved();
    }

    function _complainKeys(uint256 index, bool againstUser) internal {
        vm.prank(_member(index));
        market.complainKeys(jobId, againstUser);
        _checkConserved();
    }

    function _discloseTest() internal {
        ++restarts[jobId][market.job(jobId).round];
        vm.prank(stranger);
        market.discloseTest(jobId, TEST_KEYS, keccak256(abi.encode(userSeed)), keccak256(TRAIN_KEYS));
        _checkConserved();
    }

    function _discloseModel() internal {
        ++restarts[jobId][market.job(jobId).round];
        vm.prank(stranger);
        market.discloseModel(jobId, X, Y, MODEL_HASH, WORKER_SEED);
        _checkConserved();
    }

    // ---- reports

    function _report(uint256 index, int64 metric, int64 fingerprint) internal view returns (Report memory) {
        return Report({
            validator: _member(index),
            metric: metric,
            fingerprint: fingerprint,
            predictionRoot: keccak256("root"),
            salt: keccak256(abi.encode("salt", index))
        });
    }

    function _reportHash(Report memory report) internal view returns (bytes32) {
        uint8 round = market.job(jobId).round;
        return keccak256(abi.encode(REPORT_TYPEHASH, block.chainid, address(market), jobId, round, report));
    }

    function _commitReport(Report memory report) internal {
        bytes32 commitment = _reportHash(report);
        vm.prank(report.validator);
        market.commitReport(jobId, commitment);
        _checkConserved();
    }

    function _revealReport(Report memory report) internal {
        Report[] memory batch = new Report[](1);
        batch[0] = report;
        vm.prank(stranger);
        market.revealReports(jobId, batch);
        _checkConserved();
    }

    /// @dev The first `count` members of the committee find the same.
    function _same(int64 metric, uint256 count) internal view returns (Report[] memory reports) {
        reports = new Report[](count);
        for (uint256 i = 0; i < count; ++i) {
            reports[i] = _report(i, metric, PRINT);
        }
    }

    /// @dev Commits the given reports, the rest of the committee stays silent, and opens them in one batch.
    function _vote(Report[] memory reports) internal {
        for (uint256 i = 0; i < reports.length; ++i) {
            _commitReport(reports[i]);
        }
        if (_state() == State.VCOMMIT) _poke();
        if (reports.length == 0) return;
        vm.prank(stranger);
        market.revealReports(jobId, reports);
        _checkConserved();
        if (_state() == State.VREVEAL) _poke();
    }

    // ---- after the verdict

    function _appeal(address appellant) internal {
        vm.prank(appellant);
        market.appeal(jobId);
        _checkConserved();
    }

    function _inspectAppeal() internal {
        vm.prank(user);
        market.inspectAppeal(jobId);
        _checkConserved();
    }

    function _claim() internal {
        vm.prank(stranger);
        market.claim(jobId, Y, MODEL_HASH, keccak256(abi.encode(X)), WORKER_SEED);
        _checkConserved();
    }
}
