// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChallenges} from "../../../contracts/interfaces/IChallenges.sol";
import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {OrderTerms} from "../../../contracts/types/OrderTerms.sol";
import {Market} from "./Market.sol";

/// @notice A market whose data sets have rows: words of 32 bytes, 128 a chunk, under real trees; one row may be false.
abstract contract RowMarket is Market {
    uint256 internal constant ROWS_PER_CHUNK = 128;
    uint32 internal constant ROW_WIDTH = 32;
    bytes32 internal constant SALT = keccak256("salt");
    bytes32 internal constant SCHEMA = keccak256("schema");
    bytes32 internal constant TABLES = 0xf5d60c326204acfbbd9529cc8deacfbbd5954852296b675873b796c6b8c75475;
    /// @dev Gas that a transaction may have (EIP-7825).
    uint256 internal constant CAP = 16_777_216;

    /// @dev The shard whose row is false; 3 for none.
    uint32 internal liar = 3;
    uint256 internal falseRow;

    /// @dev Publishes an order with rows, shard `shard` with the false row `row`.
    function _publishFalse(
        OrderTerms memory terms,
        uint32 shard,
        uint256 row
    ) internal returns (bytes32 order, uint256 id) {
        (liar, falseRow) = (shard, row);
        return _publishRows(terms);
    }

    function _publishRows(OrderTerms memory terms) internal returns (bytes32 order, uint256 id) {
        order = _draw(terms);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(order);
        vm.prank(broker);
        id = datasets.publish(terms, _participants(), record);
    }

    function _rowRecord(bytes32 order) internal view returns (IDatasetRegistry.DatasetRecord memory record) {
        record = _record(order);
        for (uint32 k = 0; k < 3; ++k) {
            record.shards[k].shardRoot = _shardRoot(k);
        }
        _signRecord(order, record);
    }

    function _claim(uint256 id, uint32 shard, uint256 row) internal pure returns (IChallenges.Claim memory) {
        return IChallenges.Claim(id, shard, uint64(row / ROWS_PER_CHUNK), uint32(row % ROWS_PER_CHUNK));
    }

    function _evidence(
        IChallenges.Claim memory claim
    ) internal view returns (IChallenges.Evidence memory evidence) {
        evidence.modelDigests = _models();
        evidence.shardRoot = _shardRoot(claim.shard);
        (evidence.shardProof, ) = _path(_shardLeaves(), claim.shard);
        evidence.chunkBytes = _chunk(claim.shard, claim.chunk);
        (evidence.chunkProof, evidence.chunkPath) = _path(_chunkLeaves(claim.shard), claim.chunk);
        evidence.model = _modelBytes(claim.shard);
    }

    function _commitTo(IChallenges.Claim memory claim, address challenger) internal {
        vm.prank(challenger);
        challenges.commit(_commitment(claim, challenger));
        vm.roll(vm.getBlockNumber() + 1);
    }

    function _commitment(IChallenges.Claim memory claim, address challenger) internal pure returns (bytes32) {
        return keccak256(abi.encode(challenger, claim.dataset, claim.shard, claim.chunk, claim.row, SALT));
    }

    function _modelBytes(uint32 shard) internal view virtual returns (bytes memory) {
        return abi.encodePacked("model ", bytes1(uint8(48 + shard)));
    }

    /// @dev A real model of eight columns of four bytes, rows of 32: column 0 has a code of value 0 and a rare one of value
    /// 1, with a bias that ends in `bias` (about one draw in 64 for 0xf7); seven free columns.
    function _smallModel(bytes32 schema, bytes1 bias) internal pure returns (bytes memory) {
        bytes memory columns = hex"000204000104000104000104000104000104000104000104";
        bytes memory codes = hex"00000000000000010000000100000001";
        for (uint256 k = 0; k < 7; ++k) codes = bytes.concat(codes, hex"0000000080000000");
        bytes memory biases = bytes.concat(hex"00000000fffffe", bias, new bytes(28));
        bytes memory head = bytes.concat(hex"54534d3101ff00080009000101000000", schema, TABLES, hex"0001");
        return bytes.concat(head, columns, codes, new bytes(6), new bytes(18), biases);
    }

    // -- trees --------------------------------------------------------------------------------------------------

    function _rows(uint32 shard) internal pure returns (uint256) {
        return _participants()[shard].rows;
    }

    function _chunk(uint32 shard, uint256 index) internal view returns (bytes memory chunk) {
        uint256 first = index * ROWS_PER_CHUNK;
        uint256 count = _rows(shard) - first < ROWS_PER_CHUNK ? _rows(shard) - first : ROWS_PER_CHUNK;
        bytes32[] memory words = new bytes32[](count);
        for (uint256 k = 0; k < count; ++k) {
            words[k] = _row(shard, first + k);
        }
        return abi.encodePacked(words);
    }

    function _row(uint32 shard, uint256 row) internal view virtual returns (bytes32) {
        bool isFalse = shard == liar && row == falseRow;
        return isFalse ? bytes32(type(uint256).max) : bytes32(1_000_000 * (shard + 1) + row);
    }

    function _chunkLeaves(uint32 shard) internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[]((_rows(shard) + ROWS_PER_CHUNK - 1) / ROWS_PER_CHUNK);
        for (uint256 k = 0; k < leaves.length; ++k) {
            leaves[k] = sha256(abi.encodePacked(bytes1(0), uint64(k), _chunk(shard, k)));
        }
    }

    function _shardRoot(uint32 shard) internal view returns (bytes32) {
        return _fold(_chunkLeaves(shard));
    }

    function _shardLeaves() internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](3);
        for (uint32 k = 0; k < 3; ++k) {
            leaves[k] = sha256(abi.encodePacked(bytes1(0), uint64(k), _shardRoot(k)));
        }
    }

    function _fold(bytes32[] memory leaves) internal pure returns (bytes32) {
        while (leaves.length > 1) leaves = _above(leaves);
        return leaves[0];
    }

    /// @dev Siblings of a leaf from below; bit k of `sides` is 1 when sibling k stands left.
    function _path(
        bytes32[] memory level,
        uint256 index
    ) internal pure returns (bytes32[] memory path, uint256 sides) {
        bytes32[] memory found = new bytes32[](32);
        uint256 length = 0;
        while (level.length > 1) {
            uint256 sibling = index ^ 1;
            if (sibling < level.length) {
                if (sibling < index) sides |= 1 << length;
                found[length++] = level[sibling];
            }
            (level, index) = (_above(level), index / 2);
        }
        path = new bytes32[](length);
        for (uint256 k = 0; k < length; ++k) {
            path[k] = found[k];
        }
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[]((level.length + 1) / 2);
        for (uint256 k = 0; k < above.length; ++k) {
            above[k] =
                2 * k + 1 < level.length
                    ? sha256(abi.encodePacked(bytes1(0x01), level[2 * k], level[2 * k + 1]))
                    : level[2 * k];
        }
    }

    /// @dev Stores bytes as code, as the model store does.
    function _storePart(bytes memory part) internal returns (address stored) {
        uint16 size = uint16(part.length + 1);
        // Copies what follows these ten bytes and returns it as the contract's code.
        bytes memory code = abi.encodePacked(hex"61", size, hex"80600a3d393df3", hex"00", part);
        assembly {
            stored := create(0, add(code, 32), mload(code))
        }
        assertTrue(stored.code.length == size, "stored");
    }
}
