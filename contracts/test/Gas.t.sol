// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
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
        jobs.push(jobId);
        _spent("post (specification of 1,000 bytes)", 1, _last());

        uint256 gas;
        IMarket.Opening[] memory openings = new IMarket.Opening[](5);
        for (uint256 i = 0; i < 5; ++i) {
            openings[i] = _opening(i, uint96(30 + 10 * i), true);
            bytes32 commitment = _bidHash(openings[i]);
            vm.prank(workers[i]);
            market.commit(jobId, commitment);
            gas += _last();
        }
        _spent("commit", 5, gas);

        vm.warp(market.job(jobId).deadline);
        market.poke(jobId);
        _spent("poke (BIDDING to REVEALING)", 1, _last());

        market.revealBatch(jobId, openings);
        _spent("revealBatch of 5, with the award", 1, _last());

        vm.prank(user);
        market.postKeys(jobId, new bytes(112));
        _spent("postKeys", 1, _last());

        vm.prank(workers[0]);
        market.ack(jobId);
        _spent("ack", 1, _last());

        vm.prank(workers[0]);
        market.submitModel(jobId, "m", "x", keccak256(abi.encodePacked(Y)), WORKER_SEED, new bytes(600));
        _spent("submitModel (manifest of 600 bytes)", 1, _last());

        vm.roll(block.number + 3);
        vm.prank(user);
        market.revealSeed(jobId, USER_SEED);
        _spent("revealSeed, with the draw of 5", 1, _last());

        vm.prank(user);
        market.postTestKeys(jobId, _boxes(5));
        _spent("postTestKeys", 1, _last());
        vm.prank(workers[0]);
        market.postModelKeys(jobId, _boxes(5));
        _spent("postModelKeys", 1, _last());

        IMarket.Report[] memory reports = _same(GOOD, 5);
        gas = 0;
        for (uint256 i = 0; i < 5; ++i) {
            bytes32 commitment = _reportHash(reports[i]);
            vm.prank(reports[i].validator);
            market.commitReport(jobId, commitment);
            gas += _last();
        }
        _spent("commitReport", 5, gas);

        gas = 0;
        for (uint256 i = 0; i < 5; ++i) {
            IMarket.Report[] memory batch = new IMarket.Report[](1);
            batch[0] = reports[i];
            vm.prank(reports[i].validator);
            market.revealReports(jobId, batch);
            gas += _last();
        }
        _spent("revealReports, one by one, with the tally", 5, gas);

        vm.warp(market.job(jobId).deadline);
        market.poke(jobId);
        _spent("poke (TALLIED to CLAIMABLE)", 1, _last());

        vm.prank(workers[0]);
        market.claim(jobId, Y);
        _spent("claim, with the settlement of 5", 1, _last());
        _spent("sum", 26, _sum);
        _checkClosed(IMarket.Outcome.PAID);
    }

    /// @dev The dearest calls that terms can ask for stay far below a block: 11 seats, drawn from 256 ineligible ones.
    function test_TheDearestCallsFitABlock() public {
        for (uint256 i = 0; i < 4; ++i) {
            address validator = _named(string.concat("more", vm.toString(i)));
            accounts.push(validator);
            validators.push(validator);
            _fund(validator, PURSE);
            vm.prank(validator);
            market.stake(1);
        }
        _fund(user, 20_000);
        vm.prank(user);
        market.stake(300);
        vm.warp(block.timestamp + 1);
        IMarket.Terms memory terms = _terms();
        terms.seats = 11;
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
        vm.prank(user);
        market.revealSeed(jobId, USER_SEED);
        emit Spent("the dearest draw: 256 attempts", 1, _last());
        vm.assertTrue(_last() < 8_000_000, "draw");
        if (_state() == IMarket.State.CLOSED) return;
        _postModelKeys();
        _postTestKeys();
        _poke(); // all are silent: every seat of the committee is slashed and dissolved
        _checkClosed(IMarket.Outcome.INCONCLUSIVE);
    }

    /// @dev The most that one settlement can be: 11 coherent reports.
    function test_ElevenReportsSettleInOneCall() public {
        for (uint256 i = 0; i < 4; ++i) {
            address validator = _named(string.concat("more", vm.toString(i)));
            accounts.push(validator);
            _fund(validator, PURSE);
            vm.prank(validator);
            market.stake(1);
        }
        vm.warp(block.timestamp + 1);
        IMarket.Terms memory terms = _terms();
        terms.seats = 11;
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
        _vote(_same(GOOD, 11));
        _poke();
        market.claim(jobId, Y);
        emit Spent("claim, with the settlement of 11", 1, _last());
        vm.assertTrue(_last() < 2_000_000, "settlement");
        _checkClosed(IMarket.Outcome.PAID);
    }
}
