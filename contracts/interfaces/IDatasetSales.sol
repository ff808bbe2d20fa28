// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOrderEscrow} from "./IOrderEscrow.sol";
import {Permit} from "../types/Permit.sol";

/// @title Resale of published data sets at a list price, keys against money
/// @notice The holder of a data set's token offers it and promises its keys: one commitment a key. A buyer pays and
/// names a one-time point; the seller delivers the keys masked for that point; a key that is not the promised one
/// is proven here, by the secret of the point, and undoes the sale. Money, token and the seller's deposit lie here
/// from the purchase on. The part that the data set's terms name goes to its contributors, the rest to the seller,
/// the token to the buyer. What anybody is owed is credited in the rewards contract, so that nobody who cannot
/// receive blocks the other side.
///
/// None --list--> Listed --buy--> Sold --deliver--> Delivered --accept--> (paid)
///         unlist: None             \--expire--> (undone)      \--reject--> (undone)
/// Where no key is promised, the data set being open, `buy` pays at once.
///
/// @dev Privileges, all bound to one token:
/// - its holder may list it, having approved this contract for it (a token sent here by any other way stays
///   here); the seller, or whoever holds it then, may unlist it until it is sold;
/// - the seller may deliver inside {DELIVER_SECONDS} of the purchase; after that anyone may undo the sale;
/// - the buyer may accept, and whoever knows its one-time secret may reject by proof, inside {ACCEPT_SECONDS} of the
///   delivery; after that anyone may accept for it.
/// There is no owner. Only data sets of settled orders are sold: no challenge can revoke those, so that nobody resells
/// what the first buyer gets its money back for. A revoked one can be neither listed nor bought.
///
/// Who loses what:
/// - a buyer has no way to its money back but a fault of the seller. A false proof reverts. So to read and reject,
///   or to hold a token up with a key that nobody has, costs the price: it is the buyer's deposit;
/// - a seller that delivers late or wrong keys loses its deposit, {DEPOSIT_BPS} of the price, to the buyer, who has
///   the price back too. With the keys of its promise, in time, it is always paid;
/// - {recordOf} counts only what the chain saw: deliveries that stood, that were proven wrong, that did not come.
///
/// What this does NOT do. A commitment says which key, not what it opens. Who reads the data set's content documents
/// knows whether a contributor or only the seller committed to it; this contract does not. A contributor that
/// committed to a key which opens nothing, and a seller who is its friend, sell nothing for the price.
/// A seller keeps what it has. The token says who bought, not who can read. Sales to oneself cost the royalty: take a
/// record for a hint, and a short one for none.
interface IDatasetSales {
    enum State {
        None,
        Listed,
        Sold,
        Delivered
    }

    /// @notice The sale of one data set's token.
    struct Sale {
        /// Zero in None.
        address seller;
        /// In token wei.
        uint96 price;
        /// Zero before the purchase.
        address buyer;
        /// Last chain time (seconds) of a delivery in Sold, of a rejection in Delivered; else zero.
        uint40 deadline;
        /// How many keys are promised: one a shard and one for the score file; zero for an open data set.
        uint16 keys;
        /// None when the token is not offered, and after a sale has ended.
        State state;
        /// keccak256 of the commitments, joined; zero for none.
        bytes32 promised;
        /// The buyer's one-time point.
        bytes32 deliveryKey;
        /// keccak256 of what the seller delivered.
        bytes32 delivered;
    }

    /// @notice How the sales of one address ended.
    struct Record {
        /// As the seller: accepted, by the buyer or by time.
        uint32 sold;
        /// As the seller: a key that it delivered was proven to be another than it promised.
        uint32 rejected;
        /// As the seller: nothing was delivered in time.
        uint32 undelivered;
        /// As the buyer: accepted.
        uint32 bought;
    }

    /// @notice Shows that one delivered key is not the promised one.
    struct KeyFault {
        /// Place of the key in the bundle, from zero.
        uint256 place;
        /// The buyer's one-time secret. All of this delivery can be opened with it from then on.
        uint256 secret;
        /// x coordinate of the secret times the seller's point.
        bytes32 shared;
        /// As delivered.
        bytes wrappedKeys;
        /// As promised.
        bytes32[] commitments;
    }

    event DatasetListed(uint256 indexed dataset, address indexed seller, uint256 price);
    /// @param commitments of the keys that the seller will deliver: shards ascending, the score file last.
    event KeysPromised(uint256 indexed dataset, address indexed seller, bytes32[] commitments);
    event DatasetUnlisted(uint256 indexed dataset, address indexed seller);
    /// @param deliveryKey the buyer's one-time point of secp256k1, by its x coordinate; zero where no key is promised.
    /// @param deliverBy last chain time (seconds) of a delivery.
    event DatasetSold(
        uint256 indexed dataset,
        address indexed seller,
        address indexed buyer,
        uint256 price,
        bytes32 deliveryKey,
        uint256 deliverBy
    );
    /// @param wrappedKeys the seller's one-time point and the masked keys, 32 bytes each (docs/spec/sealing.md).
    /// @param acceptBy last chain time (seconds) of a rejection.
    event KeysDelivered(
        uint256 indexed dataset,
        address indexed seller,
        address indexed buyer,
        bytes wrappedKeys,
        uint256 acceptBy
    );
    /// @notice `royalty` wei are owed to the contributors, `proceeds` to the seller.
    event SaleAccepted(
        uint256 indexed dataset,
        address indexed seller,
        address indexed buyer,
        uint256 royalty,
        uint256 proceeds
    );
    /// @notice A delivered key was proven wrong; the buyer has its money back, and the seller's deposit.
    event SaleRejected(uint256 indexed dataset, address indexed seller, address indexed buyer);
    /// @notice The seller delivered nothing in time; the buyer has its money back, and the seller's deposit.
    event SaleExpired(uint256 indexed dataset, address indexed seller, address indexed buyer);

