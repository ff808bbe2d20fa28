// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IContributorRegistry} from "./IContributorRegistry.sol";
import {IModelCommitment} from "./IModelCommitment.sol";
import {IRewards} from "./IRewards.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";

/// @title Buyers' money, from the order to the settlement
/// @notice An order is known by the EIP-712 digest of its terms; callers bring the terms, the chain keeps only what
/// the terms do not say. The balance of the escrow equals the prices and bonds of the orders that are open.
///
/// Open --match--> Matched --publish--> Published --settle--> Settled
///  |  \                 \
///  |   cancel            abandon, refund
///  abandon, refund
///
/// @dev Privileges, all bound to one order:
/// - anyone may place an order whose terms the buyer signed, refund it when a deadline has passed, and settle it when
///   the challenge window has passed;
/// - its buyer may cancel it before the match;
/// - its broker may match it with signed acceptances, and give it up (which refunds the buyer);
/// - the data-set registry may mark it published;
/// - the model commitment may move part of its bond to the buyer when a seed draw was missed.
/// There is no owner. Money leaves by settle, refund, abandon, cancel and a missed draw; in each to the buyer, the
/// broker (its own bond and fee) or the order's contributors.
interface IOrderEscrow {
    enum State {
        None,
        Open,
        Matched,
        Published,
        Settled,
        Cancelled,
        Refunded,
        Revoked
    }

    /// @notice The contracts of one market.
    struct Parties {
        IERC20 token;
        IContributorRegistry registry;
        IModelCommitment commitment;
        address datasets;
        IRewards rewards;
        address challenges;
        address demands;
    }

    /// @notice ERC-2612 permit over exactly the price. Not looked at when the allowance suffices already.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    event OrderPlaced(bytes32 indexed order, address indexed buyer, address indexed broker, uint256 price);
    event OrderCancelled(bytes32 indexed order);
    event OrderMatched(bytes32 indexed order, Participant[] participants);
    event OrderPublished(bytes32 indexed order);
    /// @notice `amount` wei went to the buyer: the price, and the rest of the bond when the broker did not deliver.
    event OrderRefunded(bytes32 indexed order, uint256 amount);
    /// @notice `amounts[k]` wei are owed to participant k, `brokerFee` and `bondReturned` to the broker.
    event OrderSettled(bytes32 indexed order, uint256[] amounts, uint256 brokerFee, uint256 bondReturned);
    /// @notice A missed draw cost the broker `amount` wei of its bond; `bondLeft` remain.
    event BondCut(bytes32 indexed order, uint256 amount, uint256 bondLeft);

    /// @notice The caller has no such right over this order.
    error OrderEscrow_Unauthorized(bytes32 order, address caller);
    error OrderEscrow_WrongState(bytes32 order, State state);
    /// @notice `signer` did not sign the message that was handed in for it.
    error OrderEscrow_InvalidSignature(address signer);
    error OrderEscrow_AmountTooLarge(uint256 amount, uint256 maximum);
    error OrderEscrow_NoRows();
    error OrderEscrow_FeeTooHigh(uint256 feeBps, uint256 maximumBps);
    error OrderEscrow_ScoreOutOfRange(uint256 minScoreMicro, uint256 maximum);
    error OrderEscrow_ContributorBounds(uint256 minimum, uint256 maximum);
    /// @notice Needed: now <= matchBy < deliverBy <= latest.
    error OrderEscrow_Deadlines(uint256 matchBy, uint256 deliverBy, uint256 latest);
    error OrderEscrow_ChallengeTooLong(uint256 challengeSeconds, uint256 maximum);
    /// @notice Possible only up to chain time `deadline`.
    error OrderEscrow_TooLate(bytes32 order, uint256 deadline);
    /// @notice Possible only after chain time `deadline`.
    error OrderEscrow_TooEarly(bytes32 order, uint256 deadline);
    error OrderEscrow_ParticipantCount(uint256 count, uint256 minimum, uint256 maximum);
    error OrderEscrow_LengthMismatch(uint256 participants, uint256 acceptances, uint256 maxRows);
    error OrderEscrow_DuplicateParticipant(address contributor);
    error OrderEscrow_RowsOutsideOffer(address contributor, uint256 rows, uint256 maxRows);
    error OrderEscrow_RowsMismatch(uint256 rows, uint256 ordered);
    /// @notice These are not the participants of the match (none, before it).
    error OrderEscrow_WrongParticipants(bytes32 order);
    /// @notice These are not the shares that were published.
    error OrderEscrow_WrongShares(bytes32 order);

    /// @notice Opens an order and takes its price from the buyer. Anyone may relay it; the buyer's signature decides.
    /// @param termsSignature the buyer's EIP-712 signature (ERC-1271 for contracts).
    /// @param permit pays without a former approval; zeros when the escrow is approved.
    /// @return order id.
    function place(
        OrderTerms calldata terms,
        bytes calldata termsSignature,
        Permit calldata permit
    ) external returns (bytes32 order);

    /// @notice Takes an open order back. Buyer only.
    function cancel(OrderTerms calldata terms) external;

    /// @notice Binds contributors to an open order, reserves their stakes, takes the bond from the broker (which must
    /// have approved it). Broker only, up to `matchBy`. The name `match` is reserved in Solidity.
    /// @param participants distinct; their rows sum to the terms' rows.
    /// @param acceptances each participant's signature over Acceptance(order, contributor, maxRows).
    /// @param maxRows rows each participant offered.
    function matchOrder(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        bytes[] calldata acceptances,
        uint64[] calldata maxRows
    ) external;

    /// @notice Gives an order up: the price to the buyer, stakes free, what is left of the bond to the broker.
    /// Broker only; open orders at any time, matched ones up to `deliverBy`.
    /// @param participants as matched; empty for an open order.
    function abandon(OrderTerms calldata terms, Participant[] calldata participants) external;

    /// @notice Ends an overdue order: the price to the buyer, stakes free, and the bond to the buyer too when it was
    /// matched. Anyone; open orders after `matchBy`, matched ones after `deliverBy`.
    /// @param participants as matched; empty for an open order.
    function refund(OrderTerms calldata terms, Participant[] calldata participants) external;

    /// @notice Divides the price of a published order and returns the bond, all through the rewards contract. Anyone,
    /// after the challenge window.
    /// @dev Rounding favours the last participant by less than one wei per participant.
    /// @param sharesBps as published; they sum to 10,000.
    function settle(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint16[] calldata sharesBps
    ) external;

    /// @notice Starts the challenge window. Data-set registry only.
    function markPublished(bytes32 order, bytes32 sharesDigest) external;

    /// @notice Moves a tenth of the original bond, or what is left of it, to the buyer's rewards. Model commitment
    /// only.
    function cutBond(bytes32 order) external;

    /// @return state of the order.
    /// @return publishedAt chain time in seconds; zero before.
    /// @return participantsDigest keccak256(abi.encode(Participant[])); zero before the match.
    /// @return sharesDigest keccak256(abi.encode(uint16[])); zero before publication.
    /// @return bondLeft token wei of the broker's bond held here.
    /// @return settleNotBefore end of the window when an answered demand moved it; zero otherwise.
    /// @return openDemands that stand unanswered.
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
        );

    /// @return The order's id: EIP-712 digest of the terms.
    function hashTerms(OrderTerms calldata terms) external view returns (bytes32);

    /// @return EIP-712 separator of the domain all Tessera messages share.
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
