// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// JSON is full of double quotes: its pieces stand in single ones.
// solhint-disable quotes

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IDatasetRegistry} from "../interfaces/IDatasetRegistry.sol";
import {WHOLE_MICRO} from "../types/Units.sol";
import {Cid} from "./Cid.sol";

/// @notice ERC-721 metadata of a data set, written by the chain from what it stores (docs/spec/market.md).
library DatasetMetadata {
    struct Facts {
        uint256 id;
        bytes32 manifestDigest;
        uint64 rows;
        uint64 epsilonMicro;
        uint32 realFractionMicro;
        uint16 royaltyBps;
        uint16 depth;
        uint16 specVersion;
        IDatasetRegistry.Status status;
    }

    /// @return `data:application/json;base64,..`
    function uri(Facts memory facts) internal pure returns (string memory) {
        return string.concat("data:application/json;base64,", Base64.encode(bytes(json(facts))));
    }

    /// @return The document. Every word in it is ours or a number, so that nothing needs escaping.
    function json(Facts memory facts) internal pure returns (string memory) {
        string memory head = string.concat(
            '{"name":"Tessera data set ',
            Strings.toString(facts.id),
            '","description":"Synthetic rows of committed models. The rows are off chain; their manifest names them.",',
            '"manifest":"ipfs://',
            Cid.raw(facts.manifestDigest),
            '","status":"',
            _word(facts.status),
            '","attributes":['
        );
        string memory middle = string.concat(
            _attribute("Rows", Strings.toString(facts.rows)),
            ",",
            _attribute("Epsilon", facts.epsilonMicro == 0 ? '"none claimed"' : _micro(facts.epsilonMicro)),
            ",",
            _attribute("Depth", Strings.toString(facts.depth)),
            ","
        );
        string memory tail = string.concat(
            _attribute("Real fraction", _micro(facts.realFractionMicro)),
            ",",
            _attribute("Royalty bps", Strings.toString(facts.royaltyBps)),
            ",",
            _attribute("Specification", Strings.toString(facts.specVersion)),
            "]}"
        );
        return string.concat(head, middle, tail);
    }

    function _attribute(string memory name, string memory value) private pure returns (string memory) {
        return string.concat('{"trait_type":"', name, '","value":', value, "}");
    }

    /// @dev Millionths as a decimal number of six places.
    function _micro(uint256 value) private pure returns (string memory) {
        // One in front keeps the leading zeros of the part behind the point; it is overwritten by that point.
        bytes memory places = bytes(Strings.toString(WHOLE_MICRO + (value % WHOLE_MICRO)));
        places[0] = ".";
        return string.concat(Strings.toString(value / WHOLE_MICRO), string(places));
    }

    function _word(IDatasetRegistry.Status status) private pure returns (string memory) {
        if (status == IDatasetRegistry.Status.Valid) return "valid";
        if (status == IDatasetRegistry.Status.Revoked) return "revoked";
        if (status == IDatasetRegistry.Status.Reduced) return "reduced";
        return "flagged";
    }
}
