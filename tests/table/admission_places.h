/*
 * admission_places.h: what stands around a fragment of admission.table, and the bounds that profile restricted judges it by.
 */
#ifndef TESTS_ADMISSION_PLACES_H
#define TESTS_ADMISSION_PLACES_H

#include "gateway/admission/admission.h"

#define SECURE "<os firmware='efi'><type>hvm</type><loader secure='yes'/></os>"
#define TPM "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"

/* The bounds of the row that "r-" places are judged by. */
static const char *const macs[] = { "52:54:00:aa:*", "52:54:00:bb:00:01" }, *const filters[] = { "clean-traffic" }, *const vlans[] = { "100", "101" };
static const struct vg_limits limits = { .macs = { macs, 2 }, .filters = { filters, 1 }, .vlans = { vlans, 2 }, .max_vcpus = 4,
	.max_memory_kib = 4 * 1024 * 1024 };

static const struct place {
	const char *name;
	enum admission_kind kind;
	const char *before, *after;
	enum vg_profile profile;
} places[] = {
	{ "domain", ADMISSION_DOMAIN, "<domain type='qemu'><name>web-1</name>", "<devices/></domain>", VG_PROFILE_BASELINE },
	{ "devices", ADMISSION_DOMAIN, "<domain type='qemu'><name>web-1</name><devices>", "</devices></domain>", VG_PROFILE_BASELINE },
	{ "device", ADMISSION_DEVICE, "", "", VG_PROFILE_BASELINE },
	{ "disk", ADMISSION_DEVICE, "<disk type='file'><driver name='qemu' type='qcow2'/>", "<target dev='vda'/></disk>", VG_PROFILE_BASELINE },
	{ "snapshot", ADMISSION_SNAPSHOT, "<domainsnapshot>", "</domainsnapshot>", VG_PROFILE_BASELINE },
	{ "volume", ADMISSION_VOLUME, "<volume>", "</volume>", VG_PROFILE_BASELINE },
	{ "copy", ADMISSION_DISK, "", "", VG_PROFILE_BASELINE },
	{ "checkpoint", ADMISSION_CHECKPOINT, "<domaincheckpoint>", "</domaincheckpoint>", VG_PROFILE_BASELINE },
	{ "backup", ADMISSION_BACKUP, "<domainbackup>", "</domainbackup>", VG_PROFILE_BASELINE },
	{ "secret", ADMISSION_SECRET, "<secret>", "</secret>", VG_PROFILE_BASELINE },
	{ "pool", ADMISSION_POOL, "<pool type='dir'><name>web</name>", "</pool>", VG_PROFILE_BASELINE },
	{ "any-pool", ADMISSION_POOL, "", "", VG_PROFILE_BASELINE },
	{ "r-bare", ADMISSION_DOMAIN, "<domain type='qemu'><name>web-1</name>", "</domain>", VG_PROFILE_RESTRICTED },
	{ "r-domain", ADMISSION_DOMAIN, "<domain type='qemu'><name>web-1</name>" SECURE "<devices>" TPM "</devices>", "</domain>", VG_PROFILE_RESTRICTED },
	{ "r-devices", ADMISSION_DOMAIN, "<domain type='qemu'><name>web-1</name>" SECURE "<devices>" TPM, "</devices></domain>", VG_PROFILE_RESTRICTED },
	{ "r-device", ADMISSION_DEVICE, "", "", VG_PROFILE_RESTRICTED },
};

#endif
