// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket} from "../src/IMarket.sol";
import {Jobs} from "../src/Jobs.sol";
import {Base} from "./Base.sol";

/// @notice Posting, sealed bids, openings, award (PROTOCOL.md 1).
contract AuctionTest is Base {
    // ---- posting

    function _refusesTerms(IMarket.Terms memory terms, string memory field) private {
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BadTerms.selector, field));
        market.post(terms, "");
        _checkConserved();
    }

    function test_TermsThatBreakARuleAreRefusedByName() public {
        IMarket.Terms memory terms = _terms();
        terms.reserve = 0;
        _refusesTerms(terms, "reserve");
        terms.reserve = 106; // 70 * 6 < 4 * 106: a captured bare majority could lose less than the reserve
        _refusesTerms(terms, "reserve");
        terms = _terms();
        terms.seats = 4;
        _refusesTerms(terms, "seats");
        terms.seats = 0;
        _refusesTerms(terms, "seats");
        terms.seats = 13;
        _refusesTerms(terms, "seats");
        terms = _terms();
        terms.biddingSeconds = 0;
        _refusesTerms(terms, "biddingSeconds");
        terms = _terms();
        terms.trainingSeconds = 0;
        _refusesTerms(terms, "trainingSeconds");
        terms = _terms();
        terms.testingSeconds = 0;
        _refusesTerms(terms, "testingSeconds");
    }

    /// @dev One second to test in slashes honest committees, and the slashes go to the winner: a friend of the user's.
    function test_NobodyTakesStakesThroughATestingWindowThatIsTooShort() public {
        IMarket.Terms memory terms = _terms();
        terms.testingSeconds = 1;
        _refusesTerms(terms, "testingSeconds");
        terms.testingSeconds = _timing().reportRevealSeconds - 1;
        _refusesTerms(terms, "testingSeconds");
        terms.testingSeconds = _timing().reportRevealSeconds;
        vm.prank(user);
        market.post(terms, "");
    }

    function test_NoWindowFreezesBondsOrSeatsForYears() public {
        uint32[2] memory tooLong = [uint32(30 days + 1), type(uint32).max];
        for (uint256 i = 0; i < 2; ++i) {
            IMarket.Terms memory terms = _terms();
            terms.biddingSeconds = tooLong[i];
            _refusesTerms(terms, "biddingSeconds");
            terms = _terms();
            terms.trainingSeconds = tooLong[i];
            _refusesTerms(terms, "trainingSeconds");
            terms = _terms();
            terms.testingSeconds = tooLong[i];
            _refusesTerms(terms, "testingSeconds");
        }
        IMarket.Terms memory longest = _terms();
        longest.biddingSeconds = longest.trainingSeconds = longest.testingSeconds = 30 days;
        vm.prank(user);
        market.post(longest, "");
    }

    function test_TheLargestReserveThatTheStakesCoverIsAccepted() public {
        IMarket.Terms memory terms = _terms();
        terms.reserve = 105;
        vm.prank(user);
        market.post(terms, "");
    }

    function test_AJobNeedsAsManyFreeSeatsAsValidators() public {
        IMarket.Terms memory terms = _terms();
        terms.seats = 9;
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotEnoughSeats.selector, 7, 9));
        market.post(terms, "");
        terms.seats = 7;
        vm.prank(user);
        market.post(terms, "");
    }

    function test_AJobIsPostedOnce() public {
        _post();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.JobExists.selector, jobId));
        market.post(_terms(), "");
    }

    function test_AJobIsNamedByChainMarketUserAndSeed() public {
        bytes32 typeHash = keccak256("Job(uint256 chainId,address market,address user,bytes32 seedHash)");
        bytes32 wanted = keccak256(abi.encode(typeHash, block.chainid, address(market), user, _terms().seedHash));
        vm.assertEq(_post(), wanted);
    }

    function test_TheEscrowMustBeCovered() public {
        vm.prank(user);
        market.withdraw(PURSE - 159);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.InsufficientBalance.selector, user, 159, 160));
        market.post(_terms(), "");
    }

    function test_ASpecificationIsBounded() public {
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BoxTooLarge.selector, 8193, 8192));
        market.post(_terms(), new bytes(8193));
        vm.prank(user);
        market.post(_terms(), new bytes(8192));
    }

    /// @dev The largest amounts that the types hold neither wrap nor get stuck.
    function test_HugeFeesAreRefusedForLackOfMoney() public {
        IMarket.Terms memory terms = _terms();
        terms.fee = type(uint96).max;
        vm.prank(user);
        vm.expectPartialRevert(IMarket.InsufficientBalance.selector);
        market.post(terms, "");
    }

    // ---- bidding

    function test_AJobWithBidsCannotBeTakenBack() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.AlreadyBid.selector, 1));
        market.cancel(jobId);
    }

    function test_TheUserMayNotBid() public {
        _toBidding();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UserMayNotBid.selector, user));
        market.commit(jobId, "c");
    }

    function test_ABidderMakesACommitmentOnceInAJob() public {
        _toBidding();
        bytes32 hash = _bidHash(_opening(0, 30, true));
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(workers[i]);
            market.commit(jobId, hash);
            vm.prank(workers[i]);
            vm.expectRevert(abi.encodeWithSelector(IMarket.CommitmentExists.selector, hash));
            market.commit(jobId, hash);
        }
    }

    function test_ABidLocksTheBond() public {
        _toBidding();
        vm.prank(workers[0]);
        market.withdraw(PURSE - 49);
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.InsufficientBalance.selector, workers[0], 49, 50));
        market.commit(jobId, "c");
        _commit(_opening(1, 40, true));
        vm.assertEq(_net(workers[1]), -50, "locked");
    }

    function test_OneAccountMayBidAnyNumberOfTimes() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        _commit(_opening(0, 35, true));
        _commit(_opening(0, 20, false));
        _poke();
        _reveal(_opening(0, 35, true));
        _reveal(_opening(0, 20, false));
        _reveal(_opening(0, 30, true));
        Jobs.Job memory job = market.job(jobId);
        vm.assertEq(job.winner, workers[0]);
        vm.assertEq(job.best, 30);
        vm.assertEq(job.price, 35, "extra identities can only lower one's own price");
        vm.assertEq(_net(workers[0]), -50, "one bond stays");
    }

    /// @dev Whoever sees a commitment on its way can be first with it, and has burned a bond for nothing.
    function test_ACopiedCommitmentDoesNotKeepTheOriginalOut() public {
        for (uint256 first = 0; first < 2; ++first) {
            uint256 before = vm.snapshotState();
            _toBidding();
            IMarket.Opening memory original = _opening(0, 30, true);
            bytes32 hash = _bidHash(original);
            for (uint256 i = 0; i < 2; ++i) {
                vm.prank(workers[(first + i) % 2]);
                market.commit(jobId, hash);
            }
            _poke();
            IMarket.Opening memory copy = _opening(1, 30, true);
            vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownCommitment.selector, _bidHash(copy)));
            market.revealBatch(jobId, _one(copy));
            _reveal(original);
            _reveal(original); // passed over: it does not open the copy
            vm.assertEq(market.job(jobId).unopened, 1, "the copy");
            _poke();
            _checkState(IMarket.State.AWARDED);
            vm.assertEq(market.job(jobId).winner, workers[0]);
            vm.assertEq(_net(workers[1]), -50, "the copier's bond");
            vm.assertEq(market.burned(), 50, "burned");
            vm.revertToState(before);
        }
    }

    // ---- opening

    function test_WhoCopiesACommitmentCannotOpenIt() public {
        _toBidding();
        IMarket.Opening memory rival = _opening(0, 30, true);
        bytes32 hash = _bidHash(rival);
        vm.prank(workers[1]); // sees worker 0's commitment on its way, and is first
        market.commit(jobId, hash);
        _poke();
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownCommitment.selector, hash));
        market.revealBatch(jobId, _one(rival));
        rival.bidder = workers[1];
        bytes32 other = _bidHash(rival);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownCommitment.selector, other));
        market.revealBatch(jobId, _one(rival));
    }

    function test_OneWrongOpeningRefusesItsBatchAndOpensNothing() public {
        _toRevealing();
        IMarket.Opening[] memory batch = new IMarket.Opening[](2);
        batch[0] = _opening(0, 30, true);
        batch[1] = _opening(1, 41, true);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownCommitment.selector, _bidHash(batch[1])));
        market.revealBatch(jobId, batch);
        vm.assertEq(market.job(jobId).unopened, 2);
    }

    function test_WhatIsOpenAlreadyIsPassedOver() public {
        _toRevealing();
        _reveal(_opening(1, 40, true)); // a front-runner opens one of the batch
        IMarket.Opening[] memory batch = new IMarket.Opening[](3);
        batch[0] = batch[2] = _opening(1, 40, true);
        batch[1] = _opening(0, 30, true);
        market.revealBatch(jobId, batch);
        _checkConserved();
        _checkState(IMarket.State.AWARDED);
        vm.assertEq(_net(workers[1]), 0, "one bond, given back once");
    }

    function test_TheLastOpeningAwardsTheJob() public {
        _toRevealing();
        _reveal(_opening(0, 30, true));
        _checkState(IMarket.State.REVEALING);
        _reveal(_opening(1, 40, true));
        _checkState(IMarket.State.AWARDED);
    }

    function test_AnUnopenedBidBurnsItsBondAndDoesNotCompete() public {
        _toRevealing();
        _reveal(_opening(1, 40, true));
        _poke();
        _checkState(IMarket.State.AWARDED);
        vm.assertEq(market.job(jobId).winner, workers[1]);
        vm.assertEq(market.job(jobId).price, RESERVE);
        vm.assertEq(market.burned(), 50);
        vm.assertEq(_net(workers[0]), -50, "lost");
    }

    function test_IneligibleBidsGetTheirBondsBackAndAreIgnored() public {
        _toBidding();
        IMarket.Opening[] memory batch = new IMarket.Opening[](5);
        batch[0] = _opening(0, 101, true); // above the reserve
        batch[1] = _opening(1, 0, true); // for nothing
        batch[2] = _opening(2, 1, false); // a decoy
        batch[3] = _opening(3, 10, true);
        batch[3].estimatedSeconds = 61; // longer than the job allows
        batch[4] = _opening(4, 10, true);
        batch[4].estimatedSeconds = 0;
        for (uint256 i = 0; i < 5; ++i) {
            _commit(batch[i]);
        }
        _poke();
        market.revealBatch(jobId, batch);
        _checkClosed(IMarket.Outcome.NO_BIDS);
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(_net(workers[i]), 0, "bond back");
        }
        _checkNet(0, 0, 0);
    }

    function test_ABidAtTheReserveIsEligible() public {
        _toBidding();
        IMarket.Opening memory opening = _opening(0, 100, true);
        opening.estimatedSeconds = 60;
        _commit(opening);
        _poke();
        _reveal(opening);
        vm.assertEq(market.job(jobId).price, 100);
        vm.assertEq(market.job(jobId).winnerSeconds, 60);
    }

    function test_ATieGoesToTheEarlierCommitmentWhicheverIsOpenedFirst() public {
        for (uint256 first = 0; first < 2; ++first) {
            uint256 before = vm.snapshotState();
            _toBidding();
            _commit(_opening(1, 30, true));
            _commit(_opening(0, 30, true));
            _poke();
            _reveal(_opening(first, 30, true));
            _reveal(_opening(1 - first, 30, true));
            vm.assertEq(market.job(jobId).winner, workers[1]);
            vm.assertEq(market.job(jobId).price, 30);
            vm.revertToState(before);
        }
    }

    /// @dev I24: nothing opens in another job.
    function test_AnOpeningIsForOneJob() public {
        _toRevealing();
        IMarket.Opening memory opening = _opening(0, 30, true);
        IMarket.Terms memory terms = _terms();
        terms.seedHash = keccak256("another job");
        vm.prank(user);
        jobId = market.post(terms, "");
        jobs.push(jobId);
        _commit(_opening(2, 50, true));
        _poke();
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownCommitment.selector, _bidHash(opening)));
        market.revealBatch(jobId, _one(opening));
    }

    function test_OnAnotherForkOfTheChainAnOpeningIsUnknown() public {
        _toRevealing();
        IMarket.Opening memory opening = _opening(0, 30, true);
        vm.chainId(5);
        vm.expectPartialRevert(IMarket.UnknownCommitment.selector);
        market.revealBatch(jobId, _one(opening));
    }

    /// @dev I12: winner, price and money do not depend on the order of openings or on how they are batched.
    function testFuzz_TheResultDoesNotDependOnTheOrder(uint8[5] memory prices, uint8 flags, uint256 order) public {
        _toBidding();
        IMarket.Opening[] memory bids = new IMarket.Opening[](5);
        for (uint256 i = 0; i < 5; ++i) {
            bids[i] = _opening(i, prices[i] % 128, flags & (1 << i) == 0);
            _commit(bids[i]);
        }
        _poke();
        (address winner, uint256 price) = _vickrey(bids);
        for (uint256 left = 5; left > 0; --left) {
            uint256 next = order % left;
            order /= left;
            _reveal(bids[next]);
            bids[next] = bids[left - 1];
        }
        Jobs.Job memory job = market.job(jobId);
        vm.assertEq(job.winner, winner);
        vm.assertEq(uint256(job.state), uint256(winner == address(0) ? IMarket.State.CLOSED : IMarket.State.AWARDED));
        vm.assertEq(job.price, price);
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(_net(workers[i]), workers[i] == winner ? int256(-50) : int256(0), "bonds");
        }
        vm.assertTrue(winner == address(0) || (job.best <= job.price && job.price <= RESERVE), "I8");
    }

    /// @dev The naive oracle: sort, take the first, pay the second.
    function _vickrey(IMarket.Opening[] memory bids) private pure returns (address winner, uint256 price) {
        uint256 best = RESERVE + 1;
        price = RESERVE;
        for (uint256 i = 0; i < bids.length; ++i) {
            uint256 bid = bids[i].price;
            if (!bids[i].isAuthentic || bid == 0 || bid > RESERVE) continue;
            if (bid < best) {
                if (winner != address(0)) price = best;
                (best, winner) = (bid, bids[i].bidder);
            } else if (bid < price) {
                price = bid;
            }
        }
        if (winner == address(0)) price = 0;
    }
}
