#!/bin/sh
# I23: every row of the procedure table is what libvirt's protocol files say, permission by permission.
dir=$(dirname "$0")
# I28: and no flag of the installed libvirt is unknown.
if [ -f /usr/include/libvirt/libvirt.h ]; then
	python3 "$dir/compare_protocol.py" --headers || exit 1
fi
exec python3 "$dir/compare_protocol.py"
