// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../../contracts/interfaces/IChallenges.sol";
import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {IOrderEscrow} from "../../../contracts/interfaces/IOrderEscrow.sol";
import {IRowAttempts} from "../../../contracts/interfaces/IRowAttempts.sol";
import {IRowVerifier} from "../../../contracts/interfaces/IRowVerifier.sol";
import {OrderTerms} from "../../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./RowMarket.sol";

/// @notice A market with the row verifier that is shipped, where shard 1 has a real model: eight columns of four bytes,
/// rows of 32. Its rows are junk but for those that a test sets.
abstract contract ModelMarket is RowMarket {
    IRowVerifier internal judge;
    IRowAttempts internal attempts;
    bytes internal model;
    bytes internal conditions;
    bytes32 internal modelDigest;
    bytes32 private _conditionsDigest;
    bytes32 internal order;
    uint256 internal id;
    mapping(uint256 row => bytes32) internal rowOf;

    function setUp() public virtual override {
        super.setUp();
        judge = IRowVerifier(address(verifier));
        attempts = IRowAttempts(address(challenges));
    }

    function _createVerifier() internal override returns (address) {
        return _create("RowVerifier", "");
    }

    function _models() internal view override returns (bytes32[] memory models) {
        models = super._models();
        models[1] = modelDigest;
    }

    function _modelBytes(uint32 shard) internal view override returns (bytes memory) {
        return shard == 1 ? model : super._modelBytes(shard);
    }

    function _conditionBytes() internal view override returns (bytes memory) {
        return conditions;
    }

    function _row(uint32 shard, uint256 row) internal view override returns (bytes32) {
        bytes32 set = shard == 1 ? rowOf[row] : bytes32(0);
        return set == 0 ? super._row(shard, row) : set;
    }

    function _judgedTerms() internal view returns (OrderTerms memory terms) {
        terms = _terms();
        (terms.schemaDigest, terms.sizeClass) = (SCHEMA, 1);
        terms.conditions = _conditionsDigest;
    }

    /// @dev An order whose shard 1 has this model, up to the seed.
    function _drawFor(bytes memory model_, bytes memory conditions_) internal {
        (model, conditions, modelDigest) = (model_, conditions_, sha256(model_));
        // Kept: a call of the precompile would spend a prank or an expected revert.
        if (conditions_.length != 0) _conditionsDigest = sha256(conditions_);
        order = _draw(_judgedTerms());
    }

    function _publishJudged() internal {
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        vm.prank(broker);
        id = datasets.publish(_judgedTerms(), _participants(), record);
    }

    function _query(uint256 row) internal view returns (IRowVerifier.RowQuery memory query) {
        query.modelDigest = modelDigest;
        query.seed = commitment.commitmentOf(order).seed;
        (query.schemaDigest, query.sizeClass) = (SCHEMA, 1);
        (query.shard, query.shardRows, query.requestRow) = (1, 300, 500);
        (query.chunk, query.row) = (uint64(row / ROWS_PER_CHUNK), uint32(row % ROWS_PER_CHUNK));
    }

    /// @dev The first attempt from `from` on that meets the conditions; 64 for none.
    function _firstMet(uint256 row, uint256 from) internal view returns (uint256) {
        IRowVerifier.RowQuery memory query = _query(row);
        query.attempt = from;
        return judge.tryAttempts(model, new address[](0), conditions, query, 64);
    }

    function _attempt(uint256 row, uint256 number) internal view returns (bytes32) {
        IRowVerifier.RowQuery memory query = _query(row);
        query.attempt = number;
        return bytes32(judge.rowOf(model, conditions, query));
    }

    function _try(uint256 row, uint256 count) internal {
        attempts.tryAttempts(_query(row), conditions, model, new address[](0), count);
    }

    /// @dev The question is put together first: what it reads would spend the expected revert.
    function _tryInVain(uint256 row, uint256 made) internal {
        IRowVerifier.RowQuery memory query = _query(row);
        bytes32 key = attempts.attemptsId(query, conditions);
        vm.expectRevert(abi.encodeWithSelector(IRowAttempts.Challenges_NoFurther.selector, key, made));
        attempts.tryAttempts(query, conditions, model, new address[](0), 1);
    }

    function _made(uint256 row) internal view returns (uint256) {
        return attempts.attemptsOf(attempts.attemptsId(_query(row), conditions)).made;
    }

    function _judgedEvidence(
        IChallenges.Claim memory claim
    ) internal view returns (IChallenges.Evidence memory evidence) {
        evidence = _evidence(claim);
        evidence.conditions = conditions;
    }

    /// @dev A challenge with no more gas than a transaction may have.
    function _challenge(uint256 row, address challenger, bytes memory reason) internal {
        IChallenges.Claim memory claim = _claim(id, 1, row);
        IChallenges.Evidence memory evidence = _judgedEvidence(claim);
        OrderTerms memory terms = _judgedTerms();
        if (reason.length != 0) vm.expectRevert(reason);
        vm.prank(challenger);
        challenges.challenge{gas: CAP}(terms, _participants(), claim, evidence, SALT, _noParents());
    }

    /// @dev Shard 1 is out, half of its stake is the challenger's, and the order goes on.
    function assertConvicted(address challenger) internal view {
        assertOut(order, 1);
        assertBalance(challenger, _stakeOf(1) / 2);
        assertState(order, IOrderEscrow.State.Published);
    }

    function _agrees(uint256 row) internal view returns (bytes memory) {
        IChallenges.Claim memory claim = _claim(id, 1, row);
        bytes4 cause = IChallenges.Challenges_RowAgrees.selector;
        return abi.encodeWithSelector(cause, id, 1, claim.chunk, claim.row);
    }

    // -- models -------------------------------------------------------------------------------------------------

    function _rareModel(bytes32 schema) internal pure returns (bytes memory) {
        return _smallModel(schema, 0xf7);
    }

    /// @dev 64-128-128-240, 55,296 multiplications an attempt: column 0 has 233 codes, of which code 0 is drawn never.
    function _heavyModel() internal pure returns (bytes memory) {
        bytes memory codes;
        for (uint32 k = 0; k < 233; ++k) codes = bytes.concat(codes, bytes4(k), hex"00000001");
        for (uint256 k = 0; k < 7; ++k) codes = bytes.concat(codes, hex"0000000080000000");
        bytes memory head = bytes.concat(hex"54534d3101ff000800f0004002000000", SCHEMA, TABLES, hex"00800080");
        bytes memory columns = hex"00e904000104000104000104000104000104000104000104";
        bytes memory body = bytes.concat(_hidden(64), _hidden(128), _filled(128 * 240, 0x01), _filled(240, 0x1f));
        return bytes.concat(head, columns, codes, body, hex"fffffce0", new bytes(4 * 239));
    }

    /// @dev Rows with value `value` in column 0.
    function _only(uint32 value) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"0001000003e80001000000000001", value, value);
    }

    function _hidden(uint256 inputs) private pure returns (bytes memory) {
        return bytes.concat(_filled(inputs * 128, 0x01), new bytes(4 * 128), _filled(128, 0x1f));
    }

    function _filled(uint256 length, bytes1 value) internal pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 k = 0; k < length; ++k) data[k] = value;
    }
}
