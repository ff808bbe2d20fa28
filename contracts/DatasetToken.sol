// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IRoyalties} from "./interfaces/IRoyalties.sol";
import {DatasetMetadata} from "./metadata/DatasetMetadata.sol";
import {WHOLE_BPS} from "./types/Units.sol";

/// @notice What is kept of a data set, and what it is to wallets and marketplaces: the half of {IDatasetRegistry}
/// that comes after the publication.
abstract contract DatasetToken is IDatasetRegistry, ERC721, IERC2981, IERC4906 {
    /// @dev A {Dataset}, and what else its metadata tells.
    struct StoredDataset {
        bytes32 order;
        bytes32 manifestDigest;
        bytes32 recordDigest;
        bytes32 datasetRoot;
        // The rest is one slot. 40 bits of seconds last for 34,000 years.
        uint40 publishedAt;
        uint64 rows;
        uint64 epsilonMicro;
        uint32 realFractionMicro;
        uint16 royaltyBps;
        uint16 depth;
        uint16 specVersion;
        Status status;
    }

    address public immutable challenges;
    address public immutable demands;
    IRoyalties public immutable royalties;

    mapping(uint256 id => StoredDataset dataset) internal _datasets;
    /// @dev Nothing is stored for a data set without parents.
    mapping(uint256 id => uint256[] parents) internal _parents;

    constructor(address challenges_, address demands_, IRoyalties royalties_) ERC721("Tessera Data Set", "TESS") {
        challenges = challenges_;
        demands = demands_;
        royalties = royalties_;
    }

    /// @inheritdoc IDatasetRegistry
    function revokeShard(uint256 id, uint32 shard, bool whole) external {
        if (msg.sender != challenges && msg.sender != demands) revert DatasetRegistry_NotAJudge(id, msg.sender);
        Status status = _datasets[id].status;
        if (status == Status.None || status == Status.Revoked) revert DatasetRegistry_WrongStatus(id, status);

        emit ShardRevoked(id, shard, msg.sender);
        if (whole) {
            _datasets[id].status = Status.Revoked;
            emit DatasetRevoked(id, msg.sender);
        } else if (status == Status.Valid) {
            _datasets[id].status = Status.Reduced;
        }
        emit MetadataUpdate(id);
    }

    /// @inheritdoc IDatasetRegistry
    function flag(uint256 id) external {
        Status status = _datasets[id].status;
        if (status == Status.None) revert DatasetRegistry_WrongStatus(id, status);
        // Said before: whoever flags first must not make a challenge fail that flags the same.
        if (status != Status.Valid && status != Status.Reduced) return;
        uint256 parent = _tainted(_parents[id]);
        if (parent == 0) revert DatasetRegistry_ParentsStand(id);

        _datasets[id].status = Status.Flagged;
        emit DatasetFlagged(id, parent);
        emit MetadataUpdate(id);
    }

    /// @inheritdoc IDatasetRegistry
    function datasetOf(uint256 id) external view returns (Dataset memory) {
        StoredDataset storage stored = _datasets[id];
        return
            Dataset({
                order: stored.order,
                manifestDigest: stored.manifestDigest,
                recordDigest: stored.recordDigest,
                datasetRoot: stored.datasetRoot,
                publishedAt: stored.publishedAt,
                rows: stored.rows,
                depth: stored.depth,
                specVersion: stored.specVersion,
                status: stored.status,
                realFractionMicro: stored.realFractionMicro,
                royaltyBps: stored.royaltyBps
            });
    }

    /// @inheritdoc IDatasetRegistry
    function parentsOf(uint256 id) external view returns (uint256[] memory) {
        return _parents[id];
    }

    /// @inheritdoc IDatasetRegistry
    function royaltyBpsOf(uint256 id) external view returns (uint16) {
        return _datasets[id].royaltyBps;
    }

    /// @inheritdoc IERC2981
    function royaltyInfo(
        uint256 id,
        uint256 salePrice
    ) external view returns (address receiver, uint256 royaltyAmount) {
        _requireOwned(id);
        receiver = royalties.receiverOf(id);
        royaltyAmount = Math.mulDiv(salePrice, _datasets[id].royaltyBps, WHOLE_BPS);
    }

    /// @inheritdoc ERC721
    function tokenURI(uint256 id) public view override returns (string memory) {
        _requireOwned(id);
        StoredDataset storage stored = _datasets[id];
        return
            DatasetMetadata.uri(
                DatasetMetadata.Facts({
                    id: id,
                    manifestDigest: stored.manifestDigest,
                    rows: stored.rows,
                    epsilonMicro: stored.epsilonMicro,
                    realFractionMicro: stored.realFractionMicro,
                    royaltyBps: stored.royaltyBps,
                    depth: stored.depth,
                    specVersion: stored.specVersion,
                    status: stored.status
                })
            );
    }

    /// @inheritdoc ERC721
    function supportsInterface(bytes4 interfaceId) public view override(ERC721, IERC165) returns (bool) {
        return
            interfaceId == type(IERC2981).interfaceId ||
            // The selector by which ERC-4906 is known: its interface has events only.
            interfaceId == bytes4(0x49064906) ||
            super.supportsInterface(interfaceId);
    }

    /// @dev The first parent that is revoked or flagged; zero when all stand.
    function _tainted(uint256[] storage parents) private view returns (uint256) {
        for (uint256 i = 0; i < parents.length; ++i) {
            Status status = _datasets[parents[i]].status;
            if (status == Status.Revoked || status == Status.Flagged) return parents[i];
        }
        return 0;
    }
}
