// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelCommitment} from "../../contracts/interfaces/IModelCommitment.sol";
import {BlockHashes} from "../../contracts/types/BlockHashes.sol";
import {Market} from "./support/Market.sol";

/// @notice What Arbitrum has at address 100: its own blocks, of which it tells 256.
contract ArbSysDouble {
    uint256 public arbBlockNumber;
    mapping(uint256 number => bytes32 hash) private _hashes;

    function mine(uint256 number, bytes32 hash) external {
        arbBlockNumber = number + 1;
        _hashes[number] = hash;
    }

    function roll(uint256 number) external {
        arbBlockNumber = number;
    }

    function arbBlockHash(uint256 number) external view returns (bytes32) {
        require(
            number < arbBlockNumber && number + 256 >= arbBlockNumber,
            "invalid block number for ArbBlockHash"
        );
        return _hashes[number];
    }
}

/// @notice A chain whose opcodes tell of another chain's blocks.
contract ArbitrumBlocksTest is Market {
    uint256 private constant NOW = 400_000_000;
    ArbSysDouble private _sys;

    function setUp() public override {
        super.setUp();
        vm.etch(address(BlockHashes.ARB_SYS), address(new ArbSysDouble()).code);
        _sys = ArbSysDouble(address(BlockHashes.ARB_SYS));
        _sys.roll(NOW);
    }

    /// @dev Before: the seed's block had a number of the chain below, under which this chain's nodes show another block.
    function test_C4_TheSeedComesFromABlockOfThisChain() public {
        bytes32 order = _commit(_terms());
        IModelCommitment.Commitment memory found = commitment.commitmentOf(order);
        assertEq(found.commitBlock, NOW, "committed");
        assertEq(found.targetBlock, NOW + DELAY, "appointed");

        vm.roll(vm.getBlockNumber() + 100);
        bytes4 cause = IModelCommitment.ModelCommitment_TooEarly.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, NOW + DELAY));
        commitment.drawSeed(order, _saltDigests(order), _salts());
        bytes32 hash = keccak256("hash");
        _sys.mine(NOW + DELAY, hash);
        bytes32 models = keccak256(abi.encodePacked(_models()));
        bytes32 seed = keccak256(abi.encode(order, models, hash, keccak256(abi.encodePacked(_salts()))));
        assertEq(commitment.drawSeed(order, _saltDigests(order), _salts()), seed, "seed");
    }

    function test_C4_AMissedBlockOfThisChainIsReplaced() public {
        bytes32 order = _commit(_terms());
        _sys.mine(NOW + DELAY, keccak256("hash"));
        _sys.roll(NOW + DELAY + 257);
        bytes4 cause = IModelCommitment.ModelCommitment_DrawMissed.selector;
        vm.expectRevert(abi.encodeWithSelector(cause, order, NOW + DELAY));
        commitment.drawSeed(order, _saltDigests(order), _salts());
        commitment.redraw(order);
        assertEq(commitment.commitmentOf(order).targetBlock, NOW + DELAY + 257 + DELAY, "appointed anew");
    }
}
