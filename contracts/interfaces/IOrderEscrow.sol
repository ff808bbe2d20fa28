// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IContributorRegistry} from "./IContributorRegistry.sol";
import {IModelCommitment} from "./IModelCommitment.sol";
import {IRewards} from "./IRewards.sol";
import {OrderTerms, Participant} from "../types/OrderTerms.sol";
import {Permit} from "../types/Permit.sol";

/// @title Buyers' money, from the order to the settlement
/// @notice An order is known by the EIP-712 digest of its terms; callers bring the terms, the chain keeps only what
/// the terms do not say. The balance of the escrow equals the prices and bonds of the orders that are open.
///
/// Open ----match----> Matched ----publish----> Published ----settle----> Settled
///  |                   |                        |
///  |                   |                       convict, the last shard
///  |                   |                        v
///  |                   |                       Revoked
///  |                  abandon, refund, drop below the terms' minimum
/// cancel               v
/// abandon, refund     Refunded
///  v
/// Cancelled, Refunded
///
/// A contributor's fault takes its shard out and the order goes on with the others: dropped before publication,
/// convicted after it. Indices of shards never change. Only if the terms call a part worthless, or too few are left,
/// the order ends. The broker's bond is never taken for a contributor's fault.
///
/// Every state that holds money has an exit by time, which anyone can take:
/// - Open: refund, after `matchBy`;
/// - Matched: refund, after {deliverByOf}: the terms' `deliverBy`, or one time to answer after the last step that was
///   late by somebody's fault (the end of a demand, the commit, the seed) if that is later, and never more than twelve
///   times to answer after the terms' `deliverBy`. A demand that is open ends by then ({IDemands.expire}, anyone);
/// - Published: settle, after the window. The window ends `challengeSeconds` after publication, or that long after the
///   last answer to a demand if that is later; a demand that is open keeps it open, at most until its second
///   `answerBy`, when anyone can let it expire. {IDemands} bounds how long all demands together can keep it open;
/// - Settled, Cancelled, Refunded, Revoked: final, nothing of the order is here any more. An account that cannot be
/// paid directly, the burn address included, is credited in {IRewards} instead, so that nobody's payment stops
/// another's. If the token refuses the rewards contract too, its tokens wait here and anyone sends them later
/// ({RewardsPayer}); no verdict, settlement or refund depends on a transfer that somebody else can refuse.
///
/// Where the market has an uptime feed, an outage of the chain moves all these ends but `matchBy`, each by at most two
/// days ({endOf}), and the bound of twelve times is that much later for each time that can be moved
/// ({latestDeliverByOf}). The first draw that an order misses by an outage costs nothing.
///
/// @dev Privileges, all bound to one order:
/// - anyone may place an order whose terms the buyer signed, refund it when a deadline has passed, and settle it when
///   the challenge window has passed;
/// - its buyer may cancel it before the match, also before it is placed;
/// - its broker may match it with signed acceptances, and give it up (which refunds the buyer);
/// - the data-set registry may mark it published;
/// - the model commitment may burn part of its bond when a seed draw was missed, and keep the deadline one time to
///   answer away after a commit and a draw;
/// - challenges and demands may convict one contributor of a false row or withheld bytes;
/// - demands may drop one contributor that fell silent before publication, fine one that fell silent about its
///   evaluation, burn the bond of a broker that withholds the manifest, and keep the order open while a demand is.
/// There is no owner. Money leaves by settle, refund, abandon, cancel, drop, convict and a missed draw; in each to the
/// buyer, the broker (its own bond and fee), the order's contributors, the contributors of its parents, whoever showed
/// a fraud (half of the slashed stake), or the burn address. The token must be a plain ERC-20: what is sent arrives
/// whole.
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
        /// Chainlink's sequencer uptime feed of the chain; zero for none.
        address uptimeFeed;
    }

    /// @notice What a deployment asks of every order, for good. A local chain sets all but the first to the least
    /// there is.
    struct Limits {
        /// Least `answerSeconds`: nobody shall lose a stake by an outage that is shorter.
        uint32 minAnswerSeconds;
        /// Least `challengeSeconds`: in a window of no length a false row is settled before anybody can have read it.
        uint32 minChallengeSeconds;
        /// Least time between `matchBy` and `deliverBy`. A deadline that nobody can keep takes the broker's bond.
        uint32 minDeliverySeconds;
        /// Highest `minScoreMicro`: a score that nobody can reach makes contributors work for nothing.
        uint32 maxScoreMicro;
        /// Least rows: each order spends privacy, however small it is.
        uint64 minRows;
        /// Least price, in token wei; deposits of demands are a part of it.
        uint128 minPrice;
        /// Least stake of a contributor, in token wei, however few its rows are: without one a contributor with one
        /// row could spoil a seed for nothing.
        uint128 minStake;
        /// Least bond, in token wei: without one a broker chooses among seeds, or leaves, for nothing.
        uint96 minBond;
        /// Least stake of all contributors together, in 1e-4 of the price: 40,000 for four times.
        uint32 minStakeBps;
    }

    /// @notice What the chain knows of an order beyond its terms.
    struct Order {
        State state;
        /// Chain time in seconds; zero before.
        uint64 publishedAt;
        /// keccak256(abi.encode(Participant[])); zero before the match.
        bytes32 participantsDigest;
        /// keccak256(abi.encode(uint16[] sharesBps)); zero before publication.
        bytes32 sharesDigest;
        /// Token wei of the broker's bond held here.
        uint96 bondLeft;
        /// Chain time up to which answered demands keep the window open; zero for none.
        uint64 settleNotBefore;
        /// Demands without answer yet.
        uint16 openDemands;
    }

    /// @notice Shards that do not count (any more).
    struct Shards {
        /// Bit k: shard k is out, dropped before publication or convicted after it.
        uint256 out;
        /// Rows of shards that were dropped before publication.
        uint64 droppedRows;
        /// Rows of shards that were convicted after it.
        uint64 convictedRows;
        /// Token wei of convicted stakes, held for the buyer until the settlement.
        uint128 damages;
        /// The broker did not show the manifest: its fee is the buyer's.
        bool feeForfeit;
    }

    event OrderPlaced(bytes32 indexed order, address indexed buyer, address indexed broker, uint256 price);
    event OrderCancelled(bytes32 indexed order);
    event OrderMatched(bytes32 indexed order, Participant[] participants);
    /// @notice The bytes whose SHA-256 is the terms' `conditions`; not emitted when there are none.
    event ConditionsShown(bytes32 indexed order, bytes conditions);
    event OrderPublished(bytes32 indexed order);
    /// @notice `amount` wei went to the buyer: the price.
    event OrderRefunded(bytes32 indexed order, uint256 amount);
    /// @notice `amounts[k]` wei are owed to participant k, `brokerFee` and `bondReturned` to the broker.
    /// @dev What is missing from the price went to parents ({IRewards.DatasetCredited}) and, for shards that are out
    /// (`amounts[k]` is zero), to the buyer ({OrderReduced}).
    event OrderSettled(bytes32 indexed order, uint256[] amounts, uint256 brokerFee, uint256 bondReturned);
    /// @notice A missed draw cost the broker `amount` wei of its bond; `bondLeft` remain.
    event BondCut(bytes32 indexed order, uint256 amount, uint256 bondLeft);

    /// @notice The bond of an order that was not delivered: `toContributors` wei credited in equal parts; `toBuyer` is
    /// zero. What the broker forfeits beyond is burned.
    event BondDivided(bytes32 indexed order, uint256 toBuyer, uint256 toContributors);
    /// @notice At the settlement of an order with shards that are out, or with a fee that is forfeit: `refunded` wei
    /// of price and damages went to the buyer, `burned` wei of damages to nobody.
    event OrderReduced(bytes32 indexed order, uint256 refunded, uint256 burned);
    /// @notice Shard `shard` is out before publication: its contributor did not bring what was demanded. `slashed` wei
    /// of its stake are burned, the rest is free.
    event ShardDropped(bytes32 indexed order, uint32 indexed shard, address indexed contributor, uint256 slashed);
    /// @notice Shard `shard` is out after publication, false or withheld: of the `slashed` wei of its contributor's
    /// stake `reward` went to whoever showed it, `held` wait for the settlement, `burned` went to nobody.
    event ShardConvicted(
        bytes32 indexed order,
        uint32 indexed shard,
        address indexed contributor,
        uint256 slashed,
        uint256 reward,
        uint256 held,
        uint256 burned
    );
    /// @notice `contributor` did not answer a demand for its evaluation: `slashed` wei of its stake are burned.
    event ContributorFined(bytes32 indexed order, address indexed contributor, uint256 slashed);
    /// @notice The broker did not show the manifest: `burned` wei of its bond, and its fee is the buyer's.
    event BrokerConvicted(bytes32 indexed order, uint256 burned);
    /// @notice The order may be delivered up to chain time `deliverBy`.
    event DeadlineMoved(bytes32 indexed order, uint64 deliverBy);
    /// @notice The conviction of shard `shard` ended the order: of the `slashed` wei of its contributor's stake
    /// `reward` went to whoever showed it; `refunded`, the price, to the buyer; `burned`, with the damages held from
    /// convictions before, to nobody.
    event OrderRevoked(
        bytes32 indexed order,
        uint32 indexed shard,
        address indexed contributor,
        uint256 slashed,
        uint256 reward,
        uint256 refunded,
        uint256 burned
    );

    /// @notice The caller has no such right over this order.
    error OrderEscrow_Unauthorized(bytes32 order, address caller);
    error OrderEscrow_WrongState(bytes32 order, State state);
    /// @notice `signer` did not sign the message that was handed in for it.
    error OrderEscrow_InvalidSignature(address signer);
    error OrderEscrow_AmountTooLarge(uint256 amount, uint256 maximum);
    error OrderEscrow_AmountTooSmall(uint256 amount, uint256 minimum);
    error OrderEscrow_NoRows();
    error OrderEscrow_TooFewRows(uint256 rows, uint256 minimum);
    error OrderEscrow_FeeTooHigh(uint256 feeBps, uint256 maximumBps);
    error OrderEscrow_RoyaltyTooHigh(uint256 royaltyBps, uint256 maximumBps);
    error OrderEscrow_ScoreOutOfRange(uint256 minScoreMicro, uint256 maximum);
    /// @notice Needed: 1 <= minimum <= maximum <= 128.
    error OrderEscrow_ContributorBounds(uint256 minimum, uint256 maximum);
    /// @notice Needed: now <= matchBy < deliverBy <= latest.
    error OrderEscrow_Deadlines(uint256 matchBy, uint256 deliverBy, uint256 latest);
    error OrderEscrow_ChallengeTooLong(uint256 challengeSeconds, uint256 maximum);
    error OrderEscrow_ChallengeTooShort(uint256 challengeSeconds, uint256 minimum);
    error OrderEscrow_AnswerTooLong(uint256 answerSeconds, uint256 maximum);
    error OrderEscrow_AnswerTooShort(uint256 answerSeconds, uint256 minimum);
    /// @notice The contracts judge rows of one specification only.
    error OrderEscrow_UnknownSpecification(uint256 specVersion, uint256 expected);
    error OrderEscrow_UnknownSizeClass(uint256 sizeClass, uint256 maximum);
    /// @notice At most `maximum`; without parents exactly that: then all rows come from real tables.
    error OrderEscrow_FractionOutOfRange(uint256 ownRealMicro, uint256 maximum);
    /// @notice The bytes have another SHA-256 than the conditions of the terms; zero for none.
    error OrderEscrow_WrongConditions(bytes32 found, bytes32 expected);
    /// @notice `deliverBy` has to be chain time `earliest` or later.
    error OrderEscrow_DeliveryTooSoon(uint256 deliverBy, uint256 earliest);
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
    /// @notice These are not the parents of the terms.
    error OrderEscrow_WrongParents(bytes32 order);
    error OrderEscrow_UnknownShard(bytes32 order, uint32 shard);
    /// @notice The shard was dropped or convicted before; that happens once.
    error OrderEscrow_ShardOut(bytes32 order, uint32 shard);
    /// @notice Demands are open: answer them, or let them expire.
    error OrderEscrow_DemandsOpen(bytes32 order, uint256 count);

    /// @notice Opens an order and takes its price from the buyer. Anyone may relay it; the buyer's signature decides.
    /// @param termsSignature the buyer's EIP-712 signature (ERC-1271 for contracts).
    /// @param permit pays without a former approval; zeros when the escrow is approved.
    /// @return order id.
    function place(
        OrderTerms calldata terms,
        bytes calldata termsSignature,
        Permit calldata permit
    ) external returns (bytes32 order);

    /// @notice Takes an open order back, or terms that were signed and not placed: nobody can place those any more.
    /// Buyer only.
    function cancel(OrderTerms calldata terms) external;

    /// @notice Binds contributors to an open order, reserves their stakes ({stakeFor}), takes the bond from the broker
    /// (which must have approved it). Broker only, up to `matchBy`. The name `match` is reserved in Solidity.
    /// @param participants distinct; their rows sum to the terms' rows.
    /// @param acceptances each participant's signature over Acceptance(order, contributor, maxRows).
    /// @param maxRows rows each participant offered.
    /// @param conditions bytes with the digest of the terms, as docs/spec/conditions.md has them, for the terms' rows,
    /// at most 8,192 ({ConditionBytes}); empty for a digest of zero. So they are public before anybody works, and no
    /// challenge fails for want of them.
    function matchOrder(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        bytes[] calldata acceptances,
        uint64[] calldata maxRows,
        bytes calldata conditions
    ) external;

    /// @notice Gives an order up: the price to the buyer, stakes free. Of a matched order's bond the broker forfeits
    /// a tenth (of the original, or what is left) as long as no seed could be known, and afterwards all; the rest is
    /// sent back. Before the commit, if a contributor was dropped, it forfeits nothing: without that one's counts the
    /// others' models would have to be trained anew. From the commit until the block's hash is fixed, when nobody but
    /// the broker can be to blame, the contributors that are not out get what is forfeit in equal parts; before and
    /// after it is burned, and so is what does not divide. Broker only; open orders at any time, matched ones up to
    /// {deliverByOf} and without an open demand.
    /// @param participants as matched; empty for an open order.
    function abandon(OrderTerms calldata terms, Participant[] calldata participants) external;

    /// @notice Ends an overdue order: the price to the buyer, stakes free. All of a matched order's bond is forfeit,
    /// and divided as {abandon} divides it: never to the buyer, and to contributors only when they had committed and
    /// nobody fixed the hash. Anyone; open orders after `matchBy`, matched ones after {deliverByOf} and without an
    /// open demand.
    /// @param participants as matched; empty for an open order.
    function refund(OrderTerms calldata terms, Participant[] calldata participants) external;

    /// @notice Divides the price of a published order and returns the bond. Of the base, which is the price less the
    /// part of dropped rows (rounded to the buyer's favour), the fee goes to the broker and to the contributors of
    /// every parent that is not revoked its royalty; the rest, by shares, to the contributors, all through the
    /// rewards contract. The buyer gets back what is not of the base, and the shares of convicted contributors; the
    /// damages held fill that up to the convicted rows' part of the price, what is left of them is burned. Anyone,
    /// after the challenge window, without an open demand.
    /// @dev Rounding of shares favours the last participant, or the buyer if that one is out, by less than one wei per
    /// participant.
    /// @param sharesBps as published; they sum to 10,000.
    /// @param parents as in the terms; at most eight, which the data-set registry sees to.
    function settle(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint16[] calldata sharesBps,
        uint256[] calldata parents
    ) external;

    /// @notice Goes on without a contributor that fell silent before publication. Before the commit a quarter of its
    /// stake is burned, or a tenth of the posted bond if that is more (at most the stake), and the rest is free; after
    /// it all is burned. Nobody gains by another's absence, and a broker does not leave by a friend's for less than by
    /// {abandon}. The part of the price for its rows is the buyer's, at the settlement. If fewer contributors than the
    /// terms' minimum are left, or the terms call a part worthless, the order is Refunded: the price to the buyer, the
    /// bond to the broker, the others' stakes free. Demands only.
    function drop(OrderTerms calldata terms, Participant[] calldata participants, uint32 shard) external;

    /// @notice Convicts a published shard, once. Of its contributor's stake S a half goes to `rewarded` (nobody when
    /// zero, then it is burned), a quarter is held as damages, the rest is burned. When no shard is left, or the terms
    /// call a part worthless, the order is Revoked: the price to the buyer, the bond to the broker, the others' stakes
    /// free, all damages burned. Challenges and demands only.
    /// @dev The buyer never gets more than the price. With signer, buyer and challenger in one person at most three
    /// quarters of S come back, and a quarter less than what honest work would have brought.
    /// @return whole whether the order ended.
    function convict(
        OrderTerms calldata terms,
        Participant[] calldata participants,
        uint32 shard,
        address rewarded
    ) external returns (bool whole);

    /// @notice Burns a quarter of what is reserved of a contributor that fell silent about its evaluation. Demands
    /// only.
    function fine(bytes32 order, address contributor) external;

    /// @notice Burns the bond of a published order whose broker does not show the manifest, and turns its fee over to
    /// the buyer. Demands only.
    function convictBroker(bytes32 order) external;

    /// @notice Keeps the delivery of a matched order possible for another time to answer, up to the bound in the head
    /// of this contract. Model commitment only, after a commit and after a block's hash was fixed or a seed drawn.
    function prolong(bytes32 order) external;

    /// @notice Counts a demand; while any is open the order is neither settled, abandoned nor refunded. Demands only.
    function openDemand(bytes32 order) external;

    /// @notice Counts a demand off. Before publication the deadline moves as by {prolong}. Demands only.
    /// @param settleNotBefore chain time up to which the window stays open at least; zero changes nothing.
    function closeDemand(bytes32 order, uint64 settleNotBefore) external;

    /// @notice Starts the challenge window. Data-set registry only.
    function markPublished(bytes32 order, bytes32 sharesDigest) external;

    /// @notice Burns a tenth of the original bond, or what is left of it; nothing of it after the first draw that was
    /// missed, up to `answerSeconds` after an outage of the chain. Model commitment only.
    /// @dev Not to the buyer: with the broker as a friend it could pass by seeds that it does not like for nothing.
    function cutBond(bytes32 order) external;

    /// @return Zeros, with state None, for an unknown order.
    function orderOf(bytes32 order) external view returns (Order memory);

    /// @return Last chain time of commit, draw and publication: `deliverBy` of the terms, or what it was moved to, also
    /// by an outage ({endOf}); zero before the match.
    function deliverByOf(bytes32 order) external view returns (uint64);

    /// @return What {deliverByOf} can be moved to at most: twelve times to answer after the terms' `deliverBy` and,
    /// where the market has an uptime feed, two days for each of the eight times to answer that outages can move before
    /// a publication; zero before the match.
    function latestDeliverByOf(bytes32 order) external view returns (uint64);

    /// @return Zeros for an order without a shard that is out.
    function shardsOf(bytes32 order) external view returns (Shards memory);

    /// @return Token wei that a contributor with `rows` rows reserves: its part of the terms' stake by rows, rounded
    /// up; of an order whose parts are worthless, which one false row ruins, all of it. At least the market's
    /// `minStake`.
    function stakeFor(OrderTerms calldata terms, uint64 rows) external view returns (uint256);

    /// @return When a time of `length` seconds ends that ran to chain time `deadline`: as far as is known now not
    /// before it could run whole after the chain came back, and at most two days after `deadline`. Just `deadline`
    /// where the market has no uptime feed, or the feed tells of no outage.
    function endOf(uint256 deadline, uint256 length) external view returns (uint256);

    /// @return What this deployment asks of every order.
    function limits() external view returns (Limits memory);

    /// @return endsAt last chain time of the challenge window; zero before publication, the largest number while a
    /// demand is open.
    function windowOf(OrderTerms calldata terms) external view returns (uint256 endsAt);

    /// @return The order's id: EIP-712 digest of the terms.
    function hashTerms(OrderTerms calldata terms) external view returns (bytes32);

    /// @return EIP-712 separator of the domain all Tessera messages share.
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
