// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Calls} from "./Calls.sol";

/// @notice A report lies by its seat, and stays there: what another job, or the same one before a missing key came, left
///         by a seat is never taken for this job's.
contract SeatingTest is Calls {
    /// @dev Committees of 11 out of 23: two of them always share seats.
    function _validatorCount() internal pure override returns (uint256) {
        return 11 + 23;
    }

    function _next(bytes32 seed) private {
        (userSeed, seats) = (seed, 11);
    }

    /// @dev The indices in the committee drawn last of those who sat in round 0 of an earlier job.
    function _returned(bytes32 earlier, uint256 size) private returns (uint256[] memory found) {
        uint256[] memory all = new uint256[](size);
        uint256 count;
        bytes32 now_ = jobId;
        for (uint256 i = 0; i < size; ++i) {
            jobId = now_;
            address validator = _member(0, i);
            jobId = earlier;
            for (uint256 j = 0; j < 11; ++j) {
                if (_member(0, j) == validator) all[count++] = i;
            }
        }
        jobId = now_;
        found = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) found[i] = all[i];
        vm.assertTrue(count != 0, "nobody sits again: choose other seeds");
    }

    function _checkNothingReported(uint8 round) private view {
        Member[] memory members = market.committee(jobId, round);
        for (uint256 i = 0; i < members.length; ++i) {
            vm.assertTrue(!members[i].isCommitted && !members[i].isRevealed, "reported in this job");
            vm.assertTrue(members[i].metric == 0 && members[i].fingerprint == 0, "a metric from elsewhere");
        }
        vm.assertEq(uint256(market.tally(jobId, round).verdict), uint256(Verdict.NONE));
    }

    function test_AStaleOpenedReportOfAnEarlierJobNeverCountsInALaterOne() public {
        _next("first");
        _toPaid();
        bytes32 first = jobId;
        _next("second");
        _toVcommit();
        uint256[] memory again = _returned(first, 11);
        _checkNothingReported(0);
        int256[] memory before = new int256[](again.length);
        for (uint256 i = 0; i < again.length; ++i) {
            before[i] = _net(_member(again[i]));
            vm.assertEq(before[i], int256(uint256(FEE)), "was paid for it in the first job");
        }

        // Nobody commits: neither is there a quorum of old reports, nor is any of them a report in the end.
        _poke();
        _checkState(State.DRAWING);
        _checkVerdict(Verdict.NONE);
        _poke();
        _checkNothingReported(0);
        _checkNothingReported(1);
        _poke();
        _checkClosed(Outcome.INCONCLUSIVE);
        for (uint256 i = 0; i < again.length; ++i) {
            vm.assertEq(_net(_member(0, again[i])), before[i] - 14, "silent in this one");
        }
    }

    /// @dev One more than half report: the others' old reports, of the same metric, neither count nor are paid again.
    function test_AStaleOpenedReportMakesNobodyCoherentBesideOthersWhoReport() public {
        _next("first");
        _toPaid();
        bytes32 first = jobId;
        _next("second");
        _toVcommit();
        uint256[] memory again = _returned(first, 11);
        uint256 silent = again[0];
        address idle = _member(silent);
        Report[] memory reports = new Report[](10);
        for (uint256 i = 0; i < 10; ++i) reports[i] = _report(i < silent ? i : i + 1, GOOD, PRINT);
        _vote(reports);
        _checkState(State.TALLIED);
        Member memory member = market.committee(jobId, 0)[silent];
        vm.assertTrue(!member.isCommitted && !member.isRevealed, "the stale report shows");
        _poke();
        _claim();
        _poke();
        _checkClosed(Outcome.PAID);
        vm.assertEq(_net(idle), int256(uint256(FEE)) - 14, "paid for the first job, slashed in the second");
    }

    /// @dev Sealed, and never opened: the seat's next owner, or the same one, commits as on any seat.
    function test_AStaleSealedReportKeepsNobodyFromCommitting() public {
        _next("first");
        _toVreveal();
        bytes32 first = jobId;
        address[] memory owners = new address[](11);
        for (uint256 i = 0; i < 11; ++i) owners[i] = _member(0, i);
        _poke();
        _poke();
        _poke();
        _checkClosed(Outcome.INCONCLUSIVE);
        for (uint256 i = 0; i < validators.length; ++i) {
            if (_seatsOf(validators[i]) == 0) _stake(validators[i], 1); // the numbers of the dissolved ones
        }
        _next("second");
        _toVcommit();
        _returned(first, 11);
        _checkNothingReported(0);
        _vote(_same(GOOD, 11));
        _checkState(State.TALLIED);
        _checkVerdict(Verdict.PASS);
    }

    /// @dev Word for word the same report: it names its job, so that it was never committed to in this one.
    function test_AnEarlierJobsReportCannotBeOpenedInALaterOne() public {
        _next("first");
        _toPaid();
        bytes32 first = jobId;
        _next("second");
        _toVcommit();
        uint256[] memory again = _returned(first, 11);
        _commitReport(_report(again[0] == 0 ? 1 : 0, GOOD, PRINT));
        _poke();
        _checkState(State.VREVEAL);
        Report[] memory batch = new Report[](1);
        batch[0] = _report(again[0], GOOD, PRINT);
        bytes32 unknown = _reportHash(batch[0]);
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, unknown));
        market.revealReports(jobId, batch);
    }

    function test_AReportSealedBeforeAMissingKeyCameCannotBeOpened() public {
        _next("first");
        _toVcommit();
        Report[] memory reports = _same(GOOD, 11);
        _commitReport(reports[0]);
        _commitReport(reports[1]);
        _complainKeys(2, true);
        _discloseTest();
        _checkState(State.VCOMMIT);
        _checkNothingReported(0);
        _commitReport(reports[1]);
        _poke();
        _checkState(State.VREVEAL);
        bytes32 unknown = _reportHash(reports[0]);
        Report[] memory batch = new Report[](1);
        batch[0] = reports[0];
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, unknown));
        market.revealReports(jobId, batch);
        _revealReport(reports[1]);
    }
}
