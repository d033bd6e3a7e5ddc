// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Training} from "./Training.sol";

/// @title Who tests the model, and what the tests say: draw, keys, sealed reports, tally.
/// @notice X_DISPUTE and DISCLOSE (a key is missing; its owner discloses it in clear) belong into KEYING and VCOMMIT;
///         DRAWING (a larger committee after an appeal) follows TALLIED, with `round` counted up.
abstract contract Committee is Training {
    bytes32 internal constant REPORT_TYPEHASH = keccak256(
        "Report(uint256 chainId,address market,bytes32 jobId,uint8 round,address validator,int64 metric,int64 fingerprint,bytes32 predictionRoot,bytes32 salt)"
    );

    /// @dev Attempts of one draw: bounds its gas where most seats are ineligible.
    uint256 internal constant MOST_DRAWS = 256;
    /// @dev The EVM knows the hashes of this many blocks.
    uint256 internal constant BLOCKHASH_WINDOW = 256;

    /// @notice The user reveals its share of the seed, after the block whose hash goes in: the committee is drawn.
    function revealSeed(bytes32 jobId, bytes32 userSeed) external {
        Job storage job_ = _live(jobId, State.SEED);
        _onlyCaller(job_.user);
        _onlyPreimage(userSeed, job_.seedHash);
        if (block.number <= job_.seedBlock) revert SeedBlockPending(job_.seedBlock, block.number);
        // seedBlock while its hash is known; after that the newest known block at a multiple of the window from it,
        // so that waiting is worth one more throw each window and can never leave the job without a hash.
        uint256 latest = block.number - 1;
        bytes32 hash = blockhash(latest - ((latest - job_.seedBlock) % BLOCKHASH_WINDOW));
        bytes32 seed = keccak256(abi.encode(userSeed, job_.workerSeed, hash, jobId));
        address[] memory validators = _draw(jobId, job_, seed);
        if (validators.length == 0) {
            _closeInconclusive(jobId, job_);
            return;
        }
        emit CommitteeDrawn(jobId, job_.round, seed, validators);
        _enter(jobId, job_, State.KEYING);
    }

    /// @notice The user hands the testing and code keys to each validator, sealed, in the committee's order.
    function postTestKeys(bytes32 jobId, bytes[] calldata boxes) external {
        Job storage job_ = _live(jobId, State.KEYING);
        _onlyCaller(job_.user);
        if (job_.isUserKeyed) revert AlreadyDone(jobId, msg.sender);
        _checkBoxes(jobId, boxes);
        job_.isUserKeyed = true;
        emit TestKeysPosted(jobId, boxes);
        if (job_.isWorkerKeyed) _enter(jobId, job_, State.VCOMMIT);
    }

    /// @notice The winner hands both halves of the model's key to each validator, sealed, in the committee's order.
    function postModelKeys(bytes32 jobId, bytes[] calldata boxes) external {
        Job storage job_ = _live(jobId, State.KEYING);
        _onlyCaller(job_.winner);
        if (job_.isWorkerKeyed) revert AlreadyDone(jobId, msg.sender);
        _checkBoxes(jobId, boxes);
        job_.isWorkerKeyed = true;
        emit ModelKeysPosted(jobId, boxes);
        if (job_.isUserKeyed) _enter(jobId, job_, State.VCOMMIT);
    }

    /// @notice A drawn validator commits to its report. The last one ends the phase.
    function commitReport(bytes32 jobId, bytes32 commitment) external {
        Job storage job_ = _live(jobId, State.VCOMMIT);
        Member[] storage members = _committees[jobId];
        uint256 index = _indexOf(members, msg.sender);
        if (index == members.length) revert NotOnCommittee(msg.sender);
        Member storage member = members[index];
        if (member.hasCommitted) revert AlreadyDone(jobId, msg.sender);
        member.hasCommitted = true;
        member.commitment = commitment;
        emit ReportCommitted(jobId, job_.round, msg.sender, commitment);
        if (++job_.committed == members.length) _enter(jobId, job_, State.VREVEAL);
    }

    /// @notice Opens reports, anybody's; as with bids, what is open already is passed over. The last one ends the phase.
    function revealReports(bytes32 jobId, Report[] calldata reports) external {
        Job storage job_ = _live(jobId, State.VREVEAL);
        Member[] storage members = _committees[jobId];
        for (uint256 i = 0; i < reports.length; ++i) {
            _openReport(jobId, job_, members, reports[i]);
        }
        if (job_.revealed == members.length) _tally(jobId, job_);
    }

    /// @dev The reports are in, or their time is over: with a quorum there is a verdict, without one there is an end.
    function _tally(bytes32 jobId, Job storage job_) internal {
        Member[] storage members = _committees[jobId];
        uint256 reports = job_.revealed;
        if (2 * reports <= members.length) {
            _closeInconclusive(jobId, job_);
            return;
        }
        int64[] memory metrics = new int64[](reports);
        int64[] memory fingerprints = new int64[](reports);
        uint256 noModel;
        uint256 noTest;
        uint256 measured;
        for (uint256 i = 0; i < members.length; ++i) {
            Member storage member = members[i];
            if (!member.hasRevealed) continue;
            if (member.metric == NO_MODEL_CODE) {
                ++noModel;
            } else if (member.metric == NO_TEST_CODE) {
                ++noTest;
            } else {
                _insert(metrics, measured, member.metric);
                _insert(fingerprints, measured++, member.fingerprint);
            }
        }
        if (2 * noModel > reports) {
            job_.verdict = Verdict.NO_MODEL;
        } else if (2 * noTest > reports) {
            job_.verdict = Verdict.NO_TEST;
        } else if (measured != 0) {
            int64 median = metrics[(measured - 1) / 2];
            job_.verdict = median >= job_.threshold ? Verdict.PASS : Verdict.FAIL;
            job_.metric = median;
            job_.fingerprint = fingerprints[(measured - 1) / 2];
        } else {
            _closeInconclusive(jobId, job_); // codes only, and none of them has a majority
            return;
        }
        emit RoundTallied(jobId, job_.round, job_.verdict, job_.metric, job_.fingerprint);
        _enter(jobId, job_, State.TALLIED);
    }

    /// @dev The rule of the draw, attempt by attempt, as the Python mirror has it: docs in README.md.
    function _draw(bytes32 jobId, Job storage job_, bytes32 seed) private returns (address[] memory validators) {
        uint256 wanted = job_.seats;
        uint256 inPlay = _freeList.length;
        uint32[] memory picked = new uint32[](wanted);
        validators = new address[](wanted);
        uint256 count;
        for (uint256 attempt = 0; attempt < MOST_DRAWS && count < wanted && inPlay != 0; ++attempt) {
            uint256 position = uint256(keccak256(abi.encode(seed, job_.round, attempt))) % inPlay;
            Seat storage record = _seat(_freeList[position]);
            --inPlay;
            if (_maySit(job_, record, validators, count)) {
                validators[count] = record.owner;
                picked[count++] = _takeFree(position, inPlay);
            } else {
                _passFree(position, inPlay);
            }
        }
        if (count != 0 && count % 2 == 0) _release(picked[--count]);
        address[] memory drawn = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            drawn[i] = validators[i];
            Member storage member = _committees[jobId].push();
            member.validator = validators[i];
            member.seat = picked[i];
        }
        return drawn;
    }

    /// @dev A seat sits in a job iff it was staked before the posting, and its owner is no party and not yet drawn.
    function _maySit(Job storage job_, Seat storage record, address[] memory drawn, uint256 count)
        private
        view
        returns (bool)
    {
        address owner = record.owner;
        if (record.since >= job_.postedAt || owner == job_.user || owner == job_.winner) return false;
        for (uint256 i = 0; i < count; ++i) {
            if (drawn[i] == owner) return false;
        }
        return true;
    }

    function _checkBoxes(bytes32 jobId, bytes[] calldata boxes) private view {
        uint256 wanted = _committees[jobId].length;
        if (boxes.length != wanted) revert WrongBoxCount(boxes.length, wanted);
        for (uint256 i = 0; i < wanted; ++i) {
            _onlyUpTo(boxes[i].length, MOST_BOX_BYTES);
        }
    }

    function _openReport(bytes32 jobId, Job storage job_, Member[] storage members, Report calldata report) private {
        bytes32 commitment = keccak256(
            abi.encode(
                REPORT_TYPEHASH,
                block.chainid,
                address(this),
                jobId,
                job_.round,
                report.validator,
                report.metric,
                report.fingerprint,
                report.predictionRoot,
                report.salt
            )
        );
        uint256 index = _indexOf(members, report.validator);
        if (index == members.length || members[index].commitment != commitment) revert UnknownCommitment(commitment);
        Member storage member = members[index];
        if (member.hasRevealed) return;
        member.hasRevealed = true;
        member.metric = report.metric;
        member.fingerprint = report.fingerprint;
        ++job_.revealed;
        emit ReportRevealed(
            jobId, job_.round, report.validator, report.metric, report.fingerprint, report.predictionRoot
        );
    }

    /// @dev At most MOST_SEATS members: a loop costs less than an index. The length means nobody.
    function _indexOf(Member[] storage members, address account) private view returns (uint256 index) {
        uint256 length = members.length;
        while (index < length && members[index].validator != account) ++index;
    }

    /// @dev Insertion into the ascending first `count` elements.
    function _insert(int64[] memory sorted, uint256 count, int64 value) private pure {
        while (count != 0 && sorted[count - 1] > value) {
            sorted[count] = sorted[count - 1];
            --count;
        }
        sorted[count] = value;
    }
}
