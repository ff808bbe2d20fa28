// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOrderEscrow} from "../interfaces/IOrderEscrow.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";
import {SignedMessages} from "../types/SignedMessages.sol";
import {TesseraDomain} from "../types/TesseraDomain.sol";

/// @notice What the escrow asks of terms and of a match. Reads only its arguments and the clock.
abstract contract OrderRules is IOrderEscrow, TesseraDomain {
    uint256 public constant MAX_BROKER_FEE_BPS = 2_000;
    /// @notice With at most eight parents, royalties and the fee are at most the price.
    uint256 public constant MAX_ROYALTY_BPS = 1_000;
    uint256 public constant MAX_SCORE_MICRO = 1_000_000;
    /// @notice Bounds below keep every order's exit within sight.
    uint256 public constant MAX_DELIVERY_SECONDS = 365 days;
    uint256 public constant MAX_CHALLENGE_SECONDS = 90 days;

    function _checkTerms(OrderTerms calldata terms) internal view {
        if (terms.rows == 0) revert OrderEscrow_NoRows();
        if (terms.price > type(uint128).max) revert OrderEscrow_AmountTooLarge(terms.price, type(uint128).max);
        if (terms.bond > type(uint96).max) revert OrderEscrow_AmountTooLarge(terms.bond, type(uint96).max);
        if (terms.brokerFeeBps > MAX_BROKER_FEE_BPS) {
            revert OrderEscrow_FeeTooHigh(terms.brokerFeeBps, MAX_BROKER_FEE_BPS);
        }
        if (terms.royaltyBps > MAX_ROYALTY_BPS) {
            revert OrderEscrow_RoyaltyTooHigh(terms.royaltyBps, MAX_ROYALTY_BPS);
        }
        if (terms.minScoreMicro > MAX_SCORE_MICRO) {
            revert OrderEscrow_ScoreOutOfRange(terms.minScoreMicro, MAX_SCORE_MICRO);
        }
        if (terms.minContributors == 0 || terms.maxContributors < terms.minContributors) {
            revert OrderEscrow_ContributorBounds(terms.minContributors, terms.maxContributors);
        }
        uint256 latest = block.timestamp + MAX_DELIVERY_SECONDS;
        if (block.timestamp > terms.matchBy || terms.matchBy >= terms.deliverBy || terms.deliverBy > latest) {
            revert OrderEscrow_Deadlines(terms.matchBy, terms.deliverBy, latest);
        }
        if (terms.challengeSeconds > MAX_CHALLENGE_SECONDS) {
            revert OrderEscrow_ChallengeTooLong(terms.challengeSeconds, MAX_CHALLENGE_SECONDS);
        }
    }

    function _checkMatch(
        bytes32 order,
        OrderTerms calldata terms,
        Participant[] calldata participants,
        bytes[] calldata acceptances,
        uint64[] calldata maxRows
    ) internal view {
        uint256 count = participants.length;
        if (count < terms.minContributors || count > terms.maxContributors) {
            revert OrderEscrow_ParticipantCount(count, terms.minContributors, terms.maxContributors);
        }
        if (acceptances.length != count || maxRows.length != count) {
            revert OrderEscrow_LengthMismatch(count, acceptances.length, maxRows.length);
        }
        uint256 rows = 0;
        for (uint256 i = 0; i < count; ++i) {
            Participant calldata participant = participants[i];
            address contributor = participant.contributor;
            for (uint256 j = 0; j < i; ++j) {
                if (participants[j].contributor == contributor)
                    revert OrderEscrow_DuplicateParticipant(contributor);
            }
            if (participant.rows == 0 || participant.rows > maxRows[i]) {
                revert OrderEscrow_RowsOutsideOffer(contributor, participant.rows, maxRows[i]);
            }
            bytes32 structHash = SignedMessages.acceptance(order, contributor, maxRows[i]);
            if (!_isSignedBy(contributor, structHash, acceptances[i])) {
                revert OrderEscrow_InvalidSignature(contributor);
            }
            rows += participant.rows;
        }
        if (rows != terms.rows) revert OrderEscrow_RowsMismatch(rows, terms.rows);
    }
}
