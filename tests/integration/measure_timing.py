"""
Does time tell a hidden object from one that is not there (I85)? TRIES questions of each kind, half of each, in random order. `make
measure-timing`; not a test of `make check`, as a busy machine would decide it.

Told apart is: the medians differ by more than 5 %, or somebody who guesses by the time would be right more than 55 times of 100.
"""
import os
import random
import signal
import statistics
import time

import pytest

from attack import ERROR, TENANTS, attacker, make_objects, remove_objects

TRIES = int(os.environ.get("TRIES", "100000"))
NOBODY = "99999999-0000-4000-8000-000000000099"


@pytest.fixture(scope="module")
def gateway(make_gateway):
    return make_gateway("timing", policy=TENANTS)


@pytest.fixture(scope="module")
def objects(libvirtd):
    made = make_objects(libvirtd)
    yield made
    remove_objects(libvirtd)


def questions(libvirtd, hr):
    """Kind -> (call, what is hidden, what is not there). Names of one length."""
    uuid = libvirtd.seeds["hr-1"][0]
    return {
        "domain by name": ("domain_lookup_by_name", {"name": "hr-1"}, {"name": "hr-0"}),
        "domain by uuid": ("domain_lookup_by_uuid", {"uuid": uuid}, {"uuid": NOBODY}),
        "domain, read": ("domain_get_info", {"dom": ("hr-1", uuid)}, {"dom": ("hr-0", NOBODY)}),
        "domain, change": ("domain_create", {"dom": ("hr-1", uuid)}, {"dom": ("hr-0", NOBODY)}),
        "network by name": ("network_lookup_by_name", {"name": "hr-net"}, {"name": "hr-not"}),
        "network, change": ("network_create", {"net": ("hr-net", hr["net"])}, {"net": ("hr-not", NOBODY)}),
        "pool by uuid": ("storage_pool_lookup_by_uuid", {"uuid": hr["pool"]}, {"uuid": NOBODY}),
        "volume, read": ("storage_vol_get_info", {"vol": ("hr-pool", "hr-vol", hr["key"])}, {"vol": ("hr-poor", "hr-vol", hr["key"])}),
    }


def guessed_right(hidden, missing):
    """How often the longer of two times, one of each, is the hidden one's (or the shorter, whichever is more often)."""
    order = sorted([(value, 0) for value in missing] + [(value, 1) for value in hidden])
    behind = ahead = 0
    for _, is_hidden in order:
        if is_hidden:
            ahead += behind
        else:
            behind += 1
    share = ahead / (len(hidden) * len(missing))
    return max(share, 1 - share)


def test_I85_time_does_not_tell_hidden_from_missing(gateway, libvirtd, objects):
    signal.alarm(0)
    told = []
    chance = random.Random(85)
    for kind, (call, hidden, missing) in questions(libvirtd, objects["hr"]).items():
        times = ([], [])
        with attacker(gateway, "alice", libvirtd.test_uri) as client:
            for _ in range(TRIES):
                which = chance.randrange(2)
                begin = time.perf_counter()
                reply = client.do(call, **(hidden, missing)[which])
                times[which].append(time.perf_counter() - begin)
                assert reply.status == ERROR
        one, two = (statistics.median(values) * 1e6 for values in times)
        right = guessed_right(*times)
        print(f"{kind}: hidden {one:.1f} us, missing {two:.1f} us ({100 * (one / two - 1):+.2f} %), guessed right {100 * right:.2f} %")
        if abs(one / two - 1) > 0.05 or right > 0.55:
            told.append(kind)
    assert not told
