/*
 * lost_disk.h: a disk that loses what was not synced, and fails now and then. The test program is linked with
 * -Wl,--wrap for the calls that change files, so that it sees all of the audit process in it: segments, notes, key.
 *
 * What has been synced is copied to a shadow directory. After the process was killed, lost_disk_crash() makes of each
 * file something that a power failure may leave: what was synced, and of the rest all, nothing, a part, zeros, or a part
 * and garbage; of files that were overwritten in place the old or the new block; of names that were made or removed
 * without a sync of the directory the one or the other.
 */
#ifndef TESTS_UNIT_LOST_DISK_H
#define TESTS_UNIT_LOST_DISK_H

#include <stdbool.h>

/* From now on in this process (and those it forks) for files in `dir`. `faults`: one call of so many fails; 0: none. */
void lost_disk_begin(const char *dir, const char *shadow, unsigned faults);
void lost_disk_end(void);
/* Nobody has files open. What is there now is what is there. */
void lost_disk_crash(const char *dir, const char *shadow);

#endif
