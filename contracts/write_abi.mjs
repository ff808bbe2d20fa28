// Builds the contracts and writes what the Python side needs of each: provenance/chain/abi/<Contract>.json
// with {"abi", "bytecode"}. The files are build products and stay out of version control.
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const CONTRACTS = [
  "TestToken",
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
for (const name of CONTRACTS) {
  const { abi, bytecode } = await hre.artifacts.readArtifact(name);
  const file = path.join(target, `${name}.json`);
  // Renamed into place, so that a reader never sees half a file.
  await writeFile(`${file}.partial`, `${JSON.stringify({ abi, bytecode })}\n`);
  await rename(`${file}.partial`, file);
}
console.log(`wrote ${CONTRACTS.length} contracts to ${path.relative(root, target)}`);
