// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlindAuction} from "../src/baselines/BlindAuction.sol";
import {NaiveAuction} from "../src/baselines/NaiveAuction.sol";
import {MorphwareToken} from "../src/MorphwareToken.sol";
import {Cheats} from "./Cheats.sol";

/// @notice A yardstick that did not work would measure nothing: both baselines are whole auctions, to the wei.
contract BaselinesTest {
    Cheats private constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint96 private constant RESERVE = 100;
    uint96 private constant BOND = RESERVE / 2;
    uint40 private constant SECONDS = 10;
    address private constant NOWHERE = address(0xdead);
    bytes32 private constant SECRET = "secret";

    address[3] private _bidders = [address(0xa1), address(0xa2), address(0xa3)];
    BlindAuction private _blind;
    NaiveAuction private _naive;
    MorphwareToken private _token;
    uint256 private _time = 1_800_000_000;

    receive() external payable {}

    function setUp() public {
        vm.warp(_time);
        _token = new MorphwareToken(address(this), 1_000_000);
        _naive = new NaiveAuction(_token);
        _blind = new BlindAuction();
        _token.approve(address(_naive), RESERVE);
        for (uint256 i = 0; i < 3; ++i) {
            payable(_bidders[i]).transfer(BOND);
            _token.transfer(_bidders[i], BOND);
            vm.prank(_bidders[i]);
            _token.approve(address(_naive), BOND);
        }
    }

    // ---- the blind auction

    function test_TheLowestSealWinsWhatItAsked() public {
        uint256 id = _blind.open{value: RESERVE}(SECONDS, SECONDS);
        uint256 before = address(this).balance;
        _sealAll([uint96(40), 30, 50], false);
        for (uint256 i = 0; i < 3; ++i) _unseal(id, i, [uint96(40), 30, 50][i], false);
        vm.assertEq(_bidders[0].balance, 0); // outbid: it has to fetch its bond
        vm.prank(_bidders[0]);
        _blind.withdraw(id);
        _pass();
        _blind.end(id);
        vm.assertEq(_bidders[0].balance, BOND);
        vm.assertEq(_bidders[1].balance, BOND + 30);
        vm.assertEq(_bidders[2].balance, BOND);
        vm.assertEq(address(this).balance, before + RESERVE - 30);
        vm.assertEq(address(_blind).balance, 0);
        vm.expectPartialRevert(BlindAuction.AlreadyEnded.selector);
        _blind.end(id);
    }

    function test_AFakeSealNeverWinsAndIsSentBackOnce() public {
        uint256 id = _blind.open{value: RESERVE}(SECONDS, SECONDS);
        _sealAll([uint96(40), 30, 50], true);
        _unseal(id, 1, 30, true);
        _unseal(id, 1, 30, true);
        vm.assertEq(_bidders[1].balance, BOND);
        (address leader,) = _blind.leader(id);
        vm.assertEq(leader, address(0));
        _pass();
        _blind.end(id);
        vm.assertEq(address(_blind).balance, 2 * BOND); // what stays sealed is stuck, as in the documentation
    }

    // ---- the naive auction

    function test_TheLowestBidWinsAtTheSecondPriceAndUnopenedBondsBurn() public {
        uint256 id = _naive.post(RESERVE, SECONDS, SECONDS);
        uint96[3] memory prices = [uint96(40), 30, 30];
        for (uint256 i = 0; i < 3; ++i) _commit(id, i, prices[i]);
        _pass();
        for (uint256 i = 1; i < 3; ++i) _naive.reveal(id, i, prices[i], true, 60, SECRET);
        vm.expectPartialRevert(NaiveAuction.AlreadyOpened.selector);
        _naive.reveal(id, 1, 30, true, 60, SECRET);
        vm.expectPartialRevert(NaiveAuction.WrongPreimage.selector);
        _naive.reveal(id, 0, 41, true, 60, SECRET);
        _pass();
        _naive.award(id);
        (address winner, uint96 price) = _naive.result(id);
        vm.assertEq(winner, _bidders[1]); // the earlier of two equal ones
        vm.assertEq(price, 30);
        vm.assertEq(_token.balanceOf(_bidders[2]), BOND);
        vm.assertEq(_token.balanceOf(NOWHERE), BOND);
        vm.assertEq(_token.balanceOf(address(_naive)), RESERVE + BOND);
    }

    function test_WithoutABidTheReserveComesBack() public {
        uint256 id = _naive.post(RESERVE, SECONDS, SECONDS);
        uint256 before = _token.balanceOf(address(this));
        _pass();
        vm.expectPartialRevert(NaiveAuction.TooEarly.selector);
        _naive.award(id);
        _pass();
        _naive.award(id);
        vm.assertEq(_token.balanceOf(address(this)), before + RESERVE);
    }

    // ---- steps

    function _pass() private {
        _time += SECONDS;
        vm.warp(_time);
    }

    function _sealAll(uint96[3] memory values, bool fake) private {
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(_bidders[i]);
            _blind.bid{value: BOND}(0, keccak256(abi.encodePacked(values[i], fake, SECRET)));
        }
        _pass();
    }

    function _unseal(uint256 id, uint256 bidder, uint96 value, bool fake) private {
        uint96[] memory values = new uint96[](1);
        bool[] memory fakes = new bool[](1);
        bytes32[] memory secrets = new bytes32[](1);
        (values[0], fakes[0], secrets[0]) = (value, fake, SECRET);
        vm.prank(_bidders[bidder]);
        _blind.reveal(id, values, fakes, secrets);
    }

    function _commit(uint256 id, uint256 bidder, uint96 price) private {
        bytes32 commitment = keccak256(
            abi.encode(block.chainid, address(_naive), id, _bidders[bidder], price, true, uint32(60), SECRET)
        );
        vm.prank(_bidders[bidder]);
        _naive.commit(id, commitment);
    }
}
