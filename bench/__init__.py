"""The benchmark: `make bench`, `make bench-quick`. docs/performance.md tells what it found."""
