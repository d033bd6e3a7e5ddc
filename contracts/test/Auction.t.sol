// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice Posting, sealed bids, openings, award (PROTOCOL.md 1).
contract AuctionTest is Base {
    // ---- posting

    function _refusesTerms(Terms memory terms, string memory field) private {
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(BadTerms.selector, field));
        market.post(terms, "");
        _checkConserved();
    }

    function test_TermsThatBreakARuleAreRefusedByName() public {
        Terms memory terms = _terms();
        terms.reserve = 0;
        _refusesTerms(terms, "reserve");
        terms.reserve = 106; // 70 * 6 < 4 * 106: a captured bare majority could lose less than the reserve
        _refusesTerms(terms, "reserve");
        terms.reserve = type(uint96).max;
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
        Terms memory terms = _terms();
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
            Terms memory terms = _terms();
            terms.biddingSeconds = tooLong[i];
            _refusesTerms(terms, "biddingSeconds");
            terms = _terms();
            terms.trainingSeconds = tooLong[i];
            _refusesTerms(terms, "trainingSeconds");
            terms = _terms();
            terms.testingSeconds = tooLong[i];
            _refusesTerms(terms, "testingSeconds");
        }
        Terms memory longest = _terms();
        longest.biddingSeconds = longest.trainingSeconds = longest.testingSeconds = 30 days;
        vm.prank(user);
        market.post(longest, "");
    }

    function test_TheLargestReserveThatTheStakesCoverIsAccepted() public {
        Terms memory terms = _terms();
        terms.reserve = 105;
        vm.prank(user);
        market.post(terms, "");
    }

    /// @dev I22: else no committee, and so an INCONCLUSIVE end that burns nothing, would be a way out by choice.
    function test_AJobNeedsFreeSeatsForItsCommitteeAndAnAppealBesideIt() public {
        Terms memory terms = _terms();
        terms.seats = 7;
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(NotEnoughSeats.selector, 16, 22));
        market.post(terms, "");
        terms.seats = 5; // 16
        uint256 before = vm.snapshotState();
        vm.prank(user);
        market.post(terms, "");
        vm.revertToState(before);
        vm.prank(validators[0]);
        market.requestUnstake(0);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(NotEnoughSeats.selector, 15, 16));
        market.post(terms, "");
    }

    /// @dev With as few seats as `post` accepts, while nobody else's job takes or nobody leaves them.
    function test_WhereAJobIsPostedItsFirstVerdictCanBeAppealed() public {
        vm.assertEq(market.freeSeats(), 3 * SEATS + 1, "as few as can be");
        _toTallied(GOOD);
        vm.assertEq(market.freeSeats(), 2 * SEATS + 1, "what the first committee left");
        _appeal(user);
        _checkState(State.DRAWING);
    }

    function test_AJobNeedsAFreeSeatAmongEveryEightNumbers() public {
        (seats, reserve) = (3, 70); // 10 would be enough for the committees
        _stake(stranger, 112); // 128 numbers: 16 have to be free
        for (uint32 id = 16; id < 128; ++id) {
            vm.prank(stranger);
            market.requestUnstake(id);
        }
        _post();
        userSeed = "another";
        vm.prank(validators[0]);
        market.requestUnstake(0);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(NotEnoughSeats.selector, 15, 16));
        market.post(_terms(), "");
        vm.prank(stranger);
        market.stake(1);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(NotEnoughSeats.selector, 16, 17));
        market.post(_terms(), "");
    }

    function test_OptionsAndBaselineMustFitEachOther() public {
        Terms memory terms = _terms();
        terms.options = 5; // PUBLIC and SPLIT
        _refusesTerms(terms, "options");
        terms.options = 255;
        _refusesTerms(terms, "options");
        for (uint8 option = 0; option < 2; ++option) {
            terms.options = option; // not LINEAR
            terms.baseline = 1;
            _refusesTerms(terms, "baseline");
            terms.baseline = -1;
            _refusesTerms(terms, "baseline");
        }
        for (uint8 option = 2; option < 4; ++option) {
            terms.options = option; // LINEAR
            terms.baseline = terms.threshold;
            _refusesTerms(terms, "baseline");
            terms.baseline = type(int64).max;
            _refusesTerms(terms, "baseline");
        }
        terms.baseline = terms.threshold - 1;
        vm.prank(user);
        market.post(terms, "");
    }

    function test_AJobIsPostedOnce() public {
        _post();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(JobExists.selector, jobId));
        market.post(_terms(), "");
    }

    function test_AJobIsNamedByChainMarketUserAndSecrets() public {
        bytes32 typeHash = keccak256("Job(uint256 chainId,address market,address user,bytes32 secrets)");
        Terms memory terms = _terms();
        bytes32 secrets = keccak256(abi.encode(terms.seedHash, terms.trainKeyHash, terms.testKeyHash));
        vm.assertEq(_post(), keccak256(abi.encode(typeHash, block.chainid, address(market), user, secrets)));
    }

    function test_TheEscrowMustBeCovered() public {
        vm.prank(user);
        market.withdraw(PURSE - 159);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(InsufficientBalance.selector, user, 159, 160));
        market.post(_terms(), "");
    }

    function test_ASpecificationIsBounded() public {
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 8193, 8192));
        market.post(_terms(), new bytes(8193));
        vm.prank(user);
        market.post(_terms(), new bytes(8192));
    }

    /// @dev The largest amounts that the types hold neither wrap nor get stuck.
    function test_HugeFeesAreRefusedForLackOfMoney() public {
        Terms memory terms = _terms();
        terms.fee = type(uint96).max;
        vm.prank(user);
        vm.expectPartialRevert(InsufficientBalance.selector);
        market.post(terms, "");
    }

    // ---- bidding

    function test_AJobWithBidsCannotBeTakenBack() public {
        _toBidding();
        _commit(_opening(0, 30, true));
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(AlreadyBid.selector, 1));
        market.cancel(jobId);
    }

    function test_TheUserMayNotBid() public {
        _toBidding();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(UserMayNotBid.selector, user));
        market.commit(jobId, "c");
    }

    function test_AnEmptyCommitmentIsRefused() public {
        _toBidding();
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(BadTerms.selector, "commitment"));
        market.commit(jobId, 0);
    }

    function test_ABidderMakesACommitmentOnceInAJob() public {
        _toBidding();
        bytes32 hash = _bidHash(_opening(0, 30, true));
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(workers[i]);
            market.commit(jobId, hash);
            vm.prank(workers[i]);
            vm.expectRevert(abi.encodeWithSelector(CommitmentExists.selector, hash));
            market.commit(jobId, hash);
        }
    }

    function test_ABidLocksTheBond() public {
        _toBidding();
        vm.prank(workers[0]);
        market.withdraw(PURSE - 49);
        vm.prank(workers[0]);
        vm.expectRevert(abi.encodeWithSelector(InsufficientBalance.selector, workers[0], 49, 50));
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
        Job memory job = market.job(jobId);
        vm.assertEq(job.winner, workers[0]);
        vm.assertEq(job.price, 35, "extra identities can only lower one's own price");
        vm.assertEq(_net(workers[0]), -50, "one bond stays");
    }

    /// @dev Whoever sees a commitment on its way can be first with it, and has burned a bond for nothing.
    function test_ACopiedCommitmentDoesNotKeepTheOriginalOut() public {
        for (uint256 first = 0; first < 2; ++first) {
            uint256 before = vm.snapshotState();
            _toBidding();
            Opening memory original = _opening(0, 30, true);
            bytes32 hash = _bidHash(original);
            for (uint256 i = 0; i < 2; ++i) {
                vm.prank(workers[(first + i) % 2]);
                market.commit(jobId, hash);
            }
            _poke();
            Opening memory copy = _opening(1, 30, true);
            vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, _bidHash(copy)));
            market.revealBatch(jobId, _one(copy));
            _reveal(original);
            vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, hash));
            market.revealBatch(jobId, _one(original)); // open already: it does not open the copy
            vm.assertEq(market.job(jobId).unopened, 1, "the copy");
            _poke();
            _checkState(State.AWARDED);
            vm.assertEq(market.job(jobId).winner, workers[0]);
            vm.assertEq(_net(workers[1]), -50, "the copier's bond");
            vm.assertEq(market.burned(), 50, "burned");
            vm.revertToState(before);
        }
    }

    // ---- opening

    function test_WhoCopiesACommitmentCannotOpenIt() public {
        _toBidding();
        Opening memory rival = _opening(0, 30, true);
        bytes32 hash = _bidHash(rival);
        vm.prank(workers[1]); // sees worker 0's commitment on its way, and is first
        market.commit(jobId, hash);
        _poke();
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, hash));
        market.revealBatch(jobId, _one(rival));
        rival.bidder = workers[1];
        bytes32 other = _bidHash(rival);
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, other));
        market.revealBatch(jobId, _one(rival));
    }

    function test_AWrongOpeningIsPassedOverAndSpoilsNoBatch() public {
        _toRevealing();
        Opening[] memory batch = new Opening[](2);
        batch[0] = _opening(1, 41, true);
        batch[1] = _opening(0, 30, true);
        vm.prank(stranger);
        market.revealBatch(jobId, batch);
        _checkConserved();
        vm.assertEq(market.job(jobId).unopened, 1);
        vm.assertEq(market.job(jobId).winner, workers[0]);
    }

    function test_ABatchThatOpensNothingIsRefusedWithItsFirst() public {
        _toRevealing();
        Opening[] memory batch = new Opening[](2);
        batch[0] = _opening(1, 41, true);
        batch[1] = _opening(0, 31, true);
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, _bidHash(batch[0])));
        market.revealBatch(jobId, batch);
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, bytes32(0)));
        market.revealBatch(jobId, new Opening[](0));
        _reveal(_opening(1, 40, true));
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, _bidHash(_opening(1, 40, true))));
        market.revealBatch(jobId, _one(_opening(1, 40, true)));
        vm.assertEq(market.job(jobId).unopened, 1);
    }

    function test_ABatchIsBounded() public {
        _toRevealing();
        vm.expectRevert(abi.encodeWithSelector(BoxTooLarge.selector, 65, 64));
        market.revealBatch(jobId, new Opening[](65));
        Opening[] memory batch = new Opening[](64);
        batch[63] = _opening(0, 30, true);
        market.revealBatch(jobId, batch);
        vm.assertEq(market.job(jobId).unopened, 1);
    }

    function test_WhatIsOpenAlreadyIsPassedOver() public {
        _toRevealing();
        _reveal(_opening(1, 40, true)); // a front-runner opens one of the batch
        Opening[] memory batch = new Opening[](3);
        batch[0] = batch[2] = _opening(1, 40, true);
        batch[1] = _opening(0, 30, true);
        market.revealBatch(jobId, batch);
        _checkConserved();
        _checkState(State.AWARDED);
        vm.assertEq(_net(workers[1]), 0, "one bond, given back once");
    }

    function test_TheLastOpeningAwardsTheJob() public {
        _toRevealing();
        _reveal(_opening(0, 30, true));
        _checkState(State.REVEALING);
        _reveal(_opening(1, 40, true));
        _checkState(State.AWARDED);
    }

    function test_AnUnopenedBidBurnsItsBondAndDoesNotCompete() public {
        _toRevealing();
        _reveal(_opening(1, 40, true));
        _poke();
        _checkState(State.AWARDED);
        vm.assertEq(market.job(jobId).winner, workers[1]);
        vm.assertEq(market.job(jobId).price, RESERVE);
        vm.assertEq(market.burned(), 50);
        vm.assertEq(_net(workers[0]), -50, "lost");
    }

    function test_IneligibleBidsGetTheirBondsBackAndAreIgnored() public {
        _toBidding();
        Opening[] memory batch = new Opening[](5);
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
        _checkClosed(Outcome.NO_BIDS);
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(_net(workers[i]), 0, "bond back");
        }
        _checkNet(0, 0, 0);
    }

    function test_ABidAtTheReserveIsEligible() public {
        _toBidding();
        Opening memory opening = _opening(0, 100, true);
        opening.estimatedSeconds = 60;
        _commit(opening);
        _poke();
        _reveal(opening);
        vm.assertEq(market.job(jobId).price, 100);
        _postKeys();
        _ack();
        vm.assertEq(market.job(jobId).deadline, block.timestamp + 60, "the time that its own bid asked for");
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
        Opening memory opening = _opening(0, 30, true);
        Terms memory terms = _terms();
        terms.seedHash = keccak256("another job");
        vm.prank(user);
        jobId = market.post(terms, "");
        jobs.push(jobId);
        _commit(_opening(2, 50, true));
        _poke();
        vm.expectRevert(abi.encodeWithSelector(UnknownCommitment.selector, _bidHash(opening)));
        market.revealBatch(jobId, _one(opening));
    }

    function test_OnAnotherForkOfTheChainAnOpeningIsUnknown() public {
        _toRevealing();
        Opening memory opening = _opening(0, 30, true);
        vm.chainId(5);
        vm.expectPartialRevert(UnknownCommitment.selector);
        market.revealBatch(jobId, _one(opening));
    }
}
