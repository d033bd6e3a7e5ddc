// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice Reports, tally, coherence (PROTOCOL.md 2.3, 2.4).
contract ReportsTest is Base {
    // ---- reports

    function test_AValidatorReportsOnce() public {
        _toVcommit();
        _commitReport(_report(0, GOOD, PRINT));
        address member = _member(0);
        vm.prank(member);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, jobId, member));
        market.commitReport(jobId, "another");
    }

    function test_AnEmptyReportCommitmentIsRefused() public {
        _toVcommit();
        vm.prank(_member(0));
        vm.expectRevert(abi.encodeWithSelector(BadTerms.selector, "commitment"));
        market.commitReport(jobId, 0);
    }

    function test_AReportIsOpenedByItsPreimageOnlyAndOnlyOnce() public {
        _toVreveal();
        Report[] memory batch = new Report[](3);
        batch[0] = _report(0, GOOD + 1, PRINT); // passed over, as is the copy
        batch[1] = batch[2] = _report(1, GOOD, PRINT);
        market.revealReports(jobId, batch);
        Member[] memory members = market.committee(jobId, 0);
        vm.assertTrue(!members[0].isRevealed && members[1].isRevealed && !members[2].isRevealed, "one");
        vm.assertEq(members[1].metric, GOOD, "metric");
        vm.assertEq(members[1].fingerprint, PRINT, "fingerprint");
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, _reportHash(batch[0])));
        market.revealReports(jobId, batch);
    }

    function test_ABatchOfReportsIsBounded() public {
        _toVreveal();
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 65, 64));
        market.revealReports(jobId, new Report[](65));
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, bytes32(0)));
        market.revealReports(jobId, new Report[](0));
    }

    /// @dev Whatever a validator commits to, it is sealed: nothing that looks like an opened report counts as one.
    function testFuzz_ACommitmentIsNeverAReport(bytes32 commitment) public {
        _toVcommit();
        if (commitment == 0) commitment = bytes32(uint256(2)); // an opened report's mark
        address member = _member(0);
        vm.prank(member);
        market.commitReport(jobId, commitment);
        Member memory seen = market.committee(jobId, 0)[0];
        vm.assertTrue(seen.isCommitted && !seen.isRevealed, "sealed");
    }

    /// @dev I24: a report of one round opens in no other.
    function test_AReportIsForOneRound() public {
        _toVcommit();
        Report memory early = _report(0, GOOD, PRINT);
        bytes32 hash = _reportHash(early);
        _vote(_same(GOOD, SEATS));
        _appeal(stranger);
        _poke();
        early.validator = _member(0);
        vm.prank(early.validator);
        market.commitReport(jobId, hash);
        _poke();
        Report[] memory batch = new Report[](1);
        batch[0] = early;
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, _reportHash(early)));
        market.revealReports(jobId, batch);
    }

    function test_ACopiedReportCommitmentCannotBeOpened() public {
        _toVcommit();
        Report memory original = _report(0, GOOD, PRINT);
        _commitReport(original);
        bytes32 hash = _reportHash(original);
        address copier = _member(1);
        vm.prank(copier);
        market.commitReport(jobId, hash);
        _poke();
        Report memory copy = _report(0, GOOD, PRINT);
        copy.validator = copier;
        Report[] memory batch = new Report[](1);
        batch[0] = copy;
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, _reportHash(copy)));
        market.revealReports(jobId, batch);
    }

    function test_AReportIsItsOwnersThoughACopierSitsBeforeIt() public {
        _toVcommit();
        bytes32 copied = _reportHash(_report(1, GOOD, PRINT));
        vm.prank(_member(0));
        market.commitReport(jobId, copied);
        for (uint256 i = 1; i < SEATS; ++i) {
            _commitReport(_report(i, GOOD, PRINT));
        }
        for (uint256 i = 1; i < SEATS; ++i) {
            _revealReport(_report(i, GOOD, PRINT));
        }
        _poke();
        _poke();
        _claim();
        _poke();
        vm.assertEq(_net(_member(0)), -14, "the copier opened nothing");
        vm.assertEq(_net(_member(1)), 2, "the owner reported");
    }

    function test_ASeatThatCommittedAndDoesNotOpenIsSilent() public {
        _toVreveal();
        for (uint256 i = 0; i < 4; ++i) {
            _revealReport(_report(i, GOOD, PRINT));
        }
        _checkState(State.VREVEAL);
        _poke();
        _checkState(State.TALLIED);
        _poke();
        _claim();
        _poke();
        vm.assertEq(_net(_member(4)), -14, "slashed");
    }

    // ---- tally

    function _voteMetrics(int64[5] memory metrics) private {
        _toVcommit();
        Report[] memory reports = new Report[](5);
        for (uint256 i = 0; i < 5; ++i) {
            reports[i] = _report(i, metrics[i], PRINT + int64(int256(i)));
        }
        _vote(reports);
    }

    function _checkTally(Verdict verdict, int64 metric) private view {
        _checkVerdict(verdict);
        Tally memory found = market.tally(jobId, 0);
        vm.assertEq(uint256(found.verdict), uint256(verdict), "found");
        vm.assertEq(found.metric, metric, "metric");
    }

    function test_TheVerdictIsTheMedianAgainstTheThreshold() public {
        _voteMetrics([int64(1_000_000), 900_000, 0, 999_999, 1]);
        _checkTally(Verdict.PASS, 900_000);
    }

    function test_OneMillionthBelowTheThresholdFails() public {
        _voteMetrics([int64(1_000_000), 899_999, 0, 999_999, 1]);
        _checkTally(Verdict.FAIL, 899_999);
    }

    function test_TheMedianOfAnEvenNumberIsTheLower() public {
        _toVcommit();
        Report[] memory reports = _same(1_000_000, 4);
        (reports[1].metric, reports[2].metric, reports[3].metric) = (899_999, 900_000, 0);
        _vote(reports);
        _checkTally(Verdict.FAIL, 899_999);
    }

    function test_CodesAtBothEndsLeaveTheMiddleToTheMetrics() public {
        _voteMetrics([NO_MODEL, NO_MODEL, GOOD, NO_TEST, NO_TEST]);
        _checkTally(Verdict.PASS, GOOD);
        _poke();
        _claim();
        _poke();
        vm.assertEq(_net(_member(0)), 0, "5.6, defect 3: across kinds nobody is slashed, and nobody paid");
        vm.assertEq(_net(_member(2)), 2, "the one that measured");
    }

    function test_AMajorityOfACodeDecides() public {
        _voteMetrics([NO_MODEL, NO_MODEL, GOOD, NO_MODEL, NO_TEST]);
        _checkTally(Verdict.NO_MODEL, 0);
        _poke();
        vm.assertEq(_net(_member(0)), 2, "its code is the verdict");
        vm.assertEq(_net(_member(2)), 2, "it measured, and no committee's metric says otherwise");
        vm.assertEq(_net(_member(4)), 0, "a code that is not the verdict: a strike");
        vm.assertEq(uint256(market.strikes(_seat(4)).count), 1);
        vm.assertEq(uint256(market.strikes(_seat(0)).count), 0);
    }

    /// @dev The worker withholds a bad model from two honest validators of three; two liars call it good.
    function test_TwoLiarsOfFiveDoNotPassABadModelThatOthersCouldNotGet() public {
        _voteMetrics([NO_MODEL, NO_MODEL, BAD, GOOD, GOOD]);
        _checkTally(Verdict.FAIL, BAD);
        _poke();
        _checkClosed(Outcome.REJECTED);
        vm.assertEq(_net(_member(0, 2)), 2, "the honest tester");
    }

    /// @dev The user withholds its testing set from two honest validators of three; two liars call the model bad.
    function test_TwoLiarsOfFiveDoNotFailAGoodModelThatOthersCouldNotTest() public {
        _voteMetrics([BAD, NO_TEST, GOOD, BAD, NO_TEST]);
        _checkTally(Verdict.PASS, GOOD);
    }

    /// @dev And in a committee of eleven the same: four liars need no fewer than six.
    function test_FourLiarsOfElevenDoNotPassABadModelThatOthersCouldNotGet() public {
        _toSecondRound(GOOD);
        Report[] memory reports = _same(GOOD, 11);
        for (uint256 i = 0; i < 7; ++i) {
            reports[i].metric = i < 5 ? NO_MODEL : BAD;
        }
        _vote(reports);
        _checkVerdict(Verdict.FAIL);
    }

    /// @dev Withholding from each other, so that the codes are even, is no way out of a job that burns nothing.
    function test_AQuorumAlwaysFindsSomethingAndEvenCodesFallAgainstTheWorker() public {
        _toVcommit();
        Report[] memory reports = new Report[](4);
        for (uint256 i = 0; i < 4; ++i) {
            reports[i] = _report(i, i < 2 ? NO_TEST : NO_MODEL, 0);
        }
        _vote(reports);
        _checkState(State.TALLIED);
        _checkTally(Verdict.NO_MODEL, 0);
        vm.assertEq(market.job(jobId).redraws, 0);
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
    }

    /// @dev In other words: the lowest kind of report that, with all below it, makes more than half of them.
    function testFuzz_TheLowerMedianOfAllReportsDecides(uint8[5] memory picks) public {
        int64[4] memory values = [NO_MODEL, BAD, GOOD, NO_TEST];
        Verdict[4] memory verdicts = [Verdict.NO_MODEL, Verdict.FAIL, Verdict.PASS, Verdict.NO_TEST];
        uint256[4] memory counts;
        int64[5] memory metrics;
        for (uint256 i = 0; i < 5; ++i) {
            uint256 pick = picks[i] % 4;
            metrics[i] = values[pick];
            ++counts[pick];
        }
        _voteMetrics(metrics);
        uint256 below;
        uint256 rank;
        while (2 * (below + counts[rank]) < 5) {
            below += counts[rank++];
        }
        _checkVerdict(verdicts[rank]);
        vm.assertEq(market.tally(jobId, 0).metric, rank == 1 ? BAD : rank == 2 ? GOOD : int64(0), "metric");
    }

    function test_CoherenceIsWithinBothTolerancesAtTheirEdges() public {
        _toVcommit();
        Report[] memory reports = _same(GOOD, 5);
        int64 slack = PRINT / 100_000 + 1_000; // 1e-5 of the reference and 1,000 billionths
        reports[0].metric = GOOD + 1_000;
        reports[1].metric = GOOD + 1_001;
        reports[3].fingerprint = PRINT - slack;
        reports[4].fingerprint = PRINT - slack - 1;
        _vote(reports);
        _poke();
        _claim();
        _poke();
        int256[5] memory wanted = [int256(2), -35, 2, 2, -35];
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(_net(_member(i)), wanted[i], vm.toString(i));
        }
    }

    /// @dev The user's test gives another number each time: the median is one validator's, and proves nobody wrong.
    function test_AMedianThatNobodyElseFoundSlashesNobody() public {
        _toVcommit();
        Report[] memory reports = _same(BAD, 5);
        for (uint256 i = 0; i < 5; ++i) {
            reports[i].fingerprint = PRINT + int64(int256(i)) * 1_000_000;
        }
        _vote(reports);
        _poke();
        _checkClosed(Outcome.REJECTED);
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(_net(_member(0, i)), i == 2 ? int256(2) : int256(0), vm.toString(i));
        }
    }

    /// @dev Three report, which is a quorum, and two agree, which is most of them, but not of the five seats.
    function test_LessThanHalfOfTheSeatsSlashesNobodyForAMetric() public {
        _toVcommit();
        Report[] memory reports = _same(GOOD, 3);
        reports[2].metric = BAD;
        _vote(reports);
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        int256[5] memory wanted = [int256(2), 2, 0, -14, -14];
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(_net(_member(0, i)), wanted[i], vm.toString(i));
        }
    }

    /// @dev The far ends of 64 bits neither overflow nor stop the settlement.
    function testFuzz_AnyNumbersSettle(int64[5] memory metrics, int64[5] memory prints, uint64 tolerance, uint64 share)
        public
    {
        Terms memory terms = _terms();
        (terms.tolerance, terms.fingerprintTolerance) = (tolerance, share);
        terms.threshold = metrics[4];
        vm.prank(user);
        jobId = market.post(terms, "");
        jobs.push(jobId);
        _commit(_opening(0, 30, true));
        _poke();
        _reveal(_opening(0, 30, true));
        _postKeys();
        _ack();
        _submitModel();
        vm.roll(block.number + 3);
        _revealSeed();
        _postModelKeys();
        _postTestKeys();
        Report[] memory reports = new Report[](5);
        for (uint256 i = 0; i < 5; ++i) {
            reports[i] = _report(i, metrics[i], prints[i]);
        }
        _vote(reports);
        if (_state() == State.TALLIED) _poke();
        if (_state() == State.CLAIMABLE) _claim();
        if (_state() == State.INSPECT) _poke();
        _checkState(State.CLOSED);
        _checkConserved();
    }

    // ---- claim

    function test_OnlyThePreimageClaims() public {
        _toClaimable();
        ModelRoot memory wrong = _model();
        wrong.yHash = keccak256(abi.encode(bytes32("z")));
        vm.expectRevert(abi.encodeWithSelector(WrongPreimage.selector, _modelRoot(_model()), _modelRoot(wrong)));
        market.claim(jobId, "z", MODEL_HASH, keccak256(abi.encode(X)), WORKER_SEED);
        _claim();
        vm.assertTrue(market.job(jobId).isClaimed, "claimed");
    }
}
