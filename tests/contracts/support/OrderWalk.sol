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

    /// @dev What became of the shard that an order's disputes are about.
    enum Fate {
        Standing,
        Dropped,
        Convicted
    }

    /// @dev What the walk knows of an order besides its terms. Its disputes are about shard `order number % 3`; of every
    /// other order a row of that shard is false; of every fourth a part is worthless.
    struct Book {
        bytes32 id;
        Stage stage;
        uint256 bond;
        uint256 dataset;
        bool isFalse;
        IDemands.Kind demand;
        uint256 answerBy;
        bool warned;
        /// Bit k: a demand of kind k has ended.
        uint256 shown;
        Fate fate;
        bool fined;
        bool isFixed;
        uint256 held;
    }

    uint256 private constant _MAX_ORDERS = 6;

    OrderTerms[] internal _orders;
    Book[] internal _books;
    uint256 private _allOfIt;
    mapping(address account => uint256 wealth) private _first;
    /// @dev What the rules have given (or taken from) each account since.
    mapping(address account => int256 amount) private _due;

    /// @notice What convictions and silences of their own have cost contributors.
    mapping(address contributor => uint256 amount) public faults;
    /// @notice What the broker forfeited by giving up, lapsing and missed draws.
    uint256 public forfeited;
    /// @notice Of it, what contributors got.
    uint256 public compensated;
    /// @notice What the buyer paid for settled orders, and deposits that answers about data burned.
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
            sum += _depositOf(i);
        }
    }

    /// @notice Bonds in the escrow.
    function brokersHeld() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].stage != Stage.Over) sum += _books[i].bond;
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
            sum += _orders[i].price + _books[i].bond + _books[i].held;
        }
    }

    function expectedReserved(uint256 k) external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            if (_books[i].stage != Stage.Open && _books[i].stage != Stage.Over) sum += _stakeIn(i, k);
        }
    }

    /// @notice Deposits of the demands that are open.
    function expectedDemands() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _orders.length; ++i) {
            sum += _depositOf(i);
        }
    }

    /// @dev Of the open demand: only the buyer's have one.
    function _depositOf(uint256 i) internal view returns (uint256) {
        IDemands.Kind kind = _books[i].demand;
        bool isAboutData = kind == IDemands.Kind.Model || kind == IDemands.Kind.Chunk;
        return isAboutData ? (_orders[i].price * _rows(uint32(i % 3))) / 10_000 : 0;
    }

    /// @dev What contributor `k` has at stake in a matched order.
    function _stakeIn(uint256 i, uint256 k) internal view returns (uint256 amount) {
        amount = _orders[i].indivisible ? STAKE : _stakeOf(k);
        if (k != i % 3) return amount;
        if (_books[i].fate != Fate.Standing) return 0;
        if (_books[i].fined) amount -= amount / 4;
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
        terms.indivisible = _orders.length % 4 == 3;
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
        if (stage == Stage.Drawn && now_ <= escrow.deliverByOf(_books[i].id)) _publishOne(i);
        if (stage == Stage.Published) _settleOne(i);
    }

    /// @notice The way out that fits the order's state and the time.
    function quit(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        bool broken = (choice >> 128) % 2 == 0;
        Stage stage = _books[i].stage;
        if (stage == Stage.Published || stage == Stage.Over || _books[i].demand != IDemands.Kind.None) return;
        uint256 deadline = stage == Stage.Open ? _orders[i].matchBy : escrow.deliverByOf(_books[i].id);
        bool late = vm.getBlockTimestamp() > deadline;
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
        if (_books[i].stage != Stage.Committed || _books[i].isFixed) return;
        uint256 standing = _books[i].fate == Fate.Standing ? 3 : 2;
        for (uint256 k = 0; k < 3; ++k) {
            if (standing == 3 || k != i % 3) _give(_node(k), amount / standing);
        }
        compensated += standing * (amount / standing);
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
            if (registry.stakeOf(_node(k)).free < _stakeIn(i, k)) return;
        }
        (bytes[] memory acceptances, uint64[] memory maxRows) = _offer(_books[i].id, _participants());
        vm.prank(broker);
        escrow.matchOrder(_orders[i], _participants(), acceptances, maxRows, "");
        _books[i].stage = Stage.Matched;
        _books[i].bond = _orders[i].bond;
        _take(broker, _orders[i].bond);
    }

    function _commitOne(uint256 i) private {
        bytes32 id = _books[i].id;
        if (vm.getBlockTimestamp() > escrow.deliverByOf(id)) return;
        bytes32[] memory models = _models();
        bytes32[] memory salts = _saltDigests(id);
        bytes[] memory signatures = _modelSignatures(id);
        if (_books[i].fate == Fate.Dropped) (models[i % 3], salts[i % 3], signatures[i % 3]) = (0, 0, "");
        commitment.commit(id, _participants(), models, salts, signatures);
        _books[i].stage = Stage.Committed;
    }

    /// @dev The digests that were committed: a contributor that was dropped before has none.
    function _committed(uint256 i, bytes32[] memory digests) internal view returns (bytes32[] memory) {
        (bool isKnown, bytes32 expected) = (false, commitment.commitmentOf(_books[i].id).modelsDigest);
        isKnown = expected == keccak256(abi.encodePacked(_models()));
        if (!isKnown) digests[i % 3] = 0;
        return digests;
    }

    function _drawOne(uint256 i) private {
        bytes32 id = _books[i].id;
        uint64 targetBlock = commitment.commitmentOf(id).targetBlock;
        uint256 number = vm.getBlockNumber();
        if (number <= targetBlock || vm.getBlockTimestamp() > escrow.deliverByOf(id)) return;
        if (_books[i].isFixed || number <= targetBlock + 256) {
            bytes32[] memory salts = _salts();
            if (_books[i].fate == Fate.Dropped) salts[i % 3] = 0;
            commitment.drawSeed(id, _committed(i, _saltDigests(id)), salts);
            _books[i].stage = Stage.Drawn;
            return;
        }
        commitment.redraw(id);
        uint256 tenth = _orders[i].bond / 10;
        uint256 cut = tenth < _books[i].bond ? tenth : _books[i].bond;
        _books[i].bond -= cut;
        forfeited += cut;
        ++missed;
    }

    function _publishOne(uint256 i) private {
        _setRows(i);
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_books[i].id);
        if (_books[i].fate == Fate.Dropped) {
            _leaveOut(_books[i].id, record, i % 3);
            record.shards[i % 3].modelDigest = _committed(i, _models())[i % 3];
        }
        vm.prank(broker);
        _books[i].dataset = datasets.publish(_orders[i], _participants(), record);
        _books[i].stage = Stage.Published;
    }

    function _settleOne(uint256 i) private {
        if (vm.getBlockTimestamp() <= escrow.windowOf(_orders[i])) return;
        uint16[] memory shares = _sharesOf(i);
        escrow.settle(_orders[i], _participants(), shares, _noParents());
        _books[i].stage = Stage.Over;
        ++settled;
        // docs/spec/refutation.md, "Money".
        uint256 price = _orders[i].price;
        uint256 rows = _rows(uint32(i % 3));
        uint256 base = _books[i].fate == Fate.Dropped ? (price * (1_000 - rows)) / 1_000 : price;
        uint256 fee = (base * _orders[i].brokerFeeBps) / 10_000;
        _give(broker, fee + _books[i].bond);
        uint256 left = base - fee;
        uint256 refunded = price - base;
        for (uint256 k = 0; k < 3; ++k) {
            uint256 part = k == 2 ? left : ((base - fee) * shares[k]) / 10_000;
            left -= part;
            if (k == i % 3 && _books[i].fate != Fate.Standing) refunded += part;
            else _give(_node(k), part);
        }
        if (_books[i].fate == Fate.Convicted) {
            uint256 whole = (price * rows) / 1_000;
            uint256 lacking = whole > refunded ? whole - refunded : 0;
            refunded += lacking < _books[i].held ? lacking : _books[i].held;
        }
        _books[i].held = 0;
        _give(buyer, refunded);
        if (price > refunded) spent += price - refunded;
    }

    /// @dev As published: the share of a dropped shard is the next one's.
    function _sharesOf(uint256 i) private view returns (uint16[] memory shares) {
        shares = _shares();
        if (_books[i].fate != Fate.Dropped) return shares;
        shares[(i + 1) % 3] += shares[i % 3];
        shares[i % 3] = 0;
    }

    /// @dev From here on the rows are those of order `i`: row 150 of its shard is false, or none is.
    function _setRows(uint256 i) internal {
        (liar, falseRow) = (_books[i].isFalse ? uint32(i % 3) : 3, 150);
    }
}
