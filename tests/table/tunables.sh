#!/bin/bash
# The unit, the AppArmor profile and the SELinux module are what their own tools take, and the unit is as tight as it says. TAP on standard
# output.
set -u
top=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
build=${VIRTGATE_BUILD:-$PWD}
case $build in /*) ;; *) build=$PWD/$build ;; esac
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
number=0 failed=0

# usage: verdict NAME WHAT_IS_WRONG
verdict()
{
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number - $1"
		return
	fi
	failed=1
	echo "not ok $number - $1"
	printf '%s\n' "$2" | sed 's/^/# /'
}

# usage: needs PROGRAM NAME_OF_TEST
needs()
{
	command -v "$1" >/dev/null && return
	number=$((number + 1))
	echo "ok $number - $2 # SKIP $1 is not installed"
	return 1
}

# The unit with the program that was just built: verify wants it to exist.
unit=$scratch/virtgated.service
sed -e "s|@sbindir[@]/virtgated|$build/virtgated|g" -e 's|@sysconfdir[@]|/etc|g' "$top/gateway/virtgated.service.in" >"$unit"
if needs systemd-analyze "the unit"; then
	# Units that this machine does not have are not the unit's fault.
	verdict "systemd takes the unit" "$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$unit" 2>&1 | grep -F virtgated.service)"
	exposure=$(systemd-analyze security --offline=yes "$unit" 2>/dev/null | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
	# A daemon on the network that starts as root to become others: what is left is that, and nothing else.
	verdict "exposure by systemd-analyze security is at most 2.9" "$(awk -v is="${exposure:-10}" 'BEGIN { if (is > 2.9) print "it is " is }')"
fi
if needs apparmor_parser "the AppArmor profile"; then
	told=$(apparmor_parser --skip-kernel-load --skip-cache --quiet "$top/gateway/security/virtgated.apparmor" 2>&1) || told+=" (status $?)"
	verdict "AppArmor's parser takes the profile" "$(grep -v 'Cache read/write disabled\|AppArmor 2.4 compatibility' <<<"$told")"
fi
if needs checkmodule "the SELinux module" && needs semodule_package "the SELinux module"; then
	verdict "checkmodule and semodule_package build the SELinux module" "$({ checkmodule -M -m -o "$scratch/virtgate.mod" "$top/gateway/security/virtgate.te" &&
		semodule_package -o "$scratch/virtgate.pp" -m "$scratch/virtgate.mod" -f "$top/gateway/security/virtgate.fc" && [ -s "$scratch/virtgate.pp" ]; } 2>&1 ||
		echo "(status $?)")"
fi
echo "1..$number"
exit "$failed"
