// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket, IMarketTypes} from "../src/IMarket.sol";
import {MorphwareToken} from "../src/MorphwareToken.sol";
import {Cheats} from "./Cheats.sol";

/// @notice A market with one user, bidders and validators, deployed from the committed artifacts, with the numbers of
///         PROTOCOL.md 5.3 (reserve 100, fee 2, seat stake 70), and what has to hold after every call.
abstract contract Scene is IMarketTypes {
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint96 internal constant SUPPLY = 1e27;
    uint96 internal constant PURSE = 10_000; // wei that each account deposits
    uint96 internal constant RESERVE = 100;
    uint96 internal constant FEE = 2;
    uint96 internal constant STAKE = 70;
    uint96 internal constant BOND = RESERVE / 2;
    uint256 internal constant SEATS = 5;
    uint256 internal constant WORKERS = 5;

    bytes32 internal constant USER_SEED = "user seed";
    bytes32 internal constant WORKER_SEED = "worker seed";
    bytes32 internal constant MODEL_HASH = "model";
    bytes32 internal constant X = "x";
    bytes32 internal constant Y = "y";
    bytes internal constant TRAIN_KEYS = "the training key, of 32 bytes...the code's key, also of 32 bytes";
    bytes internal constant TEST_KEYS = "the testing key, of 32 bytes....the code's key, also of 32 bytes";

    MorphwareToken internal token;
    IMarket internal market;
    address internal bank;
    address internal user;
    address internal stranger;
    address[] internal workers;
    address[] internal validators;
    address[] internal accounts; // all that own anything
    mapping(address account => uint256 key) internal keys;
    bytes32[] internal jobs;

    /// @dev Wei that all amounts are multiples of: one, unless a test looks at what is less than a thousandth of them.
    uint96 internal unit = 1;

    // What `_terms` says; a test that needs other terms sets them first.
    uint96 internal reserve = RESERVE;
    uint8 internal seats = uint8(SEATS);
    uint8 internal options;
    int64 internal baseline;
    bytes32 internal userSeed = USER_SEED;
    bytes32 internal trainKeyHash = keccak256(TRAIN_KEYS);
    bytes32 internal testKeyHash = keccak256(TEST_KEYS);

    /// @dev Of so many findings one is audited; a test that is about audits, or walks at random, sets it before setUp.
    uint32 internal auditOneIn;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        bank = _named("bank");
        user = _named("user");
        stranger = _named("stranger");
        token = MorphwareToken(_deploy("MorphwareToken", abi.encode(bank, SUPPLY)));
        market = IMarket(_deploy("Market", abi.encode(token, STAKE * unit, _timing())));
        _enrol(user);
        _enrol(stranger);
        for (uint256 i = 0; i < WORKERS; ++i) {
            workers.push(_named(string.concat("worker", vm.toString(i))));
            _enrol(workers[i]);
        }
        _addValidators(_validatorCount());
        _checkConserved();
    }

    /// @dev Enough for a first committee and its first appeal.
    function _validatorCount() internal pure virtual returns (uint256) {
        return SEATS + 11;
    }

    function _timing() internal view returns (Timing memory) {
        return Timing({
            revealingSeconds: 11,
            keySeconds: 12,
            ackSeconds: 13,
            disputeSeconds: 14,
            seedSeconds: 15,
            keyingSeconds: 16,
            reportRevealSeconds: 17,
            appealSeconds: 18,
            claimSeconds: 19,
            inspectSeconds: 20,
            drawSeconds: 21,
            unbondingSeconds: 1_000,
            seedBlocks: 2,
            auditOneIn: auditOneIn
        });
    }

    function _terms() internal view returns (Terms memory) {
        return Terms({
            reserve: reserve * unit,
            fee: FEE * unit,
            seats: seats,
            threshold: 900_000,
            tolerance: 1_000,
            fingerprintTolerance: 10_000, // 1e-5
            biddingSeconds: 10,
            trainingSeconds: 60,
            testingSeconds: 30,
            estimatedSeconds: 40,
            trainKeyHash: trainKeyHash,
            testKeyHash: testKeyHash,
            seedHash: keccak256(abi.encode(userSeed)),
            options: options,
            baseline: baseline
        });
    }

    /// @dev An account that can sign.
    function _named(string memory name) internal returns (address account) {
        uint256 key = uint256(keccak256(bytes(name)));
        account = vm.addr(key);
        keys[account] = key;
    }

    function _deploy(string memory name, bytes memory arguments) internal returns (address deployed) {
        bytes memory code = abi.encodePacked(vm.getCode(string.concat("artifacts/", name, ".json")), arguments);
        assembly {
            deployed := create(0, add(code, 32), mload(code))
        }
        vm.assertTrue(deployed != address(0), "artifact did not deploy");
    }

    function _enrol(address account) internal {
        accounts.push(account);
        _fund(account, PURSE * unit);
    }

    function _fund(address account, uint96 amount) internal {
        vm.prank(bank);
        token.transfer(account, amount);
        vm.prank(account);
        token.approve(address(market), amount);
        vm.prank(account);
        market.deposit(amount);
    }

    /// @dev Validators of one seat each, staked one second ago.
    function _addValidators(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            address validator = _named(string.concat("validator", vm.toString(validators.length)));
            validators.push(validator);
            _enrol(validator);
            vm.prank(validator);
            market.stake(1);
        }
        vm.warp(block.timestamp + 1);
    }

    function _stake(address account, uint16 count) internal {
        vm.prank(account);
        market.stake(count);
        vm.warp(block.timestamp + 1);
    }

    // ---- what must hold after every call

    /// @dev I1, I5: no wei is made or lost, and a closed job holds nothing.
    function _checkConserved() internal view virtual {
        int256 sum = int256(market.burned() + market.auditPool() + market.seatCount() * STAKE * unit);
        for (uint256 i = 0; i < accounts.length; ++i) {
            sum += int256(market.freeBalance(accounts[i]));
        }
        for (uint256 i = 0; i < jobs.length; ++i) {
            Job memory job = market.job(jobs[i]);
            sum += job.held;
            if (job.state == State.CLOSED) vm.assertEq(job.held, 0, "a closed job holds nothing");
        }
        vm.assertEq(sum, int256(market.total()), "conservation");
        vm.assertEq(market.total(), token.balanceOf(address(market)), "the books and the token agree");
    }

    /// @dev What an account has won or lost since the start: free balance and stakes against its purse.
    function _net(address account) internal view returns (int256) {
        return int256(market.freeBalance(account) + _seatsOf(account) * STAKE * unit) - int256(uint256(PURSE) * unit);
    }

    function _seatsOf(address account) internal view returns (uint256 count) {
        uint256 numbers = market.nextSeat();
        for (uint32 i = 0; i < numbers; ++i) {
            if (market.seat(i).owner == account) ++count;
        }
    }
}
