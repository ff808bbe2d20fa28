// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOrderEscrow} from "./IOrderEscrow.sol";
import {Permit} from "../types/Permit.sol";

/// @title Resale of published data sets at a list price
/// @notice The holder of a data set's token offers it; a buyer pays and names the key for which the seller wraps the
/// data set's keys; the seller delivers the wrapped keys; the buyer accepts, or time does. Money and token lie here
/// from the purchase on. The part that the data set's terms name goes to its contributors, the rest to the seller, the
/// token to the buyer. What anybody is owed is credited in the rewards contract, so that nobody who cannot
/// receive blocks the other side.
///
/// None --list--> Listed --buy--> Sold --deliver--> Delivered --accept--> (paid)
///         unlist: None             \--expire--> (undone)      \--reject--> (undone)
///
/// @dev Privileges, all bound to one token:
/// - its holder may list it, having approved this contract for it (a token sent here by any other way stays
///   here); the seller, or whoever holds it then, may unlist it until it is sold;
/// - the seller may deliver inside {DELIVER_SECONDS} of the purchase; after that anyone may undo the sale;
/// - the buyer may accept or reject inside {ACCEPT_SECONDS} of the delivery; after that anyone may accept for it.
/// There is no owner. Only data sets of settled orders are sold: no challenge can revoke those, so that nobody resells
/// what the first buyer gets its money back for. A revoked one can be neither listed nor bought.
///
/// What this does NOT do. It is no fair exchange; there cannot be one without a judge who sees the keys:
/// - a buyer has the keys from the delivery on, and may still reject, keep what it read and have its money back;
/// - a seller may deliver keys that open nothing, and is paid if the buyer does not reject in time;
/// - a seller keeps what it has. The token says who bought, not who can read.
/// Nobody here can tell these cases apart, so none is punished; all are counted, for and by address, in
/// {recordOf}, and each leaves an event. A fresh address has a fresh record, and sales to oneself cost
/// no more than the royalty: take a record for a hint, and a short one for none.
/// Whether a data set is sealed is written nowhere on chain; the seller of an open one delivers no bytes.
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
        /// None when the token is not offered, and after a sale has ended.
        State state;
    }

    /// @notice How the sales of one address ended.
    struct Record {
        /// As the seller: accepted, by the buyer or by time.
        uint32 sold;
        /// As the seller: the buyer rejected what was delivered.
        uint32 rejected;
        /// As the seller: nothing was delivered in time.
        uint32 undelivered;
        /// As the buyer: accepted.
        uint32 bought;
        /// As the buyer: it rejected what was delivered.
        uint32 returned;
    }

    event DatasetListed(uint256 indexed dataset, address indexed seller, uint256 price);
    event DatasetUnlisted(uint256 indexed dataset, address indexed seller);
    /// @param deliveryKey X25519 key to wrap the data set's keys to; zero for an open data set.
    /// @param deliverBy last chain time (seconds) of a delivery.
    event DatasetSold(
        uint256 indexed dataset,
        address indexed seller,
        address indexed buyer,
        uint256 price,
        bytes32 deliveryKey,
        uint256 deliverBy
    );
    /// @param wrappedKeys as docs/spec/sealing.md writes them; empty for an open data set. Not checked.
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
    /// @notice The buyer says that the delivery was worth nothing; it has its money back, and the keys that it got.
    event SaleRejected(uint256 indexed dataset, address indexed seller, address indexed buyer);
    /// @notice The seller delivered nothing in time.
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
    /// @notice The list price is not what the buyer agreed to.
    error DatasetSales_WrongPrice(uint256 dataset, uint256 price, uint256 agreed);
    /// @notice The token handed over less, or more, than it was told.
    error DatasetSales_WrongPayment(uint256 received, uint256 price);
    /// @notice Possible only up to chain time `deadline`.
    error DatasetSales_TooLate(uint256 dataset, uint256 deadline);
    /// @notice Possible only after chain time `deadline`.
    error DatasetSales_TooEarly(uint256 dataset, uint256 deadline);

    /// @notice Offers a data set, or changes its price. Holder of the token only, who stays it until the sale.
    /// @dev An offer stands while its seller holds the token. Who parts with it and gets it back finds the offer
    /// standing still, as long as this contract is approved.
    function list(uint256 dataset, uint256 price) external;

    /// @notice Takes an offer back. The seller, or the present holder of the token.
    function unlist(uint256 dataset) external;

    /// @notice Buys at the list price: takes the price from the caller and the token from the seller.
    /// @param price that the caller agrees to; must be the list price.
    /// @param deliveryKey X25519 key of the caller; zero for an open data set.
    /// @param permit pays without a former approval; zeros when this contract is approved.
    function buy(uint256 dataset, uint256 price, bytes32 deliveryKey, Permit calldata permit) external;

    /// @notice Hands the keys over, wrapped for the buyer. Seller only, in time.
    function deliver(uint256 dataset, bytes calldata wrappedKeys) external;

    /// @notice Ends a delivered sale: royalty to the data set's pot, the rest to the seller, the token to the buyer.
    /// Buyer; anyone when the time to reject has passed.
    function accept(uint256 dataset) external;

    /// @notice Undoes a delivered sale: the price to the buyer, the token to the seller. Buyer only, in time.
    function reject(uint256 dataset) external;

    /// @notice Undoes a sale whose keys were not delivered in time: the price to the buyer, the token to the seller.
    /// Anyone.
    function expire(uint256 dataset) external;

    /// @return Zeros, with state None, when the data set's token is not offered.
    function saleOf(uint256 dataset) external view returns (Sale memory);

    /// @return How the sales of `account` ended so far.
    function recordOf(address account) external view returns (Record memory);
}
