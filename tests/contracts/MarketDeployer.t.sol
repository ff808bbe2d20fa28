// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MarketDeployer} from "../../contracts/MarketDeployer.sol";
import {IMarketDeployer} from "../../contracts/interfaces/IMarketDeployer.sol";
import {TestBase} from "./support/TestBase.sol";

/// @notice Names another contract, and a number.
contract Half {
    error Half_TooLarge(uint256 size);

    address public immutable other;
    uint256 public immutable size;

    constructor(address other_, uint256 size_) {
        if (size_ > 100) revert Half_TooLarge(size_);
        other = other_;
        size = size_;
    }
}

/// @notice Plan.
/// create
///   given other digests than the plan's: reverts with both
///   given another step than the next one: reverts with number and digests; a step taken twice is another step
///   given the next step: creates it where `addressOf` says, with siblings' addresses in place of their numbers
///   given a constructor that reverts: reverts with its error, the step stays the next one
///   given a complete plan: reverts
/// addressOf
///   given a number beyond one byte of nonce: reverts with both numbers
contract MarketDeployerTest is TestBase {
    IMarketDeployer private deployer;
    IMarketDeployer.Step[] private steps;
    bytes32[] private digests;

    function setUp() public {
        vm.warp(1_800_000_000);
        _add(1, 7);
        _add(0, 8);
        deployer = IMarketDeployer(_create("MarketDeployer", abi.encode(keccak256(abi.encode(digests)))));
        vm.warp(1_800_000_100);
    }

    function _add(uint256 sibling, uint256 size) private {
        bytes32[] memory words = new bytes32[](2);
        (words[0], words[1]) = (bytes32(sibling), bytes32(size));
        IMarketDeployer.Step memory step = IMarketDeployer.Step(type(Half).creationCode, words, 1);
        steps.push(step);
        digests.push(keccak256(abi.encode(step)));
    }

    function test_ContractsThatNameEachOtherStandWhereTheyWereSaidTo() public {
        address[2] memory expected = [deployer.addressOf(0), deployer.addressOf(1)];
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(deployer.created(), i, "created before");
            vm.expectEmit();
            emit IMarketDeployer.ContractCreated(i, expected[i]);
            assertEq(deployer.create(digests, steps[i]), expected[i], "address");
            assertEq(Half(expected[i]).other(), expected[1 - i], "the other one");
            assertEq(Half(expected[i]).size(), 7 + i, "size");
        }
        assertEq(expected[1], vm.computeCreateAddress(address(deployer), 2), "nonce of the second");
        assertEq(deployer.createdAt(), 1_800_000_000, "creation time");
    }

    function test_RevertWhen_TheDigestsAreOthers() public {
        bytes32[] memory others = new bytes32[](1);
        others[0] = digests[0];
        bytes32 found = keccak256(abi.encode(others));
        bytes32 expected = keccak256(abi.encode(digests));
        vm.expectRevert(
            abi.encodeWithSelector(IMarketDeployer.MarketDeployer_WrongPlan.selector, found, expected)
        );
        deployer.create(others, steps[0]);
    }

    function test_RevertWhen_AStepIsLeftOutOrTakenTwice() public {
        vm.expectRevert(
            abi.encodeWithSelector(IMarketDeployer.MarketDeployer_WrongStep.selector, 0, digests[1], digests[0])
        );
        deployer.create(digests, steps[1]);
        deployer.create(digests, steps[0]);
        vm.expectRevert(
            abi.encodeWithSelector(IMarketDeployer.MarketDeployer_WrongStep.selector, 1, digests[0], digests[1])
        );
        deployer.create(digests, steps[0]);
    }

    function test_RevertWhen_ASiblingIsTakenForALiteral() public {
        IMarketDeployer.Step memory step = steps[0];
        step.siblings = 0;
        bytes32 found = keccak256(abi.encode(step));
        vm.expectRevert(
            abi.encodeWithSelector(IMarketDeployer.MarketDeployer_WrongStep.selector, 0, found, digests[0])
        );
        deployer.create(digests, step);
    }

    function test_RevertWhen_AConstructorDoes() public {
        _add(0, 101);
        MarketDeployer other = new MarketDeployer(keccak256(abi.encode(digests)));
        other.create(digests, steps[0]);
        other.create(digests, steps[1]);
        vm.expectRevert(abi.encodeWithSelector(Half.Half_TooLarge.selector, 101));
        other.create(digests, steps[2]);
        assertEq(other.created(), 2, "created");
    }

    function test_RevertWhen_ThePlanIsComplete() public {
        deployer.create(digests, steps[0]);
        deployer.create(digests, steps[1]);
        vm.expectRevert(abi.encodeWithSelector(IMarketDeployer.MarketDeployer_Complete.selector, 2));
        deployer.create(digests, steps[1]);
    }

    function test_AddressesAreThoseOfNoncesUpToOneByte() public {
        assertEq(deployer.addressOf(126), vm.computeCreateAddress(address(deployer), 127), "last");
        vm.expectRevert(
            abi.encodeWithSelector(IMarketDeployer.MarketDeployer_NumberOutOfRange.selector, 127, 126)
        );
        deployer.addressOf(127);
    }
}
