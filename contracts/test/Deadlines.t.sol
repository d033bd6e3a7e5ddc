// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Calls} from "./Calls.sol";

/// @notice I7, PROTOCOL.md 1.1: an action is valid iff t < deadline, `poke` iff t >= deadline. In every state, at no
///         instant are both valid, and at none neither.
contract DeadlinesTest is Calls {
    /// @dev The job stands in `state`, entered just now, and is to last `seconds_`.
    function _checkHalfOpen(uint256 seconds_) private {
        State state = _state();
        uint256 deadline = market.job(jobId).deadline;
        vm.assertEq(deadline, block.timestamp + seconds_, "it lasts as long as it says");
        vm.roll(block.number + 3); // past the block that a seed or a draw waits for
        Call[] memory calls = _calls();
        bytes memory poke = abi.encodeCall(market.poke, (jobId));
        for (uint256 c = 0; c < calls.length; ++c) {
            if (calls[c].state != state) continue;
            uint256 here = vm.snapshotState();
            vm.warp(deadline - 1);
            (bool isDone,) = _try(calls[c].caller, calls[c].data);
            vm.assertTrue(isDone, string.concat(calls[c].name, ": refused one second before the deadline"));
            vm.revertToState(here);
            for (uint256 late = deadline; late < deadline + 1 days; late += 12 hours - 1) {
                vm.warp(late);
                bytes memory wanted = abi.encodeWithSelector(TooLate.selector, jobId, deadline, late);
                _refused(calls[c].name, calls[c].caller, calls[c].data, wanted);
            }
            vm.revertToState(here);
        }
        vm.warp(deadline - 1);
        bytes memory early = abi.encodeWithSelector(TooEarly.selector, jobId, deadline, deadline - 1);
        _refused("poke", stranger, poke, early);
        vm.warp(deadline);
        (bool isPoked,) = _try(stranger, poke);
        vm.assertTrue(isPoked, "at the deadline the poke is valid");
        vm.assertTrue(_state() != state, "and leads on");
    }

    function test_BIDDING_IsHalfOpen() public {
        _toBidding();
        _checkHalfOpen(10);
    }

    function test_REVEALING_IsHalfOpen() public {
        _toRevealing();
        _checkHalfOpen(11);
    }

    function test_AWARDED_IsHalfOpen() public {
        _toAwarded();
        _checkHalfOpen(12);
    }

    function test_KEYED_IsHalfOpen() public {
        _toKeyed();
        _checkHalfOpen(13);
    }

    function test_KEYED_AfterADisclosureIsHalfOpen() public {
        _toKeyDispute();
        vm.warp(block.timestamp + 13);
        _discloseKey();
        vm.assertEq(market.job(jobId).deadline, block.timestamp + 13, "a whole window again");
        vm.warp(block.timestamp + 12);
        _ack();
        _checkState(State.TRAINING);
    }

    function test_KEY_DISPUTE_IsHalfOpen() public {
        _toKeyDispute();
        _checkHalfOpen(14);
    }

    function test_TRAINING_IsHalfOpen() public {
        _toTraining();
        _checkHalfOpen(50); // what the winning bid asked for
    }

    function test_SEED_IsHalfOpen() public {
        _toTraining();
        _submitModel();
        _checkHalfOpen(15);
    }

    function test_KEYING_IsHalfOpen() public {
        _toKeying();
        _checkHalfOpen(16);
    }

    /// @dev The first side's keys do not give the other side more time.
    function test_KEYING_IsNotProlongedByOneSidesKeys() public {
        _toKeying();
        uint256 deadline = market.job(jobId).deadline;
        vm.warp(deadline - 1);
        _postModelKeys();
        vm.assertEq(market.job(jobId).deadline, deadline);
        vm.warp(deadline);
        bytes memory wanted = abi.encodeWithSelector(TooLate.selector, jobId, deadline, deadline);
        _refused("postTestKeys", user, abi.encodeCall(market.postTestKeys, (jobId, _boxes(SEATS))), wanted);
    }

    function test_X_DISPUTE_IsHalfOpen() public {
        _toXDispute();
        _checkHalfOpen(14);
    }

    function test_VCOMMIT_IsHalfOpen() public {
        _toVcommit();
        _checkHalfOpen(30);
    }

    function test_VCOMMIT_OfALaterRoundIsHalfOpen() public {
        _toSecondRound(GOOD);
        uint256 deadline = market.job(jobId).deadline;
        vm.assertEq(deadline, block.timestamp + 30);
        for (uint256 side = 0; side < 2; ++side) {
            address caller = side == 0 ? user : workers[0];
            bytes memory data = side == 0
                ? abi.encodeCall(market.postTestKeys, (jobId, _boxes(11)))
                : abi.encodeCall(market.postModelKeys, (jobId, _boxes(11)));
            uint256 here = vm.snapshotState();
            vm.warp(deadline);
            _refused("keys", caller, data, abi.encodeWithSelector(TooLate.selector, jobId, deadline, deadline));
            vm.warp(deadline - 1);
            (bool isDone,) = _try(caller, data);
            vm.assertTrue(isDone, "one second before");
            vm.revertToState(here);
        }
        _checkHalfOpen(30);
    }

    function test_DISCLOSE_OfTheUserIsHalfOpen() public {
        _toDisclose(true);
        _checkHalfOpen(14);
    }

    function test_DISCLOSE_OfTheWinnerIsHalfOpen() public {
        _toDisclose(false);
        _checkHalfOpen(14);
    }

    function test_VREVEAL_IsHalfOpen() public {
        _toVreveal();
        _checkHalfOpen(17);
    }

    function test_TALLIED_IsHalfOpen() public {
        _toTallied(GOOD);
        _checkHalfOpen(18);
    }

    function test_DRAWING_IsHalfOpen() public {
        _toTallied(GOOD);
        _appeal(stranger);
        _checkHalfOpen(21);
    }

    /// @dev Two clocks: seconds say when the poke is due, blocks when its hash is there.
    function test_DRAWING_WaitsForItsBlock() public {
        _toTallied(GOOD);
        _appeal(stranger);
        uint256 drawBlock = block.number + 2;
        vm.assertEq(market.job(jobId).drawBlock, drawBlock);
        bytes memory poke = abi.encodeCall(market.poke, (jobId));
        uint256 deadline = market.job(jobId).deadline;
        vm.roll(drawBlock + 1);
        vm.warp(deadline - 1);
        _refused("poke", stranger, poke, abi.encodeWithSelector(TooEarly.selector, jobId, deadline, deadline - 1));
        vm.warp(deadline);
        vm.roll(drawBlock);
        _refused("poke", stranger, poke, abi.encodeWithSelector(SeedBlockPending.selector, drawBlock, drawBlock));
        vm.roll(drawBlock + 1);
        (bool isPoked,) = _try(stranger, poke);
        vm.assertTrue(isPoked, "both clocks have come");
    }

    function test_CLAIMABLE_IsHalfOpen() public {
        _toClaimable();
        _checkHalfOpen(19);
    }

    function test_INSPECT_IsHalfOpen() public {
        _toInspect();
        _checkHalfOpen(20);
    }
}
