// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Cheats} from "./Cheats.sol";
import {Handler} from "./Handler.sol";

/// @notice The invariants of PROTOCOL.md 5.5 after every call of random walks over the whole table (Ghosts.sol says which
///         is checked where). `FOUNDRY_PROFILE=campaign forge test --match-contract InvariantTest` walks a million calls.
contract InvariantTest {
    Cheats private constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    Handler private handler;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public {
        handler = new Handler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev What is due as often as all else together: a walk should get somewhere.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](25);
        for (uint256 i = 0; i < 9; ++i) {
            selectors[i] = Handler.proceed.selector;
        }
        selectors[9] = Handler.postJob.selector;
        selectors[10] = Handler.postJob.selector;
        selectors[11] = Handler.bid.selector;
        selectors[12] = Handler.bid.selector;
        selectors[13] = Handler.bid.selector;
        selectors[14] = Handler.copy.selector;
        selectors[15] = Handler.open.selector;
        selectors[16] = Handler.openAll.selector;
        selectors[17] = Handler.poke.selector;
        selectors[18] = Handler.wait.selector;
        selectors[19] = Handler.dispute.selector;
        selectors[20] = Handler.meddle.selector;
        selectors[21] = Handler.moveSeat.selector;
        selectors[22] = Handler.withdrawAndReturn.selector;
        selectors[23] = Handler.cancel.selector;
        selectors[24] = Handler.fundAudits.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// @dev I1 to I14 and I19 to I21, as far as they are of one state or of one step.
    function invariant_NobodysMoneyIsStuckStolenOrConjured() public view {
        handler.checkAll();
    }

    /// @dev I6: wherever a walk ends, pokes alone end its jobs; and I4 for all of its jobs.
    function afterInvariant() public {
        handler.finish();
        handler.checkAll();
        handler.checkRecords();
    }

    /// @dev The walks above would prove little if they never got anywhere: the same moves, by a die of our own.
    function test_TheWalkReachesEveryStateAndEveryOutcome() public {
        bytes4[] memory selectors = targetSelectors()[0].selectors;
        for (uint256 i = 0; i < 8_000; ++i) {
            uint256 dice = uint256(keccak256(abi.encode("die", i)));
            bytes4 selector = selectors[dice % selectors.length];
            uint256 second = (dice >> 32) % (selector == Handler.poke.selector ? 2 : 1 << 64);
            if (selector == Handler.bid.selector || selector == Handler.withdrawAndReturn.selector) second %= 5;
            bytes memory arguments = abi.encode(dice >> 128, second, (dice >> 96) % 256, (dice >> 112) % 256);
            (bool isDone,) = address(handler).call(abi.encodePacked(selector, arguments));
            isDone; // a move may be one that the market refuses
            if (i % 128 == 0) handler.checkAll();
        }
        afterInvariant();
        _checkReach();
    }

    function _checkReach() private view {
        string memory counts = "states:";
        bool isAll = true;
        for (uint256 state = 1; state <= 17; ++state) {
            counts = string.concat(counts, " ", vm.toString(handler.entered(state)));
            if (handler.entered(state) == 0) isAll = false;
        }
        counts = string.concat(counts, "; outcomes:");
        for (uint256 outcome = 1; outcome <= 8; ++outcome) {
            counts = string.concat(counts, " ", vm.toString(handler.closed(outcome)));
            if (handler.closed(outcome) == 0) isAll = false;
        }
        counts = string.concat(counts, "; feats:");
        for (uint256 feat = 0; feat < 9; ++feat) {
            counts = string.concat(counts, " ", vm.toString(handler.feats(feat)));
            if (handler.feats(feat) == 0) isAll = false;
        }
        vm.assertTrue(isAll, counts);
    }
}
