// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC721} from "@openzeppelin/contracts/interfaces/IERC721.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721Metadata} from "@openzeppelin/contracts/interfaces/IERC721Metadata.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {IDatasetRegistry} from "../../contracts/interfaces/IDatasetRegistry.sol";
import {Cid} from "../../contracts/metadata/Cid.sol";
import {DatasetMetadata} from "../../contracts/metadata/DatasetMetadata.sol";
import {OrderTerms} from "../../contracts/types/OrderTerms.sol";
import {GoodsMarket} from "./support/GoodsMarket.sol";

/// Cid.raw
/// └── it should give the CIDs of the shared vectors that are one leaf
/// tokenURI
/// ├── when the token does not exist: it should revert
/// ├── it should name manifest, rows, epsilon, depth, real fraction, royalty, version and status, as JSON
/// └── given a revoked or flagged data set: it should say so, and the change should be announced (ERC-4906)
/// royaltyInfo
/// ├── when the token does not exist: it should revert
/// └── it should name the data set's receiver and its part of any price
/// supportsInterface
/// ├── it should be true for ERC-165, ERC-721, its metadata, ERC-2981 and ERC-4906
/// └── it should be false for anything else, ERC-7007 among it
contract DatasetTokenTest is GoodsMarket {
    function test_CidsAreThoseOfTheSharedVectors() public view {
        string memory json = vm.readFile("tests/vectors/cid.json");
        uint256 leaves = 0;
        for (uint256 i = 0; vm.keyExistsJson(json, _file(i)); ++i) {
            // Longer files are trees of leaves, whose CID is not their own SHA-256.
            if (vm.parseJsonUint(json, string.concat(_file(i), ".size")) > 1 << 20) continue;
            bytes32 digest = vm.parseJsonBytes32(json, string.concat(_file(i), ".sha256"));
            string memory expected = vm.parseJsonString(json, string.concat(_file(i), ".cid"));
            assertText(Cid.raw(digest), expected);
            ++leaves;
        }
        assertTrue(leaves >= 4, "vectors read");
    }

    function _file(uint256 index) private pure returns (string memory) {
        return string.concat(".files[", text(index), "]");
    }

    function test_TokenUriRejectsUnknownDataSet() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 1));
        datasets.tokenURI(1);
    }

    function test_TokenUriSaysWhatTheChainStores() public {
        OrderTerms memory terms = _termsNow(1);
        terms.royaltyBps = 250;
        (, uint256 id) = _publish(terms);
        assertText(datasets.tokenURI(id), _uri(_json("valid", "2.000002", "1.000000", "0", "250")));
    }

    function test_TokenUriSaysWhatStatusADataSetHas() public {
        uint256 id = _dataset(1, 0);
        uint256 child = _derived(2, _ids(id), 50_000);
        vm.expectEmit();
        emit IERC4906.MetadataUpdate(id);
        _revoke(id);
        vm.expectEmit();
        emit IERC4906.MetadataUpdate(child);
        datasets.flag(child);
        assertText(datasets.tokenURI(id), _uri(_json("revoked", "2.000002", "1.000000", "0", "0")));
        uint256 reduced = _dataset(3, 0);
        vm.prank(judge);
        datasets.revokeShard(reduced, 1, false);
        string memory expected = _json("reduced", "2.000002", "1.000000", "0", "0");
        assertText(datasets.tokenURI(reduced), _uri(_named("3", expected)));
        expected = _json("flagged", "2.000002", "0.050000", "1", "0");
        assertText(datasets.tokenURI(child), _uri(_named("2", expected)));
    }

    function test_MetadataClaimsNoEpsilonWhereTheRecordClaimsNone() public pure {
        DatasetMetadata.Facts memory facts;
        facts.id = 1;
        facts.manifestDigest = sha256("manifest");
        (facts.rows, facts.realFractionMicro, facts.specVersion) = (1_000, 1_000_000, 1);
        facts.status = IDatasetRegistry.Status.Valid;
        assertText(
            DatasetMetadata.json(facts),
            _named("1", _json("valid", '"none claimed"', "1.000000", "0", "0"))
        );
    }

    function _json(
        string memory status,
        string memory epsilon,
        string memory real,
        string memory depth,
        string memory royalty
    ) private pure returns (string memory) {
        string memory head = string.concat(
            '","description":"Synthetic rows of committed models. The rows are off chain; their manifest names them."',
            ',"manifest":"ipfs://',
            Cid.raw(sha256("manifest")),
            '","status":"',
            status,
            '","attributes":[{"trait_type":"Rows","value":1000},{"trait_type":"Epsilon","value":'
        );
        string memory middle = string.concat(
            epsilon,
            '},{"trait_type":"Depth","value":',
            depth,
            '},{"trait_type":"Real fraction","value":',
            real
        );
        return
            string.concat(
                head,
                middle,
                '},{"trait_type":"Royalty bps","value":',
                royalty,
                '},{"trait_type":"Specification","value":1}]}'
            );
    }

    function _named(string memory id, string memory rest) private pure returns (string memory) {
        return string.concat('{"name":"Tessera data set ', id, rest);
    }

    function _uri(string memory json) private pure returns (string memory) {
        bytes memory document = bytes(json)[0] == "{" ? bytes(json) : bytes(_named("1", json));
        return string.concat("data:application/json;base64,", Base64.encode(document));
    }

    function test_RoyaltyInfoRejectsUnknownDataSet() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 1));
        datasets.royaltyInfo(1, 100);
    }

    function test_RoyaltyInfoNamesEachDataSetsReceiver() public {
        uint256 first = _dataset(1, 1_000);
        uint256 second = _dataset(2, 0);
        (address receiver, uint256 amount) = datasets.royaltyInfo(first, 999);
        assertEq(receiver, royalties.receiverOf(first), "receiver");
        assertEq(amount, 99, "amount");
        (address other, uint256 nothing) = datasets.royaltyInfo(second, 999);
        assertEq(other, royalties.receiverOf(second), "receiver");
        assertEq(nothing, 0, "amount");
        assertTrue(receiver != other, "receivers differ");
    }

    function test_RoyaltyInfoAnswersForThePriceOfEverything() public {
        uint256 id = _dataset(1, 1_000);
        (, uint256 amount) = datasets.royaltyInfo(id, type(uint256).max);
        assertEq(amount, type(uint256).max / 10, "amount");
    }

    function test_SaysWhichStandardsItMeets() public view {
        assertTrue(datasets.supportsInterface(type(IERC165).interfaceId), "ERC-165");
        assertTrue(datasets.supportsInterface(type(IERC721).interfaceId), "ERC-721");
        assertTrue(datasets.supportsInterface(type(IERC721Metadata).interfaceId), "ERC-721 metadata");
        assertTrue(datasets.supportsInterface(type(IERC2981).interfaceId), "ERC-2981");
        assertTrue(datasets.supportsInterface(0x49064906), "ERC-4906");
        assertTrue(!datasets.supportsInterface(0xffffffff), "the invalid one");
        bytes4 addition = bytes4(keccak256("addAigcData(uint256,bytes,bytes,bytes)"));
        bytes4 verification = bytes4(keccak256("verify(bytes,bytes,bytes)"));
        assertTrue(!datasets.supportsInterface(addition ^ verification), "ERC-7007");
    }

    function assertText(string memory found, string memory expected) private pure {
        if (keccak256(bytes(found)) != keccak256(bytes(expected))) revert FoundText(found, expected);
    }

    error FoundText(string found, string expected);
}
