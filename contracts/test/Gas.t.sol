// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice What a whole honest job costs, with five bidders and five validators: the table in README.md.
/// @dev `forge test --isolate --match-contract GasTest -vv` runs every call as a transaction of its own, so that the
///      figures include the 21,000, the calldata and cold storage. Without --isolate only the order of calls is tested.
contract GasTest is Base {
    event Spent(string what, uint256 count, uint256 gas);

    uint256 private _sum;

    function _spent(string memory what, uint256 count, uint256 gas) private {
        emit Spent(what, count, gas);
        _sum += gas;
    }

    function _last() private view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed;
    }

    function test_AWholeHonestJob() public {
        vm.prank(user);
        jobId = market.post(_terms(), new bytes(1_000));
        _spent("post (specification of 1,000 bytes)", 1, _last());

        uint256 gas;
        Opening[] memory openings = new Opening[](5);
        for (uint256 i = 0; i < 5; ++i) {
            openings[i] = _opening(i, uint96(30 + 10 * i), true);
            bytes32 commitment = _bidHash(openings[i]);
            vm.prank(workers[i]);
            market.commit(jobId, commitment);
            gas += _last();
        }
        _spent("commit", 5, gas);
        _timed("poke (BIDDING to REVEALING)");
        market.revealBatch(jobId, openings);
        _spent("revealBatch of 5, with the award", 1, _last());
        vm.prank(user);
        market.postKeys(jobId, new bytes(112));
        _spent("postKeys", 1, _last());
        vm.prank(workers[0]);
        market.ack(jobId);
        _spent("ack", 1, _last());
        ModelRoot memory model = _model();
        vm.prank(workers[0]);
        market.submitModel(jobId, model.modelHash, model.xHash, model.yHash, WORKER_SEED, new bytes(600));
        _spent("submitModel (manifest of 600 bytes)", 1, _last());
        vm.roll(block.number + 3);
        vm.prank(user);
        market.revealSeed(jobId, USER_SEED, keccak256(TRAIN_KEYS), keccak256(TEST_KEYS), model);
        _spent("revealSeed, with the draw of 5", 1, _last());
        _noteCommittee();
        vm.prank(user);
        market.postTestKeys(jobId, _boxes(5));
        _spent("postTestKeys", 1, _last());
        vm.prank(workers[0]);
        market.postModelKeys(jobId, _boxes(5));
        _spent("postModelKeys", 1, _last());

        Report[] memory reports = _same(GOOD, 5);
        gas = 0;
        for (uint256 i = 0; i < 5; ++i) {
            bytes32 commitment = _reportHash(reports[i]);
            vm.prank(reports[i].validator);
            market.commitReport(jobId, commitment);
            gas += _last();
        }
        _spent("commitReport", 5, gas);
        market.revealReports(jobId, reports);
        _spent("revealReports of 5, with the tally", 1, _last());
        _timed("poke (TALLIED to CLAIMABLE)");
        market.claim(jobId, Y, model.modelHash, model.xHash, WORKER_SEED);
        _spent("claim", 1, _last());
        _timed("poke (INSPECT to CLOSED), with the settlement of 5");
        _spent("sum", 23, _sum);
        jobs.push(jobId);
        _checkClosed(Outcome.PAID);
    }

    function _timed(string memory what) private {
        vm.warp(market.job(jobId).deadline);
        market.poke(jobId);
        _spent(what, 1, _last());
    }

    /// @dev Every attempt of a draw hits a seat that may not sit.
    function test_TheDearestDrawFitsABlock() public {
        _fund(user, 20_000);
        _stake(user, 400);
        for (uint32 i = 0; i < 16; ++i) {
            vm.prank(validators[i]);
            market.requestUnstake(i);
        }
        seats = 11;
        _toSeed();
        vm.prank(user);
        market.revealSeed(jobId, USER_SEED, keccak256(TRAIN_KEYS), keccak256(TEST_KEYS), _model());
        emit Spent("the dearest draw: 1,024 attempts", 1, _last());
        vm.assertTrue(_last() < 4_000_000, "draw");
        _checkState(State.DRAWING);
    }

    /// @dev The most that one call settles: 24 seats, all of them slashed and dissolved.
    function test_TheDearestSettlementFitsABlock() public {
        _addValidators(41);
        seats = 11;
        reserve = 200;
        _toTallied(GOOD);
        _appeal(stranger);
        _poke();
        _poke(); // 23 are silent
        _checkState(State.DRAWING);
        _poke();
        vm.warp(market.job(jobId).deadline);
        market.poke(jobId); // and 23 more: PASS stands
        _checkState(State.CLAIMABLE);
        vm.warp(market.job(jobId).deadline);
        market.poke(jobId);
        emit Spent("the dearest settlement: 24 seats", 1, _last());
        vm.assertTrue(_last() < 4_000_000, "settlement");
        _poke();
        _poke();
        _checkClosed(Outcome.WORKER_FAULT);
    }
}
