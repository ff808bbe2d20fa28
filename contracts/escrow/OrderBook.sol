// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {OrderRules} from "./OrderRules.sol";
import {IOrderEscrow} from "../interfaces/IOrderEscrow.sol";
import {OrderTerms, OrderTermsHash, Participant} from "../types/OrderTerms.sol";

/// @notice What the escrow remembers of each order, what it tells of it, and the checks against it.
abstract contract OrderBook is OrderRules {
    using OrderTermsHash for OrderTerms;

    /// @dev The first five members share a slot.
    struct Order {
        State state;
        uint64 publishedAt;
        uint64 settleNotBefore;
        uint16 openDemands;
        uint96 bondLeft;
        bytes32 participantsDigest;
        bytes32 sharesDigest;
        // The next two repeat the terms for {cutBond}, whose caller does not hold them.
        address buyer;
        uint96 bond;
    }

    mapping(bytes32 order => Order state) internal _orders;

    /// @inheritdoc IOrderEscrow
    function orderOf(
        bytes32 order
    )
        external
        view
        returns (
            State state,
            uint64 publishedAt,
            bytes32 participantsDigest,
            bytes32 sharesDigest,
            uint128 bondLeft,
            uint64 settleNotBefore,
            uint16 openDemands
        )
    {
        Order storage stored = _orders[order];
        return (
            stored.state,
            stored.publishedAt,
            stored.participantsDigest,
            stored.sharesDigest,
            stored.bondLeft,
            stored.settleNotBefore,
            stored.openDemands
        );
    }

    /// @inheritdoc IOrderEscrow
    function windowOf(OrderTerms calldata terms) external view returns (uint256 endsAt) {
        Order storage stored = _orders[_digest(terms.hash())];
        if (stored.publishedAt == 0) return 0;
        return stored.openDemands != 0 ? type(uint256).max : _windowEnd(stored, terms.challengeSeconds);
    }

    /// @inheritdoc IOrderEscrow
    function hashTerms(OrderTerms calldata terms) external view returns (bytes32) {
        return _digest(terms.hash());
    }

    /// @inheritdoc IOrderEscrow
    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    function _requireState(bytes32 order, State needed) internal view returns (Order storage stored) {
        stored = _orders[order];
        if (stored.state != needed) revert OrderEscrow_WrongState(order, stored.state);
    }

    /// @dev Open or matched, with the right participants: none, or those of the match.
    function _requireUndelivered(
        bytes32 order,
        Participant[] calldata participants
    ) internal view returns (Order storage stored) {
        stored = _orders[order];
        if (stored.state == State.Open) {
            if (participants.length != 0) revert OrderEscrow_WrongParticipants(order);
        } else if (stored.state == State.Matched) {
            _requireParticipants(order, stored, participants);
            _requireNoDemand(order, stored);
        } else {
            revert OrderEscrow_WrongState(order, stored.state);
        }
    }

    function _requireParticipants(
        bytes32 order,
        Order storage stored,
        Participant[] calldata participants
    ) internal view {
        if (keccak256(abi.encode(participants)) != stored.participantsDigest) {
            revert OrderEscrow_WrongParticipants(order);
        }
    }

    /// @dev An open demand ends by its answer or, when its time has passed, by {IDemands.expire}.
    function _requireNoDemand(bytes32 order, Order storage stored) internal view {
        if (stored.openDemands != 0) revert OrderEscrow_DemandsOpen(order, stored.openDemands);
    }

    function _requireWindowOver(bytes32 order, Order storage stored, uint256 challengeSeconds) internal view {
        uint256 windowEnd = _windowEnd(stored, challengeSeconds);
        if (block.timestamp <= windowEnd) revert OrderEscrow_TooEarly(order, windowEnd);
    }

    function _windowEnd(Order storage stored, uint256 challengeSeconds) internal view returns (uint256) {
        return Math.max(stored.publishedAt + challengeSeconds, stored.settleNotBefore);
    }

    function _requireParents(bytes32 order, bytes32 agreed, uint256[] calldata parents) internal pure {
        bytes32 found = parents.length == 0 ? bytes32(0) : keccak256(abi.encode(parents));
        if (found != agreed) revert OrderEscrow_WrongParents(order);
    }
}
