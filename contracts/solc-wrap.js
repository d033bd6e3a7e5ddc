#!/usr/bin/env node
// Stands in for the native `solc` executable: answers `--version` and `--standard-json` from npm's wasm build.
// That is all that forge asks of a compiler, and it needs no download outside the npm registry.
const fs = require("fs");
const solc = require("solc");

const args = process.argv.slice(2);
if (args.includes("--version")) {
  // forge parses the platform suffix and does not know Emscripten's.
  const version = solc.version().replace("Emscripten.clang", "Linux.g++");
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (args.includes("--standard-json")) {
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8")));
} else {
  process.stderr.write(`solc-wrap.js knows --version and --standard-json only, not: ${args.join(" ")}\n`);
  process.exit(1);
}
