// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IContributorRegistry} from "../../../contracts/interfaces/IContributorRegistry.sol";
import {IDatasetRegistry} from "../../../contracts/interfaces/IDatasetRegistry.sol";
import {IDemands} from "../../../contracts/interfaces/IDemands.sol";
import {IRowVerifier} from "../../../contracts/interfaces/IRowVerifier.sol";
import {OrderTerms} from "../../../contracts/types/OrderTerms.sol";
import {RowMarket} from "./RowMarket.sol";
import {UnrulyToken} from "./UnrulyToken.sol";

/// @notice Drives several orders at random through a market with the row verifier that is shipped and a token that
/// freezes accounts, and keeps its own books of where the money should be.
abstract contract OrderWalk is RowMarket {
    enum Stage {
        Open,
        Matched,
        Committed,
        Drawn,
        Published,
        Over
    }

    /// @dev What became of a shard.
    enum Fate {
        Standing,
        Dropped,
        Convicted
    }

    /// @dev What is false about a shard from the beginning.
    enum Lie {
        None,
        Row,
        Model
    }

    /// @dev What the walk knows of an order besides its terms.
    struct Book {
        bytes32 id;
        Stage stage;
        uint256 bond;
        uint256 dataset;
        Lie[3] lies;
        Fate[3] fates;
        bool[3] fined;
        bytes32[3] rows;
        bool isFixed;
        bool feeForfeit;
        bool settled;
        bool revoked;
        /// Bit k: shard k was dropped before the commit.
        uint256 uncommitted;
        uint256 held;
        /// One more than the index of the order whose data set is the parent; zero for none.
        uint256 parent;
        uint256 pot;
    }

    /// @dev An open demand. Number 3 is the manifest's, the others are the shards'.
    struct Ask {
        IDemands.Kind kind;
        uint256 answerBy;
        bool warned;
        /// Bit k: a demand of kind k has ended.
        uint256 shown;
    }

    uint256 internal constant ASKS = 4;
    /// @dev The row that is looked at: true unless the shard's lie is about it. The others are junk.
    uint256 internal constant TRIED = 150;
    uint256 private constant _MAX_ORDERS = 5;

    OrderTerms[] internal _orders;
    Book[] internal _books;
    mapping(uint256 i => mapping(uint256 k => Ask)) internal _asks;
    UnrulyToken internal _unruly;
    uint256 private _allOfIt;
    /// @dev The order whose models and rows are spoken of.
    uint256 private _current;
    mapping(address account => uint256 wealth) private _first;
    /// @dev What the rules have given (or taken from) each account since.
    mapping(address account => int256 amount) private _due;
    /// @dev Deposits that could not be sent.
    mapping(address account => uint256 amount) internal _kept;

    /// @notice What convictions and silences of their own have cost contributors.
    mapping(address contributor => uint256 amount) public faults;
    /// @notice What the broker forfeited by giving up, lapsing, missed draws and a manifest withheld.
    uint256 public forfeited;
    /// @notice Of it, what contributors got.
    uint256 public compensated;
    /// @notice What the buyer paid for settled orders, and deposits that answers about data burned.
    uint256 public spent;

    /// @notice Whether the walk ever got as far as a settlement, a refund and a missed draw.
    uint256 public settled;
    uint256 public refunded;
    uint256 public missed;
    uint256 public withParent;

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

    function _createToken() internal override returns (address) {
        _unruly = new UnrulyToken();
        return address(_unruly);
    }

    function _createVerifier() internal override returns (address) {
        return _create("RowVerifier", "");
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
        return token.balanceOf(account) + rewards.claimable(account) + staked + _kept[account];
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
            for (uint256 k = 0; k < ASKS; ++k) sum += _depositOf(i, k);
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

    /// @notice Deposits of the demands that are open, and those that could not be sent.
    function expectedDemands() external view returns (uint256 sum) {
        sum = _kept[buyer] + _kept[BURN];
        for (uint256 i = 0; i < _orders.length; ++i) {
            for (uint256 k = 0; k < ASKS; ++k) sum += _depositOf(i, k);
        }
    }

    /// @dev Of an open demand: only the buyer's have one.
    function _depositOf(uint256 i, uint256 k) internal view returns (uint256) {
        IDemands.Kind kind = _asks[i][k].kind;
        if (kind == IDemands.Kind.Manifest) return _orders[i].price / 10;
        if (kind != IDemands.Kind.Model && kind != IDemands.Kind.Chunk) return 0;
        return (_orders[i].price * _rows(uint32(k))) / 10_000;
    }

    /// @dev What contributor `k` has at stake in a matched order.
    function _stakeIn(uint256 i, uint256 k) internal view returns (uint256 amount) {
        if (_books[i].fates[k] != Fate.Standing) return 0;
        amount = _orders[i].indivisible ? STAKE : _stakeOf(k);
        if (_books[i].fined[k]) amount -= amount / 4;
    }

    function _standing(uint256 i) internal view returns (uint256 count) {
        for (uint256 k = 0; k < 3; ++k) {
            if (_books[i].fates[k] == Fate.Standing) ++count;
        }
    }

    function _rowsThatAre(uint256 i, Fate fate) internal view returns (uint256 sum) {
        for (uint256 k = 0; k < 3; ++k) {
            if (_books[i].fates[k] == fate) sum += _rows(uint32(k));
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

    /// @notice What the rewards contract owes to accounts and to data sets.
    function owed() external view returns (uint256 sum) {
        address[6] memory all = accounts();
        for (uint256 k = 0; k < all.length; ++k) sum += rewards.claimable(all[k]);
        sum += rewards.claimable(BURN);
        for (uint256 i = 0; i < _books.length; ++i) sum += _books[i].pot;
    }

    /// @notice Royalties that are booked otherwise than the rules say.
    function wrongPots() external view returns (uint256 wrong) {
        for (uint256 i = 0; i < _books.length; ++i) {
            uint256 id = _books[i].dataset;
            if (id != 0 && rewards.datasetBalance(id) != _books[i].pot) ++wrong;
        }
    }

    function stake(uint256 k) external view returns (uint256 all, uint256 reserved) {
        IContributorRegistry.Stake memory found = registry.stakeOf(_node(k));
        return (found.free + found.reserved + found.unbonding, found.reserved);
    }

    // -- models and rows ----------------------------------------------------------------------------------------

    /// @dev From here on models and rows are those of order `i`.
    function _focus(uint256 i) internal {
        _current = i;
    }

    function _lieOf(uint256 shard) private view returns (Lie) {
        return _current < _books.length ? _books[_current].lies[shard] : Lie.None;
    }

    function _modelBytes(uint32 shard) internal view override returns (bytes memory) {
        bytes32 schema = _lieOf(shard) == Lie.Model ? keccak256("another schema") : SCHEMA;
        return _smallModel(schema, bytes1(uint8(0xf0 + shard)));
    }

    function _models() internal view override returns (bytes32[] memory models) {
        models = new bytes32[](3);
        for (uint32 k = 0; k < 3; ++k) models[k] = sha256(_modelBytes(k));
    }

    function _row(uint32 shard, uint256 row) internal view override returns (bytes32) {
        if (row != TRIED || _lieOf(shard) == Lie.Row) return super._row(shard, row);
        return _books[_current].rows[shard];
    }

    /// @dev The row as the committed model makes it from the seed.
    function _makeRow(uint256 i, uint32 shard) private view returns (bytes32) {
        IRowVerifier.RowQuery memory query;
        bytes memory model = _modelBytes(shard);
        query.modelDigest = sha256(model);
        query.seed = commitment.commitmentOf(_books[i].id).seed;
        (query.schemaDigest, query.sizeClass) = (SCHEMA, 1);
        (query.shard, query.shardRows) = (shard, uint64(_rows(shard)));
        for (uint32 k = 0; k < shard; ++k) query.requestRow += uint64(_rows(k));
        (query.chunk, query.row) = (uint64(TRIED / ROWS_PER_CHUNK), uint32(TRIED % ROWS_PER_CHUNK));
        return bytes32(IRowVerifier(address(verifier)).rowOf(model, "", query));
    }

    // -- steps --------------------------------------------------------------------------------------------------

    /// @param shape two bits a shard: 2 for a false row, 3 for a false model; then whether a part is worthless, and a
    /// parent if there is one.
    function place(uint256 price, uint256 bond, uint16 feeBps, uint256 shape) external {
        if (_orders.length == _MAX_ORDERS) return;
        OrderTerms memory terms = _terms();
        uint64 now_ = uint64(vm.getBlockTimestamp());
        terms.price = bound(price, 0, 1_000 ether);
        terms.bond = bound(bond, 0, 100 ether);
        terms.brokerFeeBps = uint16(bound(feeBps, 0, 2_000));
        terms.royaltyBps = uint16(bound(feeBps, 0, 1_000));
        (terms.matchBy, terms.deliverBy) = (now_ + 1 hours, now_ + 1 days);
        terms.salt = bytes32(_orders.length);
        terms.indivisible = (shape >> 6) % 4 == 3;
        uint256 parent = (shape >> 8) % 2 == 1 ? _aParent() : 0;
        if (parent != 0) terms.parents = keccak256(abi.encode(_parentsOf(parent)));
        Book storage book = _books.push();
        for (uint256 k = 0; k < 3; ++k) {
            uint256 lie = (shape >> (2 * k)) % 4;
            book.lies[k] = lie < 2 ? Lie.None : Lie(lie - 1);
        }
        book.parent = parent;
        book.id = escrow.place(terms, _signTerms(BUYER_KEY, terms), _noPermit());
        _take(buyer, terms.price);
        _orders.push(terms);
    }

    /// @notice Steps towards settlement, as many as the order can take.
    function advance(uint256 choice, uint256 steps) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        _focus(i);
        for (uint256 step = 0; step <= steps % 3; ++step) {
            Stage stage = _books[i].stage;
            uint256 now_ = vm.getBlockTimestamp();
            if (stage == Stage.Open && now_ <= _orders[i].matchBy) _matchOne(i);
            if (stage == Stage.Matched) _commitOne(i);
            if (stage == Stage.Committed) _drawOne(i);
            if (stage == Stage.Drawn && now_ <= escrow.deliverByOf(_books[i].id)) _publishOne(i);
            if (stage == Stage.Published) _settleOne(i);
        }
    }

    /// @notice The way out that fits the order's state and the time.
    function quit(uint256 choice, bool broken) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        Stage stage = _books[i].stage;
        if (stage == Stage.Published || stage == Stage.Over || _isAsked(i)) return;
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
        if (stage != Stage.Open) _forfeit(i, late, couldBeKnown);
        _books[i].stage = Stage.Over;
    }

    function _isAsked(uint256 i) private view returns (bool) {
        for (uint256 k = 0; k < ASKS; ++k) {
            if (_asks[i][k].kind != IDemands.Kind.None) return true;
        }
        return false;
    }

    /// @dev docs/spec/refutation.md, "Money".
    function _forfeit(uint256 i, bool late, bool couldBeKnown) private {
        uint256 left = _books[i].bond;
        uint256 tenth = _orders[i].bond / 10;
        uint256 standing = _standing(i);
        Stage stage = _books[i].stage;
        uint256 amount = late || couldBeKnown || tenth > left ? left : tenth;
        if (!late && stage == Stage.Matched && standing < 3) amount = 0;
        forfeited += amount;
        _give(broker, left - amount);
        if (stage != Stage.Committed || _books[i].isFixed) return;
        for (uint256 k = 0; k < 3; ++k) {
            if (_books[i].fates[k] == Fate.Standing) _give(_node(k), amount / standing);
        }
        compensated += standing * (amount / standing);
    }

    function claim(uint256 choice) external {
        address account = accounts()[choice % 6];
        if (_unruly.isFrozen(account)) return;
        if (rewards.claimable(account) != 0) rewards.claimFor(account);
        if (_kept[account] != 0) demands.collect(account);
        _kept[account] = 0;
    }

    /// @notice Divides the royalties of a data set.
    function distribute(uint256 choice) external {
        if (_orders.length == 0) return;
        uint256 i = choice % _orders.length;
        uint256 pot = _books[i].pot;
        if (pot < 10_000) return;
        uint16[] memory shares = _sharesOf(i);
        rewards.distribute(_books[i].dataset, _participants(), shares);
        for (uint256 k = 0; k < 3; ++k) {
            uint256 part = (pot * shares[k]) / 10_000;
            _give(_node(k), part);
            _books[i].pot -= part;
        }
    }

    /// @notice The token freezes an account (the burn address too) or frees it.
    function freeze(uint256 choice, bool answersFalse) external {
        uint256 k = choice % 7;
        address account = k == 6 ? BURN : accounts()[k];
        _unruly.answerFalse(answersFalse);
        _unruly.freeze(account, !_unruly.isFrozen(account));
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
        for (uint256 k = 0; k < 3; ++k) {
            if (_books[i].fates[k] == Fate.Dropped) _books[i].uncommitted |= 1 << k;
        }
        bytes[] memory signatures = _modelSignatures(id);
        for (uint256 k = 0; k < 3; ++k) {
            if (_books[i].fates[k] == Fate.Dropped) signatures[k] = "";
        }
        bytes32[] memory models = _committed(i, _models());
        commitment.commit(id, _participants(), models, _committed(i, _saltDigests(id)), signatures);
        _books[i].stage = Stage.Committed;
    }

    /// @dev The digests that were committed: a contributor that was dropped before has none.
    function _committed(uint256 i, bytes32[] memory digests) internal view returns (bytes32[] memory) {
        for (uint256 k = 0; k < 3; ++k) {
            if ((_books[i].uncommitted >> k) & 1 == 1) digests[k] = 0;
        }
        return digests;
    }

    function _drawOne(uint256 i) private {
        bytes32 id = _books[i].id;
        uint64 targetBlock = commitment.commitmentOf(id).targetBlock;
        uint256 number = vm.getBlockNumber();
        if (number <= targetBlock || vm.getBlockTimestamp() > escrow.deliverByOf(id)) return;
        if (_books[i].isFixed || number <= targetBlock + 256) {
            bytes32[] memory salts = _salts();
            for (uint256 k = 0; k < 3; ++k) {
                if (_books[i].fates[k] == Fate.Dropped) salts[k] = 0;
            }
            commitment.drawSeed(id, _committed(i, _saltDigests(id)), salts);
            for (uint32 k = 0; k < 3; ++k) _books[i].rows[k] = _makeRow(i, k);
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
        IDatasetRegistry.DatasetRecord memory record = _rowRecord(_books[i].id);
        for (uint256 k = 0; k < 3; ++k) {
            if (_books[i].fates[k] != Fate.Dropped) continue;
            _leaveOut(_books[i].id, record, k);
            record.shards[k].modelDigest = _committed(i, _models())[k];
        }
        record.parents = _parentsOf(_books[i].parent);
        vm.prank(broker);
        _books[i].dataset = datasets.publish(_orders[i], _participants(), record);
        _books[i].stage = Stage.Published;
    }

    // -- settlement ---------------------------------------------------------------------------------------------

    function _settleOne(uint256 i) private {
        if (vm.getBlockTimestamp() <= escrow.windowOf(_orders[i])) return;
        escrow.settle(_orders[i], _participants(), _sharesOf(i), _parentsOf(_books[i].parent));
        (_books[i].stage, _books[i].settled) = (Stage.Over, true);
        ++settled;
        uint256 price = _orders[i].price;
        uint256 base = (price * (1_000 - _rowsThatAre(i, Fate.Dropped))) / 1_000;
        uint256 fee = (base * _orders[i].brokerFeeBps) / 10_000;
        uint256 lost = _payShares(i, base - fee - _payParent(i, base));
        _give(broker, _books[i].bond + (_books[i].feeForfeit ? 0 : fee));
        uint256 back = price - base + lost + (_books[i].feeForfeit ? fee : 0);
        uint256 due = (price * _rowsThatAre(i, Fate.Convicted)) / 1_000;
        due = due > lost ? due - lost : 0;
        if (due > _books[i].held) due = _books[i].held;
        if (due > price - back) due = price - back;
        _books[i].held = 0;
        _give(buyer, back + due);
        spent += price - back - due;
    }

    /// @return lost shares of the convicted.
    function _payShares(uint256 i, uint256 amount) private returns (uint256 lost) {
        uint16[] memory shares = _sharesOf(i);
        uint256 left = amount;
        for (uint256 k = 0; k < 3; ++k) {
            uint256 part = k == 2 ? left : (amount * shares[k]) / 10_000;
            left -= part;
            if (_books[i].fates[k] == Fate.Standing) _give(_node(k), part);
            else lost += part;
        }
    }

    function _payParent(uint256 i, uint256 base) private returns (uint256 royalty) {
        uint256 parent = _books[i].parent;
        if (parent == 0) return 0;
        royalty = (base * _orders[parent - 1].royaltyBps) / 10_000;
        _books[parent - 1].pot += royalty;
        ++withParent;
    }

    /// @dev As published: the share of a dropped shard is the next one's.
    function _sharesOf(uint256 i) private view returns (uint16[] memory shares) {
        shares = _shares();
        for (uint256 k = 0; k < 3; ++k) {
            if (_books[i].fates[k] != Fate.Dropped) continue;
            shares[(k + 1) % 3] += shares[k];
            shares[k] = 0;
        }
    }

    /// @dev One more than the number of the first order whose data set can be a parent.
    function _aParent() private view returns (uint256) {
        for (uint256 i = 0; i < _books.length; ++i) {
            if (_books[i].settled && _rowsThatAre(i, Fate.Convicted) == 0) return i + 1;
        }
        return 0;
    }

    function _parentsOf(uint256 parent) private view returns (uint256[] memory ids) {
        if (parent == 0) return _noParents();
        ids = new uint256[](1);
        ids[0] = _books[parent - 1].dataset;
    }
}
