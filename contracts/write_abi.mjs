// Builds the contracts and writes what the Python side needs. Of each: provenance/chain/abi/<Contract>.json with {"abi",
// "bytecode", "runtime", "immutables": [[start, length], ...] in the runtime code}. Of all: sources.json, from which the compiler's
// input is made again. The files are build products and stay out of version control.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const CONTRACTS = [
  "TestToken",
  "MarketDeployer",
  "ContributorRegistry",
  "OrderEscrow",
  "ModelCommitment",
  "DatasetRegistry",
  "Rewards",
  "RowVerifier",
  "Challenges",
  "Demands",
  "DatasetSales",
  "Royalties",
  "ModelStore",
];

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(root, "provenance", "chain", "abi");

process.chdir(root);
const { default: hre } = await import("hardhat");
await hre.tasks.getTask("build").run({ noTests: true, quiet: true });

await mkdir(target, { recursive: true });

async function write(name, content) {
  const file = path.join(target, `${name}.json`);
  // Renamed into place, so that a reader never sees half a file.
  await writeFile(`${file}.partial`, `${JSON.stringify(content)}\n`);
  await rename(`${file}.partial`, file);
}

const sources = { files: {}, contracts: {} };
for (const name of CONTRACTS) {
  const built = await hre.artifacts.readArtifact(name);
  const immutables = Object.values(built.immutableReferences).flat().map(({ start, length }) => [start, length]);
  const { abi, bytecode, deployedBytecode: runtime } = built;
  await write(name, { abi, bytecode, runtime, immutables });
  const info = path.join(root, "artifacts", "build-info", `${built.buildInfoId}.json`);
  const { solcLongVersion: compiler, input } = JSON.parse(await readFile(info, "utf8"));
  Object.assign(sources.files, input.sources);
  const { language, settings } = input;
  // Explorers want the code alone; syntax trees would make their answer large.
  settings.outputSelection = { "*": { "*": ["abi", "evm.bytecode", "evm.deployedBytecode", "metadata"] } };
  const place = `${built.inputSourceName}:${name}`;
  sources.contracts[name] = { place, compiler, language, settings, sources: Object.keys(input.sources) };
}
await write("sources", sources);
console.log(`wrote ${CONTRACTS.length} contracts to ${path.relative(root, target)}`);
