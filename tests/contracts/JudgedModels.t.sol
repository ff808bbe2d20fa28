// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../contracts/interfaces/IChallenges.sol";
import {IRowVerifier} from "../../contracts/interfaces/IRowVerifier.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {ModelMarket} from "./support/ModelMarket.sol";

/// @notice Models that the terms do not allow, before the verifier that is shipped: for another schema, or beyond the size
/// class that was promised.
/// @dev Plan:
/// challengeModel and challenge
///   given the schema and the class of the terms: reverts
///   given another schema: convicts
///   given more bytes, columns, codes or multiplications than the class has: convicts, below the cap; not where no class was
///   promised
contract JudgedModelsTest is ModelMarket {
    uint8 private _sizeClass = 1;

    function _terms1() private view returns (OrderTerms memory terms) {
        terms = _judgedTerms();
        terms.sizeClass = _sizeClass;
    }

    function _publishModel(bytes memory model_) private {
        (model, modelDigest) = (model_, sha256(model_));
        (order, id) = _publishRows(_terms1());
    }

    /// @dev Shows the model; expects `verdict`, or, for `Agrees`, that it stands.
    function _challengeModel(IRowVerifier.Verdict verdict) private {
        IChallenges.Claim memory claim = IChallenges.Claim(id, 1, type(uint64).max, 0);
        _commitTo(claim, stranger);
        bool stands = verdict == IRowVerifier.Verdict.Agrees;
        bytes4 cause = IChallenges.Challenges_ModelIsSound.selector;
        if (stands) {
            vm.expectRevert(abi.encodeWithSelector(cause, id, 1));
        } else {
            vm.expectEmit();
            emit IChallenges.FalseModel(id, 1, stranger, verdict);
        }
        vm.prank(stranger);
        challenges.challengeModel{gas: CAP}(
            _terms1(),
            _participants(),
            id,
            1,
            _models(),
            model,
            new address[](0),
            SALT,
            _noParents()
        );
        if (stands) assertEq(escrow.shardsOf(order).out, 0, "shards that are out");
        else assertConvicted(stranger);
    }

    function _challengeRow(IRowVerifier.Verdict verdict) private {
        IChallenges.Claim memory claim = _claim(id, 1, 7);
        _commitTo(claim, stranger);
        IChallenges.Evidence memory evidence = _evidence(claim);
        vm.expectEmit();
        emit IChallenges.FalseRow(id, 1, claim.chunk, claim.row, stranger, verdict);
        vm.prank(stranger);
        challenges.challenge{gas: CAP}(_terms1(), _participants(), claim, evidence, SALT, _noParents());
        assertConvicted(stranger);
    }

    // -- B2: the schema -----------------------------------------------------------------------------------------

    function test_B2_AModelOfTheOrdersSchemaStands() public {
        _publishModel(_rareModel(SCHEMA));
        _challengeModel(IRowVerifier.Verdict.Agrees);
    }

    /// @dev Before: RowAgrees and ModelIsSound.
    function test_B2_AModelOfAnotherSchemaConvicts() public {
        _publishModel(_rareModel(keccak256("another schema")));
        _challengeModel(IRowVerifier.Verdict.OtherSchema);
    }

    function test_B2_ATrueRowOfAModelOfAnotherSchemaConvicts() public {
        _drawFor(_rareModel(keccak256("another schema")), "");
        rowOf[7] = _attempt(7, 0);
        _publishJudged();
        _challengeRow(IRowVerifier.Verdict.OtherSchema);
    }

    // -- B3: the class ------------------------------------------------------------------------------------------

    /// @dev Before: 24.8 M gas for 2,600 columns. 28 bytes a column: 73 kB.
    function test_B3_AModelOf2600ColumnsConvictsBelowTheCap() public {
        _publishModel(_wide(2_600));
        assertAtMost(model.length, 80_000, "bytes");
        _challengeModel(IRowVerifier.Verdict.OutsideClass);
        assertAtMost(vm.lastCallGas().gasTotalUsed, 4_000_000, "gas");
    }

    function test_B3_ARowOfAModelOf2600ColumnsConvicts() public {
        _publishModel(_wide(2_600));
        _challengeRow(IRowVerifier.Verdict.OutsideClass);
    }

    function test_B3_TheMostColumnsOfTheClassStand() public {
        _publishModel(_wide(128));
        _challengeModel(IRowVerifier.Verdict.Agrees);
    }

    function test_B3_OneColumnMoreThanTheClassHasConvicts() public {
        _publishModel(_wide(129));
        _challengeModel(IRowVerifier.Verdict.OutsideClass);
    }

    function test_B3_WhereNoClassWasPromisedTheModelStands() public {
        _sizeClass = 0;
        _publishModel(_wide(129));
        _challengeModel(IRowVerifier.Verdict.Agrees);
    }

    /// @dev No need to read what is too long.
    function test_B3_AModelOf80001BytesConvictsByItsLength() public {
        _publishModel(_filled(80_001, 0x01));
        _challengeModel(IRowVerifier.Verdict.OutsideClass);
    }

    function test_B3_MoreCodesOrMultiplicationsThanTheClassHasConvict() public {
        bytes memory head = _rareModel(SCHEMA);
        // 1,025 codes in the header
        (head[8], head[9]) = (0x04, 0x01);
        _assertModel(head, IRowVerifier.Verdict.OutsideClass);
        // 6,400 neurons with one input and nine outputs each are 64,000 multiplications; the bytes are none all the same
        head = _rareModel(SCHEMA);
        (head[80], head[81]) = (0x19, 0x00);
        _assertModel(head, IRowVerifier.Verdict.Malformed);
        head[81] = 0x01;
        _assertModel(head, IRowVerifier.Verdict.OutsideClass);
    }

    function _assertModel(bytes memory data, IRowVerifier.Verdict expected) private view {
        IRowVerifier.Verdict found = judge.judgeModel(data, new address[](0), SCHEMA, 1);
        assertEq(uint256(found), uint256(expected), "verdict");
    }

    /// @dev Columns of one byte and one code each: 3 + 8 + 1 + 1 + 4 bytes of codebook and output layer.
    function _wide(uint16 columns) private pure returns (bytes memory) {
        bytes memory book = new bytes(3 * uint256(columns));
        bytes memory codes = new bytes(8 * uint256(columns));
        for (uint256 k = 0; k < columns; ++k) {
            (book[3 * k + 1], book[3 * k + 2]) = (0x01, 0x01);
            codes[8 * k + 7] = 0x01;
        }
        bytes memory head = abi.encodePacked(
            hex"54534d3101ff",
            columns,
            columns,
            hex"000101000000",
            SCHEMA,
            TABLES
        );
        return bytes.concat(head, hex"0001", book, codes, new bytes(6), new bytes(6 * uint256(columns)));
    }
}
