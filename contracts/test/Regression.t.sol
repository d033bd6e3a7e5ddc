// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Jobs} from "../src/Jobs.sol";
import {Base} from "./Base.sol";

/// @notice The defects of Morphware's first contracts (PROTOCOL.md 1.8, by its numbers), each of which these pass and
///         those would fail. 11 and 12 are the node's (no links and no decoy policy on chain); 6 is the committee itself.
contract RegressionTest is Base {
    function test_1_ACommitmentShowsNoAmount() public {
        _toBidding();
        uint256[2] memory bonds;
        uint256[2] memory sizes;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 before = market.freeBalance(workers[0]);
            vm.recordLogs();
            _commit(i == 0 ? _opening(0, 1, true) : _opening(0, type(uint96).max, false));
            bonds[i] = before - market.freeBalance(workers[0]);
            sizes[i] = vm.getRecordedLogs()[0].data.length;
        }
        vm.assertEq(bonds[0], bonds[1], "the same bond for any price, and for a decoy");
        vm.assertEq(sizes[0], sizes[1], "and the same event");
    }

    function test_2_TheLowestBidWins() public {
        _toAwarded();
        vm.assertEq(market.job(jobId).winner, workers[0]);
        vm.assertEq(market.job(jobId).best, 30);
    }

    function test_3_ABidBetweenFirstAndSecondLowersThePriceInAnyOrder() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        _commit(_opening(1, 80, true));
        _commit(_opening(2, 40, true));
        _poke();
        _reveal(_opening(0, 30, true));
        _reveal(_opening(1, 80, true));
        _reveal(_opening(2, 40, true));
        vm.assertEq(market.job(jobId).price, 40);
    }

    function test_4_OneBidderIsPaidTheReserve() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        _poke();
        _reveal(_opening(0, 30, true));
        vm.assertEq(market.job(jobId).price, RESERVE);
    }

    function test_5_NobodyIsPaidWithoutAVerdict() public {
        _toTraining();
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongState.selector, jobId, IMarket.State.TRAINING));
        market.claim(jobId, Y);
        vm.warp(block.timestamp + 60);
        market.poke(jobId);
        _checkClosed(IMarket.Outcome.WORKER_FAULT);
    }

    function test_6_OneApprovalIsNoVerdictAndValidatorsArePaid() public {
        _toVcommit();
        _vote(_same(GOOD, 1));
        _checkClosed(IMarket.Outcome.INCONCLUSIVE);
        vm.assertEq(market.job(jobId).price, 40);
        vm.assertEq(_net(workers[0]), 40, "not the price: what four silent seats of 14 lost, up to it");
        vm.assertEq(market.burned(), 16);
    }

    function test_7_ASilentPartyFreezesNoJob() public {
        _toKeyed();
        _poke();
        _checkState(IMarket.State.CLOSED);
    }

    function test_8_NoUnopenedDepositIsStuck() public {
        _toRevealing();
        _poke();
        vm.assertEq(market.job(jobId).held, 0, "burned, and counted");
        vm.assertEq(market.burned(), 100);
    }

    function test_9_ASecondBidLosesNoDeposit() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        _commit(_opening(0, 50, true));
        _commit(_opening(1, 40, true));
        _poke();
        _reveal(_opening(0, 50, true));
        _reveal(_opening(1, 40, true));
        _reveal(_opening(0, 30, true));
        vm.assertEq(_net(workers[0]), -50, "one bond of two came back, one is the winner's");
    }

    function test_10_AllowancesAreSpentByTheirOwnerOnly() public {
        vm.prank(bank);
        token.approve(address(market), 1_000);
        vm.prank(stranger);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        market.deposit(1_000);
        vm.assertEq(market.freeBalance(bank), 0);
    }

    function test_13_AtEqualityExactlyOneOfActionAndPokeIsValid() public {
        _toKeyed();
        uint256 deadline = market.job(jobId).deadline;
        vm.warp(deadline);
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.TooLate.selector, jobId, deadline, deadline));
        market.ack(jobId);
        market.poke(jobId);
    }

    function test_14_ATokenThatReturnsFalseIsNotBelieved() public {
        FalseToken false_ = new FalseToken();
        address other = _deploy(
            abi.encodePacked(vm.getCode("artifacts/Market.json"), abi.encode(address(false_), STAKE, _timing()))
        );
        vm.expectPartialRevert(bytes4(keccak256("SafeERC20FailedOperation(address)")));
        IMarket(other).deposit(1);
    }
}

contract FalseToken {
    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}
