"""What examines the contracts beside their tests: proofs, static analysis, mutants; and the campaign of it all."""
