"""What tests, the fault harness and the benchmark stand on."""
