"""`python -m odits`."""

from odits.cli import main

main()
