// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Calls} from "./Calls.sol";

/// @notice The state table of PROTOCOL.md 5.2 as a whole: which call is valid in which state, by whom, and that every
///         state leads on. Until when: Deadlines.t.sol.
contract TableTest is Calls {
    function _checkState(State state, Call[] memory calls) private {
        for (uint256 c = 0; c < calls.length; ++c) {
            if (calls[c].state == state) {
                uint256 here = vm.snapshotState();
                (bool isDone,) = _try(calls[c].caller, calls[c].data);
                vm.assertTrue(isDone, string.concat(calls[c].name, ": the table's own call is refused"));
                vm.revertToState(here);
            } else {
                bytes memory wanted = abi.encodeWithSelector(WrongState.selector, jobId, state);
                _refused(calls[c].name, calls[c].caller, calls[c].data, wanted);
            }
        }
    }

    function test_ACallIsValidInItsStateOnly() public {
        State[] memory states = _openStates();
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            _checkState(states[s], _calls());
            vm.revertToState(before);
        }
        _toDisclose(true);
        _checkState(State.DISCLOSE, _calls());
    }

    /// @dev I13. Who is nobody in particular cannot move what is somebody's, and hears whose it is.
    function test_OnlyTheNamedCallerMovesAState() public {
        State[] memory states = _openStates();
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            Call[] memory calls = _calls();
            for (uint256 c = 0; c < calls.length; ++c) {
                if (calls[c].state != states[s] || calls[c].isAnybodys) continue;
                bool isMembers = calls[c].caller != user && calls[c].caller != workers[0];
                bytes memory wanted = isMembers
                    ? abi.encodeWithSelector(NotOnCommittee.selector, stranger)
                    : abi.encodeWithSelector(WrongCaller.selector, stranger, calls[c].caller);
                _refused(calls[c].name, stranger, calls[c].data, wanted);
            }
            vm.revertToState(before);
        }
    }

    /// @dev I13, I14: neither may the user make the winner's moves, nor the winner the user's, nor a rival either's.
    function test_NoPartyMakesTheOthersMoves() public {
        State[] memory states = _openStates();
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            Call[] memory calls = _calls();
            address[3] memory others = [user, workers[0], workers[1]];
            for (uint256 c = 0; c < calls.length; ++c) {
                address owner = calls[c].caller;
                if (calls[c].state != states[s] || calls[c].isAnybodys || (owner != user && owner != workers[0])) continue;
                for (uint256 i = 0; i < 3; ++i) {
                    if (others[i] == owner) continue;
                    bytes memory wanted = abi.encodeWithSelector(WrongCaller.selector, others[i], owner);
                    _refused(calls[c].name, others[i], calls[c].data, wanted);
                }
            }
            vm.revertToState(before);
        }
    }

    /// @dev I4: CLOSED is absorbing, and its payment record never changes.
    function test_NothingMovesAClosedJob() public {
        _toPaid();
        bytes32 record = keccak256(abi.encode(market.job(jobId)));
        Call[] memory calls = _calls();
        bytes memory wanted = abi.encodeWithSelector(WrongState.selector, jobId, State.CLOSED);
        for (uint256 c = 0; c < calls.length; ++c) {
            _refused(calls[c].name, calls[c].caller, calls[c].data, wanted);
        }
        vm.warp(block.timestamp + 365 days);
        _refused("poke", stranger, abi.encodeCall(market.poke, (jobId)), wanted);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(JobExists.selector, jobId));
        market.post(_terms(), "");
        vm.assertEq(keccak256(abi.encode(market.job(jobId))), record);
    }

    function test_AJobThatNobodyPostedHasNoCalls() public {
        jobId = keccak256("nowhere");
        Call[] memory calls = _calls();
        bytes memory wanted = abi.encodeWithSelector(WrongState.selector, jobId, State.NONE);
        for (uint256 c = 0; c < calls.length; ++c) {
            _refused(calls[c].name, calls[c].caller, calls[c].data, wanted);
        }
        _refused("poke", stranger, abi.encodeCall(market.poke, (jobId)), wanted);
    }

    /// @dev I6: from any state, only pokes and time, the job is CLOSED within a bounded number of them.
    function test_PokesAloneCloseAJobFromAnyState() public {
        State[] memory states = _openStates();
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            uint256 pokes = 0;
            while (_state() != State.CLOSED) {
                _poke();
                vm.assertTrue(++pokes <= 5, "too many pokes");
            }
            vm.assertEq(market.freeSeats(), market.seatCount(), "every seat that is left is free again");
            vm.revertToState(before);
        }
    }

    /// @dev I6, the longest life: everything that gives time to anybody is used once, and every deadline is waited for.
    function test_TheLongestLifeEndsWithinTheHorizon() public {
        uint256 start = block.timestamp;
        Timing memory t = _timing();
        uint256 round = t.drawSeconds + 30 + t.reportRevealSeconds;
        uint256 horizon = 10 + t.revealingSeconds + t.keySeconds + 2 * t.ackSeconds + t.disputeSeconds + 60
            + t.seedSeconds + t.keyingSeconds + t.disputeSeconds + t.keyingSeconds + 2 * (t.disputeSeconds + 30)
            + 4 * (round + t.appealSeconds) + round + t.claimSeconds + t.inspectSeconds;
        _addValidators(40);
        _toKeyDispute();
        vm.warp(market.job(jobId).deadline - 1);
        _discloseKey();
        vm.warp(market.job(jobId).deadline - 1);
        _ack();
        vm.warp(market.job(jobId).deadline - 1);
        _submitModel();
        vm.roll(block.number + 3);
        vm.warp(market.job(jobId).deadline - 1);
        _revealSeed();
        vm.warp(market.job(jobId).deadline - 1);
        _complainX();
        vm.warp(market.job(jobId).deadline - 1);
        _discloseX();
        vm.warp(market.job(jobId).deadline - 1);
        _postModelKeys();
        _postTestKeys();
        for (uint256 i = 0; i < 2; ++i) {
            vm.warp(market.job(jobId).deadline - 1);
            _complainKeys(0, i == 0);
            vm.warp(market.job(jobId).deadline - 1);
            i == 0 ? _discloseTest() : _discloseModel();
        }
        _poke(); // nobody commits: DRAWING
        _poke();
        for (uint256 i = 0; i < 3; ++i) {
            _vote(_same(GOOD, _size() - 1)); // waits for the one who is silent
            vm.warp(market.job(jobId).deadline - 1);
            if (i == 2) break;
            _appeal(stranger);
            _poke();
        }
        _poke();
        vm.warp(market.job(jobId).deadline - 1);
        _claim();
        _poke();
        _checkPaidWithinTheHorizon(start + horizon);
    }

    function _checkPaidWithinTheHorizon(uint256 horizon) private {
        while (_state() != State.CLOSED) _poke();
        _checkClosed(Outcome.PAID);
        vm.assertTrue(block.timestamp <= horizon, "after the horizon");
    }
}
