// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Jobs} from "../src/Jobs.sol";
import {Base} from "./Base.sol";

/// @notice Model commitment, seed, draw, keys, reports, tally (PROTOCOL.md 2).
contract CommitteeTest is Base {
    // ---- model and seed

    function test_TheModelComesWithTheSeedShareThatTheBidCommittedTo() public {
        _toTraining();
        bytes32 salt = keccak256(abi.encodePacked(WORKER_SEED));
        bytes32 wrong = keccak256(abi.encodePacked(bytes32("another")));
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongPreimage.selector, salt, wrong));
        market.submitModel(jobId, "m", "x", "y", "another", "");
    }

    function test_AManifestIsBounded() public {
        _toTraining();
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BoxTooLarge.selector, 8193, 8192));
        market.submitModel(jobId, "m", "x", "y", WORKER_SEED, new bytes(8193));
    }

    function test_TheSeedWaitsForItsBlock() public {
        _toTraining();
        vm.prank(workers[0]);
        market.submitModel(jobId, "m", "x", "y", WORKER_SEED, "");
        uint256 seedBlock = block.number + 2;
        vm.assertEq(market.job(jobId).seedBlock, seedBlock);
        vm.roll(seedBlock);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.SeedBlockPending.selector, seedBlock, seedBlock));
        market.revealSeed(jobId, USER_SEED);
        vm.roll(seedBlock + 1);
        _revealSeed();
        _checkState(IMarket.State.KEYING);
    }

    function test_AnotherSeedThanTheCommittedIsRefused() public {
        _toSeed();
        vm.prank(user);
        vm.expectPartialRevert(IMarket.WrongPreimage.selector);
        market.revealSeed(jobId, "another");
    }

    /// @dev The seed's block is the same one for 256 blocks, and then the next at that distance: never an unknown hash.
    function testFuzz_ALateSeedStillHasABlockHash(uint16 wait) public {
        _toSeed();
        uint256 seedBlock = market.job(jobId).seedBlock;
        uint256 now_ = seedBlock + 1 + (uint256(wait) % 1_000);
        vm.roll(now_);
        uint256 used = seedBlock;
        while (used + 256 < now_) used += 256;
        bytes32 hash = blockhash(used);
        vm.assertTrue(hash != 0, "the EVM knows this hash");
        bytes32 seed = keccak256(abi.encode(USER_SEED, WORKER_SEED, hash, jobId));
        address[] memory wanted = _mirror(seed);
        vm.expectEmit(true, false, false, true, address(market));
        emit IMarket.CommitteeDrawn(jobId, 0, seed, wanted);
        vm.prank(user);
        market.revealSeed(jobId, USER_SEED);
    }

    /// @dev The rule of the draw in memory, without the cleverness of doing it in storage.
    function _mirror(bytes32 seed) private view returns (address[] memory drawn) {
        uint32[] memory list = market.freeList();
        Jobs.Job memory job = market.job(jobId);
        address[] memory found = new address[](job.seats);
        uint256 length = list.length;
        uint256 n = length;
        uint256 count;
        for (uint256 i = 0; i < 256 && count < job.seats && n > 0; ++i) {
            uint256 j = uint256(keccak256(abi.encode(seed, uint8(0), i))) % n;
            uint32 id = list[j];
            address owner = market.seat(id).owner;
            bool isEligible = market.seat(id).since < job.postedAt && owner != job.user && owner != job.winner;
            for (uint256 p = 0; p < count; ++p) {
                if (found[p] == owner) isEligible = false;
            }
            if (isEligible) {
                found[count++] = owner;
                list[j] = list[n - 1];
                list[n - 1] = list[--length];
            } else {
                list[j] = list[n - 1];
                list[n - 1] = id;
            }
            --n;
        }
        if (count != 0 && count % 2 == 0) --count;
        drawn = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            drawn[i] = found[i];
        }
    }

    // ---- draw

    function _stake(address account, uint16 count) private {
        vm.prank(account);
        market.stake(count);
        vm.warp(block.timestamp + 1);
    }

    function test_NoPartyAndNobodyTwiceSitsOnACommittee() public {
        _stake(user, 20);
        _stake(workers[0], 20);
        _stake(validators[0], 20);
        _toKeying();
        Jobs.Member[] memory members = market.committee(jobId);
        vm.assertEq(members.length, SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.assertTrue(members[i].validator != user && members[i].validator != workers[0], "I20");
            vm.assertEq(market.seat(members[i].seat).owner, members[i].validator);
            vm.assertTrue(market.seat(members[i].seat).isBusy, "held");
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(members[i].validator != members[j].validator, "I20");
            }
        }
        vm.assertEq(market.freeSeats(), VALIDATORS + 60 - SEATS);
    }

    function test_SeatsStakedInTheSecondOfThePostingDoNotServe() public {
        for (uint256 i = 0; i < VALIDATORS - 2; ++i) {
            vm.prank(validators[i]);
            market.requestUnstake(uint32(i));
        }
        vm.prank(stranger);
        market.stake(20); // in the same second as the posting
        _toKeying();
        Jobs.Member[] memory members = market.committee(jobId);
        vm.assertEq(members.length, 1, "two are eligible, and the largest odd number of two is one");
        vm.assertTrue(members[0].validator != stranger, "staked too late");
        vm.assertEq(market.freeSeats(), 21);
    }

    function test_WithoutAnyEligibleSeatTheJobIsInconclusive() public {
        for (uint256 i = 0; i < VALIDATORS; ++i) {
            vm.prank(validators[i]);
            market.requestUnstake(uint32(i));
        }
        _stake(user, 5);
        _toSeed();
        _revealSeed();
        _checkClosed(IMarket.Outcome.INCONCLUSIVE);
        _checkNet(0, 0, 0);
        vm.assertEq(market.freeSeats(), 5);
    }

    function test_ABusySeatIsNotDrawnAgain() public {
        _toKeying();
        vm.assertEq(market.freeSeats(), 2);
        IMarket.Terms memory terms = _terms();
        terms.seedHash = keccak256("second");
        (terms.seats, terms.reserve) = (3, 70);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotEnoughSeats.selector, 2, 3));
        market.post(terms, "");
    }

    function testFuzz_ADrawTakesSeatsOutOfTheFreeListAndNothingElse(uint32 height, uint8 extra) public {
        vm.roll(1_000 + uint256(height)); // another block, another hash, another draw
        for (uint256 i = 0; i < VALIDATORS; ++i) {
            _stake(validators[i], uint16(1 + (uint256(extra) + i) % 4));
        }
        uint256 before = market.freeSeats();
        _toSeed();
        bytes32 seed = keccak256(abi.encode(USER_SEED, WORKER_SEED, blockhash(market.job(jobId).seedBlock), jobId));
        address[] memory wanted = _mirror(seed);
        _revealSeed();
        uint32[] memory free = market.freeList();
        vm.assertEq(free.length, before - SEATS);
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.assertEq(_member(i), wanted[i]);
        }
        for (uint256 i = 0; i < free.length; ++i) {
            vm.assertTrue(!market.seat(free[i]).isBusy, "a free seat is not busy");
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(free[i] != free[j], "a seat is in the list once");
            }
        }
    }

    // ---- keys

    function test_ThereIsOneBoundedBoxForEachSeat() public {
        _toKeying();
        bytes[] memory boxes = _boxes(SEATS);
        boxes[4] = new bytes(513);
        for (uint256 side = 0; side < 2; ++side) {
            address caller = side == 0 ? user : workers[0];
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(IMarket.WrongBoxCount.selector, 4, 5));
            side == 0 ? market.postTestKeys(jobId, _boxes(4)) : market.postModelKeys(jobId, _boxes(4));
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(IMarket.BoxTooLarge.selector, 513, 512));
            side == 0 ? market.postTestKeys(jobId, boxes) : market.postModelKeys(jobId, boxes);
        }
    }

    function test_TheWinnersBoxIsBounded() public {
        _toAwarded();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BoxTooLarge.selector, 513, 512));
        market.postKeys(jobId, new bytes(513));
        vm.prank(user);
        market.postKeys(jobId, new bytes(512));
    }

    function test_KeysAreHandedOverOnceInEitherOrder() public {
        for (uint256 first = 0; first < 2; ++first) {
            uint256 before = vm.snapshotState();
            _toKeying();
            first == 0 ? _postTestKeys() : _postModelKeys();
            address caller = first == 0 ? user : workers[0];
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(IMarket.AlreadyDone.selector, jobId, caller));
            first == 0 ? market.postTestKeys(jobId, _boxes(5)) : market.postModelKeys(jobId, _boxes(5));
            first == 0 ? _postModelKeys() : _postTestKeys();
            _checkState(IMarket.State.VCOMMIT);
            vm.revertToState(before);
        }
    }

    // ---- reports

    function test_AValidatorReportsOnce() public {
        _toVcommit();
        _commitReport(_report(0, GOOD, PRINT));
        address member = _member(0);
        vm.prank(member);
        vm.expectRevert(abi.encodeWithSelector(IMarket.AlreadyDone.selector, jobId, member));
        market.commitReport(jobId, "another");
    }

    function test_AnEmptyCommitmentCountsOnceToo() public {
        _toVcommit();
        address member = _member(0);
        vm.prank(member);
        market.commitReport(jobId, 0);
        vm.prank(member);
        vm.expectRevert(abi.encodeWithSelector(IMarket.AlreadyDone.selector, jobId, member));
        market.commitReport(jobId, 0);
        vm.assertEq(market.job(jobId).committed, 1);
    }

    function test_AReportIsOpenedByItsPreimageOnlyAndOnlyOnce() public {
        _toVreveal();
        IMarket.Report memory wrong = _report(0, GOOD + 1, PRINT);
        IMarket.Report[] memory batch = new IMarket.Report[](2);
        batch[0] = _report(1, GOOD, PRINT);
        batch[1] = wrong;
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownCommitment.selector, _reportHash(wrong)));
        market.revealReports(jobId, batch);
        vm.assertEq(market.job(jobId).revealed, 0);
        batch[1] = batch[0];
        market.revealReports(jobId, batch);
        market.revealReports(jobId, batch);
        vm.assertEq(market.job(jobId).revealed, 1);
    }

    function test_ACopiedReportCommitmentCannotBeOpened() public {
        _toVcommit();
        IMarket.Report memory original = _report(0, GOOD, PRINT);
        _commitReport(original);
        bytes32 hash = _reportHash(original);
        address copier = _member(1);
        vm.prank(copier);
        market.commitReport(jobId, hash);
        _poke();
        IMarket.Report memory copy = _report(0, GOOD, PRINT);
        copy.validator = copier;
        IMarket.Report[] memory batch = new IMarket.Report[](1);
        batch[0] = copy;
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownCommitment.selector, _reportHash(copy)));
        market.revealReports(jobId, batch);
    }

    function test_ASeatThatCommittedAndDoesNotOpenIsSilent() public {
        _toVreveal();
        for (uint256 i = 0; i < 4; ++i) {
            _revealReport(_report(i, GOOD, PRINT));
        }
        _checkState(IMarket.State.VREVEAL);
        _poke();
        _checkState(IMarket.State.TALLIED);
        _poke();
        _claim();
        vm.assertEq(_net(_member(4)), -14, "slashed");
    }

    // ---- tally

    function _voteMetrics(int64[5] memory metrics) private {
        _toVcommit();
        IMarket.Report[] memory reports = new IMarket.Report[](5);
        for (uint256 i = 0; i < 5; ++i) {
            reports[i] = _report(i, metrics[i], PRINT + int64(int256(i)));
        }
        _vote(reports);
    }

    function _checkVerdict(IMarket.Verdict verdict, int64 metric) private view {
        Jobs.Job memory job = market.job(jobId);
        vm.assertEq(uint256(job.verdict), uint256(verdict), "verdict");
        vm.assertEq(job.metric, metric, "metric");
    }

    function test_TheVerdictIsTheMedianAgainstTheThreshold() public {
        _voteMetrics([int64(1_000_000), 900_000, 0, 999_999, 1]);
        _checkVerdict(IMarket.Verdict.PASS, 900_000);
    }

    function test_OneMillionthBelowTheThresholdFails() public {
        _voteMetrics([int64(1_000_000), 899_999, 0, 999_999, 1]);
        _checkVerdict(IMarket.Verdict.FAIL, 899_999);
    }

    function test_TheMedianOfAnEvenNumberIsTheLower() public {
        _voteMetrics([int64(1_000_000), 899_999, 900_000, 0, NO_TEST]);
        _checkVerdict(IMarket.Verdict.FAIL, 899_999);
    }

    function test_AMinorityOfCodesDoesNotDecide() public {
        _voteMetrics([NO_MODEL, NO_MODEL, GOOD, NO_TEST, NO_TEST]);
        _checkVerdict(IMarket.Verdict.PASS, GOOD);
        _poke();
        _claim();
        vm.assertEq(_net(_member(0)), 0, "5.6, defect 3: across kinds nobody is slashed, and nobody paid");
        vm.assertEq(_net(_member(2)), 2, "the one that measured");
    }

    function test_AMajorityOfACodeDecides() public {
        _voteMetrics([NO_MODEL, NO_MODEL, GOOD, NO_MODEL, NO_TEST]);
        _checkVerdict(IMarket.Verdict.NO_MODEL, 0);
        _poke();
        vm.assertEq(_net(_member(0)), 2, "its code is the verdict");
        vm.assertEq(_net(_member(2)), 0, "neutral");
        vm.assertEq(_net(_member(4)), 0, "neutral");
    }

    function test_CodesWithoutAMajorityAndNoMetricEndInconclusive() public {
        _toVcommit();
        IMarket.Report[] memory reports = new IMarket.Report[](4);
        for (uint256 i = 0; i < 4; ++i) {
            reports[i] = _report(i, i < 2 ? NO_MODEL : NO_TEST, 0);
        }
        _vote(reports);
        _checkClosed(IMarket.Outcome.INCONCLUSIVE);
        _checkNet(0, 14, 0);
    }

    function test_CoherenceIsWithinBothTolerancesAtTheirEdges() public {
        _toVcommit();
        IMarket.Report[] memory reports = _same(GOOD, 5);
        int64 slack = PRINT / 100_000 + 1_000; // 1e-5 of the reference and 1,000 billionths
        reports[0].metric = GOOD + 1_000;
        reports[1].metric = GOOD + 1_001;
        reports[3].fingerprint = PRINT - slack;
        reports[4].fingerprint = PRINT - slack - 1;
        _vote(reports);
        _poke();
        _claim();
        int256[5] memory wanted = [int256(2), 0, 2, 2, 0];
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(_net(_member(i)), wanted[i], vm.toString(i));
        }
    }

    /// @dev The far ends of 64 bits neither overflow nor stop the settlement.
    function testFuzz_AnyNumbersSettle(int64[5] memory metrics, int64[5] memory prints, uint64 tolerance, uint64 share)
        public
    {
        IMarket.Terms memory terms = _terms();
        (terms.tolerance, terms.fingerprintTolerance) = (tolerance, share);
        terms.threshold = metrics[4];
        vm.prank(user);
        jobId = market.post(terms, "");
        jobs.push(jobId);
        _commit(_opening(0, 30, true));
        _poke();
        _reveal(_opening(0, 30, true));
        vm.prank(user);
        market.postKeys(jobId, "");
        vm.prank(workers[0]);
        market.ack(jobId);
        vm.prank(workers[0]);
        market.submitModel(jobId, "m", "x", keccak256(abi.encodePacked(Y)), WORKER_SEED, "");
        vm.roll(block.number + 3);
        _revealSeed();
        _postModelKeys();
        _postTestKeys();
        IMarket.Report[] memory reports = new IMarket.Report[](5);
        for (uint256 i = 0; i < 5; ++i) {
            reports[i] = _report(i, metrics[i], prints[i]);
        }
        _vote(reports);
        if (_state() == IMarket.State.TALLIED) _poke();
        if (_state() == IMarket.State.CLAIMABLE) _claim();
        _checkState(IMarket.State.CLOSED);
        _checkConserved();
    }

    // ---- claim

    function test_OnlyThePreimageClaims() public {
        _toClaimable();
        vm.expectRevert(
            abi.encodeWithSelector(
                IMarket.WrongPreimage.selector, keccak256(abi.encodePacked(Y)), keccak256(abi.encodePacked(bytes32("z")))
            )
        );
        market.claim(jobId, "z");
    }
}
