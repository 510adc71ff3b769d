#!/bin/sh
# I23: every row of the procedure table is what libvirt's protocol files say, permission by permission.
exec python3 "$(dirname "$0")/compare_protocol.py"
