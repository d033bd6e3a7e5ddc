// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice The eight defects that executing the table found (PROTOCOL.md 5.6, by its numbers), each forbidden here.
contract DefectsTest is Base {
    function _validatorCount() internal pure override returns (uint256) {
        return 5 + 11 + 23;
    }

    function test_1_NoSecondKeyComplaintPutsAnHonestUserAtFault() public {
        _toKeyDispute();
        _discloseKey();
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDisclosed.selector, jobId));
        market.complainKey(jobId);
        _poke();
        _checkClosed(Outcome.MUTUAL_ABORT);
    }

    function test_2_NoAppealThatAPartyAbortsMakesHonestValidatorsIncoherent() public {
        for (uint256 side = 0; side < 2; ++side) {
            uint256 before = vm.snapshotState();
            _toSecondRound(GOOD);
            _complainKeys(0, side == 0);
            _poke();
            if (side == 0) _claim();
            _checkClosed(side == 0 ? Outcome.PAID : Outcome.WORKER_FAULT);
            _checkRound(0, _all(2));
            _checkRound(1, _each(11, 0));
            vm.revertToState(before);
        }
    }

    function test_3_NoMajorityOfCodesSlashesWhoMeasured() public {
        _toVcommit();
        Report[] memory reports = _same(NO_MODEL, SEATS);
        (reports[0].metric, reports[1].metric) = (GOOD, BAD);
        _vote(reports);
        _checkVerdict(Verdict.NO_MODEL);
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
        for (uint256 i = 0; i < SEATS; ++i) {
            vm.assertTrue(_net(_member(0, i)) >= 0, "across kinds nobody is slashed");
        }
        vm.assertEq(market.seatCount(), validators.length);
    }

    function test_3_NoMajorityOfCodesOfALaterRoundSlashesWhoMeasured() public {
        _toSecondRound(GOOD);
        _vote(_same(NO_TEST, 11));
        _poke();
        _claim();
        _checkClosed(Outcome.PAID);
        _checkRound(0, _all(2));
        _checkRound(1, _each(11, 2));
    }

    /// @dev A captured first committee, and an appeal that comes to nothing: who told the truth in round 0 keeps its stake.
    function test_4_NoCapturedCommitteesMetricSlashesWithoutALaterOne() public {
        _toVcommit();
        Report[] memory reports = _same(GOOD, SEATS);
        (reports[3].metric, reports[4].metric) = (BAD, BAD);
        _vote(reports);
        _appeal(stranger);
        _poke();
        _poke(); // silent
        _poke();
        _poke(); // twice
        _checkState(State.CLAIMABLE);
        _claim();
        while (_state() != State.CLOSED) _poke();
        vm.assertEq(_net(_member(0, 3)), 0, "neither fee nor slash");
        vm.assertEq(_net(_member(0, 4)), 0, "neither fee nor slash");
        vm.assertEq(_net(_member(0, 0)), 2, "near to the last metric that there was");
    }

    function test_5_NoAppealWithoutAQuorumVoidsTheVerdict() public {
        _toSecondRound(BAD);
        _poke();
        _poke();
        _poke();
        _checkVerdict(Verdict.FAIL);
        while (_state() != State.CLOSED) _poke();
        _checkClosed(Outcome.REJECTED);
    }

    function test_6_NoThirdOfAnAppealsCommitteeKeepsACapturedVerdictAlive() public {
        _toSecondRound(GOOD);
        _vote(_same(BAD, 6)); // five of eleven are silent: the rest is a quorum
        _checkState(State.TALLIED);
        _checkVerdict(Verdict.FAIL);
        _poke();
        _checkClosed(Outcome.REJECTED);
        _checkRound(0, _all(-35));
        vm.assertEq(_net(stranger), 0, "its bond is back");
    }

    /// @dev However late the settlement is: by the worker's silence, or by its claim.
    function test_7_NoValidatorOfARoundThatAPartyAbortedIsSlashed() public {
        for (uint256 exit = 0; exit < 5; ++exit) {
            uint256 before = vm.snapshotState();
            if (exit == 0) _toKeying();
            if (exit == 1 || exit == 4) {
                _toKeying();
                _postModelKeys();
            }
            if (exit == 2) _toXDispute();
            if (exit == 3) _toDisclose(true);
            _poke();
            if (exit == 4) _claim();
            while (_state() != State.CLOSED) _poke();
            _checkRound(0, _all(0));
            vm.assertEq(market.freeSeats(), validators.length);
            vm.revertToState(before);
        }
    }

    function test_8_NoUserAndShillLeaveKeyingForNothing() public {
        _toKeying();
        _poke();
        _checkClosed(Outcome.MUTUAL_ABORT);
        _checkNet(-12, -12, 24);
        _checkRound(0, _all(0));
    }
}