    /// @notice The caller has no such right over this token or sale.
    error DatasetSales_Unauthorized(uint256 dataset, address caller);
    error DatasetSales_WrongState(uint256 dataset, State state);
    /// @notice This contract may not move the token yet: approve it first.
    error DatasetSales_NotApproved(uint256 dataset);
    error DatasetSales_Revoked(uint256 dataset);
    /// @notice The data set's order is in `state`; its window is still open, or it never was delivered.
    error DatasetSales_NotSettled(uint256 dataset, IOrderEscrow.State state);
    error DatasetSales_PriceTooHigh(uint256 price, uint256 maximum);
    error DatasetSales_TooManyKeys(uint256 keys, uint256 maximum);
    /// @notice The list price is not what the buyer agreed to.
    error DatasetSales_WrongPrice(uint256 dataset, uint256 price, uint256 agreed);
    /// @notice The keys that the seller promises are not those that the buyer agreed to; digests of both.
    error DatasetSales_WrongPromise(uint256 dataset, bytes32 promised, bytes32 agreed);
    /// @notice The token handed over less, or more, than it was told.
    error DatasetSales_WrongPayment(uint256 received, uint256 price);
    /// @notice Not the x coordinate of a point that keys can be masked for; zero is expected where no key is promised.
    error DatasetSales_UselessKey(bytes32 key);
    /// @notice The delivery has another length than a point and the promised keys have.
    error DatasetSales_WrongLength(uint256 length, uint256 expected);
    /// @notice The proof is about another delivery, promise, place or secret than the sale's.
    error DatasetSales_WrongProof(uint256 dataset);
    /// @notice The delivered key is the promised one.
    error DatasetSales_KeyIsRight(uint256 dataset, uint256 place);
    /// @notice Possible only up to chain time `deadline`.
    error DatasetSales_TooLate(uint256 dataset, uint256 deadline);
    /// @notice Possible only after chain time `deadline`.
    error DatasetSales_TooEarly(uint256 dataset, uint256 deadline);

    /// @notice Offers a data set, or changes its price or promise. Holder of the token only, who keeps it till then.
    /// @dev An offer stands while its seller holds the token and the deposit ({depositOf}), and this contract may take
    /// both. Who parts with them and gets them back finds the offer standing still.
    /// @param commitments one of each key that will be delivered; empty for an open data set.
    function list(uint256 dataset, uint256 price, bytes32[] calldata commitments) external;

    /// @notice Takes an offer back. The seller, or the present holder of the token.
    function unlist(uint256 dataset) external;

    /// @notice Buys at the list price: takes the price from the caller, deposit and token from the seller. Ends the
    /// sale as {accept} does where no key is promised.
    /// @param price that the caller agrees to; must be the list price.
    /// @param promised digest of the commitments that the caller agrees to; must be the offer's.
    /// @param deliveryKey one-time point of the caller; zero where no key is promised.
    /// @param permit pays without a former approval; zeros when this contract is approved.
    function buy(
        uint256 dataset,
        uint256 price,
        bytes32 promised,
        bytes32 deliveryKey,
        Permit calldata permit
    ) external;

    /// @notice Hands the keys over, masked for the buyer. Seller only, in time.
    function deliver(uint256 dataset, bytes calldata wrappedKeys) external;

    /// @notice Ends a delivered sale: royalty to the data set's pot, the rest and the deposit to the seller, the
    /// token to the buyer. Buyer; anyone when the time to reject has passed.
    function accept(uint256 dataset) external;

    /// @notice Undoes a sale of which one delivered key is not the promised one: price and deposit to the buyer,
    /// the token to the seller. Whoever can show it, in time.
    function reject(uint256 dataset, KeyFault calldata fault) external;

    /// @notice Undoes a sale whose keys were not delivered in time: price and deposit to the buyer, the token to the
    /// seller. Anyone.
    function expire(uint256 dataset) external;

    /// @return Zeros, with state None, when the data set's token is not offered.
    function saleOf(uint256 dataset) external view returns (Sale memory);

    /// @return How the sales of `account` ended so far.
    function recordOf(address account) external view returns (Record memory);

    /// @return What the seller loses by a missing or wrong delivery, in token wei, rounded up.
    function depositOf(uint256 price) external pure returns (uint256);
}
