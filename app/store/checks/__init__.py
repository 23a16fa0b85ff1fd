"""What the doctor looks at, one function per check."""
