// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Proof} from "./Proof.sol";

/// @notice No call makes, loses or strands a wei: what the parties, the seats and the ashes gain is what the job held. And
///         no settlement can fail: whatever the amounts and the verdict, the poke that closes a job succeeds.
abstract contract Conservation is Proof {
    address private constant BANK = address(0xBA4C);
    address private constant FIRST_APPELLANT = address(0x3001);
    address private constant SECOND_APPELLANT = address(0x3002);
    uint256 private constant COMMITTEE = 3;

    /// @dev What a job may be at its end. The market's total fits 96 bits, so no job's amounts come near them.
    struct Job_ {
        uint88 reserve;
        uint72 fee;
        uint88 price;
        uint8 appeals;
        uint8 doubted; // the verdict that the first appeal doubted
        uint8 doubtedNext;
    }

    /// @dev A job's money, and what its committee reported. Of a kind each: 0 has nothing of this job, 1 has a commitment
    ///      that was not opened, 2 has reported.
    struct Reports_ {
        uint88 reserve;
        uint72 fee;
        uint8[3] kinds;
        int64[3] metrics;
        uint8 strikes;
    }

    function check_deposit_and_withdraw_move_what_they_say(uint96 amount, uint96 back) external {
        vm.prank(BANK);
        _token.transfer(USER, amount);
        vm.prank(USER);
        _token.approve(address(this), amount);
        vm.prank(USER);
        _market().deposit(amount);
        assert(_free[USER] == amount && _total == amount && _token.balanceOf(address(this)) == amount);
        vm.prank(USER);
        (bool isDone, bytes4 refusal) = _try(abi.encodeCall(_market().withdraw, (back)));
        assert(isDone == (back <= amount));
        assert(isDone || refusal == InsufficientBalance.selector);
        uint256 left = isDone ? amount - back : amount;
        assert(_free[USER] == left && _total == left && _token.balanceOf(address(this)) == left);
        assert(_token.balanceOf(USER) == amount - left);
    }

    function check_post_takes_what_the_job_holds(uint96 balance, uint96 reserve, uint96 fee) external {
        vm.warp(NOW);
        _free[USER] = balance;
        _freeSeats = 100;
        Terms memory terms;
        terms.reserve = reserve;
        terms.fee = fee;
        terms.seats = 5;
        terms.biddingSeconds = terms.trainingSeconds = terms.testingSeconds = 60;
        vm.prank(USER);
        try _market().post(terms, "") returns (bytes32 jobId) {
            assert(int256(uint256(balance)) == int256(_free[USER]) + _market().job(jobId).held);
            assert(_burned == 0);
        } catch {
            assert(_free[USER] == balance);
        }
    }

    function check_seats_hold_what_they_cost(uint128 balance, uint8 count) external {
        vm.assume(count <= 3);
        count = _each(count, 0, 1, 2, 3); // memory is laid out for a number
        _free[USER] = balance;
        vm.prank(USER);
        (bool isDone,) = _try(abi.encodeCall(_market().stake, (count)));
        assert(isDone == (count != 0 && balance >= uint256(count) * STAKE));
        assert(_free[USER] == (isDone ? balance - uint256(count) * STAKE : balance));
        assert(_seatCount() == (isDone ? count : 0) && _freeSeats == _seatCount());
    }

    function check_a_seat_gives_back_what_it_cost(uint40 since, uint40 freeAt, bool isBusy, uint40 time) external {
        _seats[0] = Seat(USER, since, freeAt, isBusy);
        _nextSeat = 1;
        vm.warp(time);
        vm.prank(USER);
        (bool isDone,) = _try(abi.encodeCall(_market().unstake, (0)));
        assert(isDone == (freeAt != 0 && !isBusy && time >= freeAt));
        assert(_free[USER] == (isDone ? STAKE : 0));
        assert(_seatCount() == (isDone ? 0 : 1));
    }

    /// @notice Unopened bonds burn, less the poker's bounty.
    function check_award_with_unopened_bids(uint88 reserve, uint72 fee) external {
        _proveAward(reserve, fee, 3, WINNER);
    }

    function check_award_with_all_bids_opened(uint88 reserve, uint72 fee) external {
        _proveAward(reserve, fee, 0, WINNER);
    }

    /// @notice Without a winner the user has everything back.
    function check_award_without_a_winner(uint88 reserve, uint72 fee) external {
        _proveAward(reserve, fee, 3, address(0));
    }

    /// @notice This is false, and has to be refuted: a poke's bounty comes out of what would burn.
    function false_award_without_a_winner_burns_whole_bonds(uint88 reserve, uint72 fee) external {
        _proveAward(reserve, fee, 3, address(0));
        assert(_burned == 3 * (uint256(reserve) / 2));
    }

    function check_settlement_of_user_fault(Job_ calldata job_) external {
        _proveSettlement(job_, State.AWARDED, Verdict.NONE);
    }

    function check_settlement_of_mutual_abort(Job_ calldata job_) external {
        _proveSettlement(job_, State.KEYED, Verdict.NONE);
    }

    function check_settlement_of_worker_fault(Job_ calldata job_) external {
        _proveSettlement(job_, State.TRAINING, Verdict.NO_MODEL);
    }

    function check_settlement_of_rejected(Job_ calldata job_) external {
        _proveSettlement(job_, State.TALLIED, Verdict.FAIL);
    }

    function check_settlement_of_inconclusive(Job_ calldata job_) external {
        _proveSettlement(job_, State.TALLIED, Verdict.NONE);
    }

    function check_settlement_of_paid(Job_ calldata job_) external {
        _proveSettlement(job_, State.INSPECT, Verdict.PASS);
    }

    function check_settlement_of_paid_though_the_test_set_was_withheld(Job_ calldata job_) external {
        _proveSettlement(job_, State.TALLIED, Verdict.NO_TEST);
    }

    /// @notice Whatever three validators reported or did not: a proof for each number of reports.
    function check_settlement_of_a_silent_committee(Reports_ calldata reports) external {
        _proveCommittee(reports, 0);
    }

    function check_settlement_of_a_committee_with_one_report(Reports_ calldata reports) external {
        _proveCommittee(reports, 1);
    }

    function check_settlement_of_a_committee_with_two_reports(Reports_ calldata reports) external {
        _proveCommittee(reports, 2);
    }

    function check_settlement_of_a_committee_with_all_reports(Reports_ calldata reports) external {
        _proveCommittee(reports, COMMITTEE);
    }

    /// @dev The number is the same on each path, as each kind is a path of its own.
    function _proveCommittee(Reports_ calldata given, uint256 reports) private {
        Record storage record = _put(State.TALLIED, given.reserve, given.fee, uint8(COMMITTEE));
        record.winner = WINNER;
        record.price = given.reserve;
        record.verdict = Verdict.FAIL;
        uint256 marks;
        uint256 opened;
        for (uint32 i = 0; i < COMMITTEE; ++i) {
            vm.assume(given.kinds[i] <= 2);
            uint8 kind = _each(given.kinds[i], 0, 1, 2, 2);
            if (kind == 2) ++opened;
            _seats[i] = Seat(_validator(i), 1, 0, true);
            // A report that is of another job lies by every seat that has none of this one.
            _reports[i] = kind == 1 ? _seal("commitment", _validator(i)) : _pack(given.metrics[i], 0);
            if (kind != 0) marks |= _markOf(i);
        }
        vm.assume(opened == reports);
        _strikes[0] = Strikes(given.strikes % 3, uint40(NOW));
        _rounds[JOB][0].seats[0] = COMMITTEE | marks | (0 << 64) | (1 << 96) | (2 << 128);
        _nextSeat = uint24(COMMITTEE);
        _busySeats = uint16(COMMITTEE);
        int256 before = _market().job(JOB).held + int256(COMMITTEE * STAKE);
        _poke();
        int256 paid = _credited();
        for (uint256 i = 0; i < COMMITTEE; ++i) {
            paid += int256(_free[_validator(i)]);
        }
        assert(record.state == State.CLOSED);
        assert(before == paid + int256(_seatCount() * STAKE));
    }

    function _proveAward(uint88 reserve, uint72 fee, uint32 unopened, address winner) private {
        Record storage record = _put(State.REVEALING, reserve, fee, 5);
        record.commitments = unopened;
        record.winner = winner;
        int256 held = _market().job(JOB).held;
        _poke();
        assert(held == _credited() + _market().job(JOB).held);
    }

    function _proveSettlement(Job_ calldata job_, State state, Verdict verdict) private {
        vm.assume(job_.price <= job_.reserve && job_.appeals <= 2);
        vm.assume(job_.doubted <= uint8(Verdict.NO_TEST) && job_.doubtedNext <= uint8(Verdict.NO_TEST));
        // Of two factors that both are symbols no solver says much: the committee is of five, and the fee is any.
        Record storage record = _put(state, job_.reserve, job_.fee, 5);
        record.winner = WINNER;
        record.price = job_.price;
        record.verdict = verdict;
        record.flags = CLAIMED;
        record.appeals = _each(job_.appeals, 0, 1, 2, 2); // each a path of its own
        _appeals[JOB][0] = Appeal(FIRST_APPELLANT, 11, Verdict(job_.doubted), 0);
        _appeals[JOB][1] = Appeal(SECOND_APPELLANT, 23, Verdict(job_.doubtedNext), 1);
        int256 held = _market().job(JOB).held;
        _poke();
        assert(record.state == State.CLOSED);
        assert(held == _credited());
    }

    function _put(State state, uint96 reserve, uint96 fee, uint8 seats) private returns (Record storage record) {
        vm.warp(NOW);
        record = _records[JOB];
        record.user = USER;
        record.state = state;
        record.deadline = uint40(NOW);
        record.reserve = reserve;
        record.fee = fee;
        record.seats = seats;
    }

    /// @dev The value, which is one of these, as a number on a path of its own.
    function _each(uint8 value, uint8 a, uint8 b, uint8 c, uint8 d) private pure returns (uint8) {
        if (value == a) return a;
        if (value == b) return b;
        if (value == c) return c;
        assert(value == d);
        return d;
    }

    function _poke() private {
        (bool isDone,) = _try(abi.encodeCall(_market().poke, (JOB)));
        assert(isDone);
    }

    /// @dev What the poke has given to anybody or to the audit pool, and burned. The poker is this contract.
    function _credited() private view returns (int256) {
        return int256(
            _free[USER] + _free[WINNER] + _free[address(this)] + _free[FIRST_APPELLANT] + _free[SECOND_APPELLANT] + _burned
                + _auditPool
        );
    }

    function _seatCount() private view returns (uint256) {
        return _nextSeat - _freed.length;
    }

    function _validator(uint256 i) private pure returns (address) {
        return address(uint160(0x4000 + i));
    }
}
