// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Base} from "./Base.sol";

/// @notice The state table of PROTOCOL.md 5.2 as a whole: which call is valid in which state, until when, and by whom.
contract TableTest is Base {
    struct Call {
        IMarket.State state; // the only one in which it is valid
        address caller;
        bytes data;
    }

    IMarket.State[] private states = [
        IMarket.State.BIDDING, IMarket.State.REVEALING, IMarket.State.AWARDED, IMarket.State.KEYED,
        IMarket.State.TRAINING, IMarket.State.SEED, IMarket.State.KEYING, IMarket.State.VCOMMIT,
        IMarket.State.VREVEAL, IMarket.State.TALLIED, IMarket.State.CLAIMABLE
    ];

    /// @dev Every call with arguments that are right in its own state (TALLIED has none yet).
    function _calls() private view returns (Call[] memory calls) {
        uint256 size = market.committee(jobId).length;
        address member = size == 0 ? stranger : _member(0);
        IMarket.Report[] memory reports = new IMarket.Report[](1);
        if (size != 0) reports[0] = _report(0, GOOD, PRINT);
        address winner = workers[0];
        calls = new Call[](13);
        calls[0] = Call(IMarket.State.BIDDING, user, abi.encodeCall(IMarket.cancel, (jobId)));
        calls[1] = Call(IMarket.State.BIDDING, workers[2], abi.encodeCall(IMarket.commit, (jobId, "c")));
        calls[2] = Call(
            IMarket.State.REVEALING, stranger, abi.encodeCall(IMarket.revealBatch, (jobId, _one(_opening(0, 30, true))))
        );
        calls[3] = Call(IMarket.State.AWARDED, user, abi.encodeCall(IMarket.postKeys, (jobId, "box")));
        calls[4] = Call(IMarket.State.KEYED, winner, abi.encodeCall(IMarket.ack, (jobId)));
        calls[5] = Call(IMarket.State.KEYED, winner, abi.encodeCall(IMarket.decline, (jobId)));
        calls[6] = Call(
            IMarket.State.TRAINING,
            winner,
            abi.encodeCall(IMarket.submitModel, (jobId, "m", "x", keccak256("y"), WORKER_SEED, "manifest"))
        );
        calls[7] = Call(IMarket.State.SEED, user, abi.encodeCall(IMarket.revealSeed, (jobId, USER_SEED)));
        calls[8] = Call(IMarket.State.KEYING, user, abi.encodeCall(IMarket.postTestKeys, (jobId, _boxes(size))));
        calls[9] = Call(IMarket.State.KEYING, winner, abi.encodeCall(IMarket.postModelKeys, (jobId, _boxes(size))));
        calls[10] = Call(IMarket.State.VCOMMIT, member, abi.encodeCall(IMarket.commitReport, (jobId, "c")));
        calls[11] = Call(IMarket.State.VREVEAL, stranger, abi.encodeCall(IMarket.revealReports, (jobId, reports)));
        calls[12] = Call(IMarket.State.CLAIMABLE, stranger, abi.encodeCall(IMarket.claim, (jobId, Y)));
    }

    function _try(address caller, bytes memory data) private returns (bool isDone, bytes memory answer) {
        vm.prank(caller);
        (isDone, answer) = address(market).call(data);
        _checkConserved();
    }

    function _refused(address caller, bytes memory data, bytes memory wanted) private {
        (bool isDone, bytes memory answer) = _try(caller, data);
        vm.assertTrue(!isDone, "a call that the table does not have went through");
        vm.assertEq(answer, wanted, "the refusal says why");
    }

    function test_ACallIsValidInItsStateOnly() public {
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            Call[] memory calls = _calls();
            for (uint256 c = 0; c < calls.length; ++c) {
                uint256 here = vm.snapshotState();
                if (calls[c].state == states[s]) {
                    (bool isDone,) = _try(calls[c].caller, calls[c].data);
                    // cancel alone is barred by more than the state: nobody may have bid, and here nobody has
                    vm.assertTrue(isDone, "the table's own call is refused");
                } else {
                    bytes memory wanted = abi.encodeWithSelector(IMarket.WrongState.selector, jobId, states[s]);
                    _refused(calls[c].caller, calls[c].data, wanted);
                }
                vm.revertToState(here);
            }
            vm.revertToState(before);
            delete jobs;
        }
    }

    /// @dev PROTOCOL.md 1.1: an action is valid iff t < deadline; `poke` iff t >= deadline. No gap, no overlap.
    function test_AtTheDeadlineThePokeIsValidAndTheActionIsNot() public {
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            Call[] memory calls = _calls();
            uint256 deadline = market.job(jobId).deadline;
            bytes memory poke = abi.encodeCall(IMarket.poke, (jobId));
            vm.warp(deadline - 1);
            _refused(stranger, poke, abi.encodeWithSelector(IMarket.TooEarly.selector, jobId, deadline, deadline - 1));
            for (uint256 c = 0; c < calls.length; ++c) {
                if (calls[c].state != states[s]) continue;
                uint256 here = vm.snapshotState();
                (bool isDone,) = _try(calls[c].caller, calls[c].data);
                vm.assertTrue(isDone, "one second before the deadline the action is valid");
                vm.revertToState(here);
                vm.warp(deadline);
                bytes memory wanted = abi.encodeWithSelector(IMarket.TooLate.selector, jobId, deadline, deadline);
                _refused(calls[c].caller, calls[c].data, wanted);
                vm.revertToState(here);
            }
            vm.warp(deadline);
            (bool isPoked,) = _try(stranger, poke);
            vm.assertTrue(isPoked, "at the deadline the poke is valid");
            vm.revertToState(before);
            delete jobs;
        }
    }

    function test_OnlyTheNamedCallerMovesAState() public {
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            Call[] memory calls = _calls();
            for (uint256 c = 0; c < calls.length; ++c) {
                if (calls[c].state != states[s] || calls[c].caller == stranger || c == 1) continue;
                bytes memory wanted = c == 10
                    ? abi.encodeWithSelector(IMarket.NotOnCommittee.selector, stranger)
                    : abi.encodeWithSelector(IMarket.WrongCaller.selector, stranger, calls[c].caller);
                _refused(stranger, calls[c].data, wanted);
            }
            vm.revertToState(before);
            delete jobs;
        }
    }

    /// @dev I4: CLOSED is absorbing, and its payment record never changes.
    function test_NothingMovesAClosedJob() public {
        _toClaimable();
        _claim();
        bytes32 record = keccak256(abi.encode(market.job(jobId)));
        Call[] memory calls = _calls();
        bytes memory wanted = abi.encodeWithSelector(IMarket.WrongState.selector, jobId, IMarket.State.CLOSED);
        for (uint256 c = 0; c < calls.length; ++c) {
            _refused(calls[c].caller, calls[c].data, wanted);
        }
        vm.warp(block.timestamp + 365 days);
        _refused(stranger, abi.encodeCall(IMarket.poke, (jobId)), wanted);
        vm.assertEq(keccak256(abi.encode(market.job(jobId))), record);
    }

    function test_AJobThatNobodyPostedHasNoCalls() public {
        jobId = keccak256("nowhere");
        Call[] memory calls = _calls();
        bytes memory wanted = abi.encodeWithSelector(IMarket.WrongState.selector, jobId, IMarket.State.NONE);
        for (uint256 c = 0; c < calls.length; ++c) {
            _refused(calls[c].caller, calls[c].data, wanted);
        }
        _refused(stranger, abi.encodeCall(IMarket.poke, (jobId)), wanted);
    }

    /// @dev I6: from any state, only pokes and time, the job is CLOSED within a bounded number of them.
    function test_PokesAloneCloseAJobFromAnyState() public {
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            uint256 pokes = 0;
            while (_state() != IMarket.State.CLOSED) {
                _poke();
                vm.assertTrue(++pokes <= 3, "too many pokes");
            }
            vm.assertEq(market.freeSeats(), market.seatCount(), "every seat that is left is free again");
            vm.revertToState(before);
            delete jobs;
        }
    }

    function test_EachStateLastsAsLongAsItSays() public {
        IMarket.Timing memory t = _timing();
        uint32[11] memory wanted = [
            _terms().biddingSeconds, t.revealingSeconds, t.keySeconds, t.ackSeconds, uint32(50), t.seedSeconds,
            t.keyingSeconds, _terms().testingSeconds, t.reportRevealSeconds, t.appealSeconds, t.claimSeconds
        ];
        for (uint256 s = 0; s < states.length; ++s) {
            uint256 before = vm.snapshotState();
            _to(states[s]);
            vm.assertEq(market.job(jobId).deadline, block.timestamp + wanted[s], vm.toString(s));
            vm.revertToState(before);
            delete jobs;
        }
    }
}
