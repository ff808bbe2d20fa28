// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice An uptime feed that says what a test tells it to, or answers in a way that no feed should.
contract UptimeFeedDouble {
    enum Manner {
        Says,
        Reverts,
        BurnsAllGas,
        Garbage,
        TwoWords,
        Flood
    }

    int256 private _status;
    uint256 private _startedAt;
    Manner private _manner;

    function say(int256 status, uint256 startedAt) external {
        (_status, _startedAt, _manner) = (status, startedAt, Manner.Says);
    }

    function behave(Manner manner) external {
        _manner = manner;
    }

    /// @dev latestRoundData(): what it returns does not always fit the interface.
    fallback() external {
        Manner manner = _manner;
        bytes memory answer = abi.encode(uint80(1), _status, _startedAt, _startedAt, uint80(1));
        if (manner == Manner.Reverts) revert("no data");
        if (manner == Manner.Garbage)
            answer = abi.encode(~uint256(0), ~uint256(0), ~uint256(0), ~uint256(0), ~uint256(0));
        if (manner == Manner.TwoWords) answer = abi.encode(uint256(1), uint256(1));
        assembly {
            switch manner
            case 2 {
                invalid()
            }
            case 5 {
                return(0, 150000)
            }
            default {
                return(add(answer, 32), mload(answer))
            }
        }
    }
}
