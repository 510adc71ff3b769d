#!/bin/sh
# Each line of the list of invariants and of the list of others' faults has its test: see tests/table/invariants.py.
exec python3 "$(dirname "$0")/invariants.py"
