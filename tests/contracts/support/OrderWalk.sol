// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IContributorRegistry} from "../../../contracts/interfaces/IContributorRegistry.sol";
import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../../contracts/interfaces/IDemands.sol";
import {OrderTerms} from "../../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./RowMarket.sol";

/// @notice Drives many orders through a market at random and keeps its own books of where the money should be.
abstract contract OrderWalk is RowMarket {
    enum Stage {
        Open,
        Matched,
        Committed,
        Drawn,
        Published,
        Over
    }

    /// @dev What the walk knows of an order besides its terms. Its disputes are about shard `order number % 3`; of every
    /// other order a row of that shard is false.
    struct Book {
        bytes32 id;
        Stage stage;
        uint256 bond;
        uint256 dataset;
        bool isFalse;
        IDemands.Kind demand;
        uint256 answerBy;
        bool receiptShown;
        bool modelShown;
    }

    uint256 private constant _MAX_ORDERS = 6;

    OrderTerms[] internal _orders;
    Book[] internal _books;
    uint256 private _allOfIt;
    mapping(address account => uint256 wealth) private _first;
    /// @dev What the rules have given (or taken from) each account since.
    mapping(address account => int256 amount) private _due;

    /// @notice Convictions and silences by contributor: what costs a stake.
    mapping(address contributor => uint256 count) public faults;
    /// @notice What the broker forfeited by giving up, lapsing, missed draws and publishing false rows.
    uint256 public forfeited;
    /// @notice Of it, what contributors got.
    uint256 public compensated;
    /// @notice Prices of settled orders, and deposits that answers about data earned.
    uint256 public spent;

    /// @notice Whether the walk ever got as far as a settlement, a refund and a missed draw.
    uint256 public settled;
    uint256 public refunded;
    uint256 public missed;

    function setUp() public virtual override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(escrow), type(uint256).max);
        _allOfIt = _allMoney();
        address[6] memory all = accounts();
        for (uint256 k = 0; k < all.length; ++k) {
            _first[all[k]] = wealth(all[k]);
        }
    }

    // -- who has what -------------------------------------------------------------------------------------------

    /// @notice Buyer, broker, challenger, and the contributors.
    function accounts() public view returns (address[6] memory) {
        return [buyer, broker, stranger, _node(0), _node(1), _node(2)];
    }

    /// @notice All that an account has, wherever it is, but for what is in orders and demands that are open.
    function wealth(address account) public view returns (uint256) {
        IContributorRegistry.Stake memory found = registry.stakeOf(account);
        uint256 staked = uint256(found.free) + found.reserved + found.unbonding;
        return token.balanceOf(account) + rewards.claimable(account) + staked;
    }

    /// @notice What an account gained since the beginning; negative for a loss.
    function gainOf(address account) public view returns (int256) {
        return int256(wealth(account)) - int256(_first[account]);
    }

    /// @notice What it should have gained by the rules.
    function dueTo(address account) external view returns (int256) {
        return _due[account];
    }

    /// @notice Prices in the escrow, and the buyer's deposits of open demands.
    function buyersHeld() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].stage != Stage.Over) sum += _orders[i].price;
            if (_books[i].demand > IDemands.Kind.Receipt) sum += _orders[i].price / 100;
        }
    }

    /// @notice Bonds in the escrow, and the broker's deposits of open demands.
    function brokersHeld() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].stage != Stage.Over) sum += _books[i].bond;
            if (_books[i].demand == IDemands.Kind.Receipt) sum += _orders[i].price / 100;
        }
    }

    function _give(address account, uint256 amount) internal {
        _due[account] += int256(amount);
    }

    function _take(address account, uint256 amount) internal {
        _due[account] -= int256(amount);
    }

    // -- what the books say -------------------------------------------------------------------------------------

    function expectedEscrow() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].stage == Stage.Over) continue;
            sum += _orders[i].price + _books[i].bond;
        }
    }

    function expectedReserved() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].stage != Stage.Open && _books[i].stage != Stage.Over) sum += STAKE;
        }
    }

    /// @notice Deposits of the demands that are open.
    function expectedDemands() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].demand != IDemands.Kind.None) sum += _orders[i].price / 100;
        }
    }

    function demandsBalance() external view returns (uint256) {
        return token.balanceOf(address(demands));
    }

    /// @notice Tokens that were lost or came from nowhere, as a difference; zero is right.
    function driftOfAllMoney() external view returns (uint256) {
        return _allMoney() ^ _allOfIt;
    }

    /// @notice Orders whose state on chain is not the one of the books.
    function wrongStates() external view returns (uint256 wrong) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            uint256 state = uint256(_state(_books[i].id));
            Stage stage = _books[i].stage;
            if (stage == Stage.Open && state != 1) ++wrong;
            if (stage > Stage.Open && stage < Stage.Published && state != 2) ++wrong;
            if (stage == Stage.Published && state != 3) ++wrong;
            if (stage == Stage.Over && state < 4) ++wrong;
        }
    }

    function escrowBalance() external view returns (uint256) {
        return token.balanceOf(address(escrow));
    }

    function rewardsBalance() external view returns (uint256) {
        return token.balanceOf(address(rewards));
    }

    function registryBalance() external view returns (uint256) {
        return token.balanceOf(address(registry));
    }

    function owed() external view returns (uint256 sum) {
        sum = rewards.claimable(buyer) + rewards.claimable(broker);
        for (uint256 k = 0; k < 3; ++k) {
            sum += rewards.claimable(_node(k));
        }
    }

    function stake(uint256 k) external view returns (uint256 all, uint256 reserved) {
        IContributorRegistry.Stake memory found = registry.stakeOf(_node(k));
        return (found.free + found.reserved + found.unbonding, found.reserved);
    }

    // -- steps --------------------------------------------------------------------------------------------------

    function place(uint256 price, uint256 bond, uint16 feeBps) external {
        if (_orders.length == _MAX_ORDERS) return;
        OrderTerms memory terms = _terms();
        uint64 now_ = uint64(vm.getBlockTimestamp());
        terms.price = bound(price, 0, 1_000 ether);
        terms.bond = bound(bond, 0, 100 ether);
        terms.brokerFeeBps = uint16(bound(feeBps, 0, 2_000));
        (terms.matchBy, terms.deliverBy) = (now_ + 1 hours, now_ + 1 days);
        terms.salt = bytes32(_orders.length);
        Book memory book;
        book.id = escrow.place(terms, _signTerms(BUYER_KEY, terms), _noPermit());
        book.isFalse = _orders.length % 2 == 1;
        _take(buyer, terms.price);
        _orders.push(terms);
        _books.push(book);
    }

    /// @notice One step towards settlement, when the order can take it.
    function advance(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        Stage stage = _books[i].stage;
        uint256 now_ = vm.getBlockTimestamp();
        if (stage == Stage.Open && now_ <= _orders[i].matchBy) _matchOne(i);
        if (stage == Stage.Matched) _commitOne(i);
        if (stage == Stage.Committed) _drawOne(i);
        if (stage == Stage.Drawn && now_ <= _orders[i].deliverBy) _publishOne(i);
        if (stage == Stage.Published) _settleOne(i);
    }

    /// @notice The way out that fits the order's state and the time.
    function quit(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        bool broken = (choice >> 128) % 2 == 0;
        Stage stage = _books[i].stage;
        if (stage == Stage.Published || stage == Stage.Over || _books[i].demand != IDemands.Kind.None) return;
        bool late = vm.getBlockTimestamp() > (stage == Stage.Open ? _orders[i].matchBy : _orders[i].deliverBy);
        bool couldBeKnown = commitment.couldSeedBeKnown(_books[i].id);
        if (late) {
            escrow.refund(_orders[i], stage == Stage.Open ? _nobody() : _participants());
            ++refunded;
        } else if (stage == Stage.Open && broken) {
            vm.prank(buyer);
            escrow.cancel(_orders[i]);
        } else if (broken) {
            vm.prank(broker);
            escrow.abandon(_orders[i], stage == Stage.Open ? _nobody() : _participants());
        } else {
            return;
        }
        _give(buyer, _orders[i].price);
        if (stage != Stage.Open) _forfeit(i, late || couldBeKnown);
        _books[i].stage = Stage.Over;
    }

    /// @dev docs/spec/refutation.md, "Money".
    function _forfeit(uint256 i, bool wholly) private {
        uint256 left = _books[i].bond;
        uint256 tenth = _orders[i].bond / 10;
        uint256 amount = wholly || tenth > left ? left : tenth;
        forfeited += amount;
        _give(broker, left - amount);
        if (_books[i].stage != Stage.Committed) return;
        for (uint256 k = 0; k < 3; ++k) {
            _give(_node(k), amount / 3);
        }
        compensated += 3 * (amount / 3);
    }

    function claim(uint256 choice) external {
        address account =
            choice % 5 == 3
                ? broker
                : choice % 5 == 4
                    ? buyer
                    : _node(choice % 5);
        if (rewards.claimable(account) != 0) rewards.claimFor(account);
    }

    function wait(uint256 time) external {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 3 hours));
        vm.roll(vm.getBlockNumber() + bound(time, 1, 200));
    }

    function _matchOne(uint256 i) private {
        for (uint256 k = 0; k < 3; ++k) {
            if (registry.stakeOf(_node(k)).free < STAKE) return;
        }
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_books[i].id, _participants());
        vm.prank(broker);
        escrow.matchOrder(_orders[i], _participants(), acceptances, maxRows);
        _books[i].stage = Stage.Matched;
        _books[i].bond = _orders[i].bond;
        _take(broker, _orders[i].bond);
    }

    function _commitOne(uint256 i) private {
        if (vm.getBlockTimestamp() + 2 * ANSWER > _orders[i].deliverBy) return;
        commitment.commit(_books[i].id, _participants(), _models(), _modelSignatures(_books[i].id));
        _books[i].stage = Stage.Committed;
    }

    function _drawOne(uint256 i) private {
        uint64 targetBlock = commitment.commitmentOf(_books[i].id).targetBlock;
        uint256 number = vm.getBlockNumber();
        if (number <= targetBlock || vm.getBlockTimestamp() + ANSWER > _orders[i].deliverBy) return;
        if (number <= targetBlock + 256) {
            commitment.drawSeed(_books[i].id);
            _books[i].stage = Stage.Drawn;
            return;
        }
        commitment.redraw(_books[i].id);
        uint256 tenth = _orders[i].bond / 10;
        uint256 cut = tenth < _books[i].bond ? tenth : _books[i].bond;
        _books[i].bond -= cut;
        forfeited += cut;
        ++missed;
    }

    function _publishOne(uint256 i) private {
        _setRows(i);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_books[i].id);
        vm.prank(broker);
        _books[i].dataset = datasets.publish(_orders[i], _participants(), record);
        _books[i].stage = Stage.Published;
    }

    function _settleOne(uint256 i) private {
        if (vm.getBlockTimestamp() <= escrow.windowOf(_orders[i])) return;
        escrow.settle(_orders[i], _participants(), _shares(), _noParents());
        _books[i].stage = Stage.Over;
        ++settled;
        uint256 price = _orders[i].price;
        uint256 fee = (price * _orders[i].brokerFeeBps) / 10_000;
        uint256 first = ((price - fee) * 5_001) / 10_000;
        uint256 second = ((price - fee) * 3_333) / 10_000;
        _give(_node(0), first);
        _give(_node(1), second);
        _give(_node(2), price - fee - first - second);
        _give(broker, fee + _books[i].bond);
        spent += price;
    }

    /// @dev From here on the rows are those of order `i`: row 150 of its shard is false, or none is.
    function _setRows(uint256 i) internal {
        (liar, falseRow) = (_books[i].isFalse ? uint32(i % 3) : 3, 150);
    }
}
