"""Run the command line as ``python -m longspan``, which ``torchrun -m longspan`` needs."""

from longspan.cli import main

main()
