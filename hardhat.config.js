// Builds and tests run without a network: the compiler is the npm package `solc`, not a download.
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

const require = createRequire(import.meta.url);

const compiler = {
  version: "0.8.37",
  path: require.resolve("solc/soljson.js"),
  settings: {
    // Without the IR pipeline the publication of a data set does not fit the stack.
    viaIR: true,
    optimizer: { enabled: true, runs: 10_000 },
    evmVersion: "cancun",
  },
};

// The contracts that are deployed. Everything else, tests above all, is compiled the quick way: the tests deploy
// the built artifacts, so that they try (and weigh) the very bytecode that is shipped.
const DEPLOYED = [
  "TestToken",
  "MarketDeployer",
  "ContributorRegistry",
  "OrderEscrow",
  "ModelCommitment",
  "DatasetRegistry",
  "Rewards",
  "Challenges",
  "Demands",
  "DatasetSales",
  "Royalties",
  "ModelStore",
  "RowVerifier",
];
// For what is large the code limit of a contract, 24,576 bytes, counts for more than a call's gas. Demands is seldom
// called; OrderEscrow reads the conditions of an order, and would have 25,731 bytes.
const small = { ...compiler, settings: { ...compiler.settings, optimizer: { enabled: true, runs: 200 } } };
const quick = { ...compiler, settings: { optimizer: { enabled: true, runs: 1 }, evmVersion: "cancun" } };
const profile = {
  compilers: [quick],
  overrides: {
    ...Object.fromEntries(DEPLOYED.map((name) => [`contracts/${name}.sol`, compiler])),
    "contracts/Demands.sol": small,
    "contracts/OrderEscrow.sol": small,
  },
};

// Another walk every time; a failure is repeated with the seed that it printed.
const seed = process.env.FUZZ_SEED ?? `0x${randomBytes(16).toString("hex")}`;
if (process.argv.includes("test")) console.log(`fuzz and invariants: FUZZ_SEED=${seed}`);

export default defineConfig({
  solidity: {
    profiles: { default: profile, production: profile },
    splitTestsCompilation: true,
  },
  paths: {
    sources: "./contracts",
    tests: { solidity: "./tests/contracts" },
  },
  test: {
    solidity: {
      fsPermissions: { readDirectory: ["./artifacts/contracts", "./tests/vectors"] },
      // Every call of a test is a transaction of its own, so that gas is what a user pays.
      isolate: true,
      fuzz: { runs: 64, seed },
      // Hardhat's defaults take minutes here; this walk still visits every transition.
      invariant: { runs: 8, depth: 40, failOnRevert: true },
    },
  },
});
