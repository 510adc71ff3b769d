/*
 * host.h: what the checks look at: read once, by posture_host_open, below a root directory ("" for this host; another for tests, images
 * and containers). Owned by the host, freed by posture_host_close. Where something could not be read, its `unseen` says why.
 */
#ifndef POSTURE_HOST_H
#define POSTURE_HOST_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "gateway/core/settings.h"
#include "gateway/posture/conf.h"
#include "gateway/posture/posture.h"

#define POSTURE_PATH_SIZE 4096
#define POSTURE_WHY_SIZE 256

#define POSTURE_NEEDS_NOTHING 0u
#define POSTURE_NEEDS_GATEWAY (1u << 0)		/* virtgated.conf */
#define POSTURE_NEEDS_LIBVIRTD (1u << 1)	/* libvirtd.conf */
#define POSTURE_NEEDS_QEMU (1u << 2)		/* qemu.conf */
#define POSTURE_NEEDS_GUESTS (1u << 3)		/* the live descriptions of the guests */
#define POSTURE_NEEDS_PROC (1u << 4)		/* processes and sockets */

/* A guest that runs. */
struct posture_guest {
	char *name;
	xmlDocPtr doc;
	xmlNodePtr domain;
};

/* A process: of /proc/PID/status. */
struct posture_process {
	long pid;
	char comm[32];
	unsigned uid;			/* effective */
	uint64_t capabilities;		/* effective */
	long seccomp;			/* 0 none, 1 strict, 2 filter */
	bool no_new_privileges;
	bool is_qemu;			/* its command line begins like QEMU's under libvirt */
};

/* A TCP socket that listens. */
struct posture_socket {
	char address[64];		/* as text */
	unsigned port;
	bool any, loopback;
	unsigned long inode;
	char owner[32];			/* comm of a process that holds it, not systemd's when another does too; "" when not seen */
};

struct posture_host {
	char root[POSTURE_PATH_SIZE];
	time_t now;

	struct settings *settings;	/* NULL: settings_unseen */
	char settings_unseen[POSTURE_WHY_SIZE];

	struct posture_conf libvirtd, virtproxyd, qemu;	/* libvirtd: or virtqemud where the daemons are separate */

	struct posture_guest *guests;
	size_t num_guests;
	char guests_unseen[POSTURE_WHY_SIZE];	/* "": all were seen */

	struct posture_process *processes;
	size_t num_processes;
	struct posture_socket *sockets;
	size_t num_sockets;
	bool owners_seen;		/* the sockets of every process could be looked at */
	char proc_unseen[POSTURE_WHY_SIZE];
};

/* `config` is virtgated.conf, below `root` too. Never fails for what it cannot see; -1 without memory, or when `root` is no directory. */
int posture_host_open(struct posture_host *host, const char *root, const char *config, struct vg_error *error);
void posture_host_close(struct posture_host *host);

/* The path below the root; NULL when it is too long. */
const char *posture_path(const struct posture_host *host, const char *path, char out[POSTURE_PATH_SIZE]);
/* Reads a file below the root, at most `max` bytes, ended by a NUL. NULL with errno. */
char *posture_read(const struct posture_host *host, const char *path, size_t max, size_t *len);
/* stat() below the root. */
int posture_stat(const struct posture_host *host, const char *path, struct stat *st);
/* First line of a small file, for /proc and /sys. -1 with errno. */
int posture_line(const struct posture_host *host, const char *path, char *line, size_t size);

const struct posture_process *posture_process(const struct posture_host *host, const char *comm);

/* How many nodes of the guest's <domain> the XPath finds. */
size_t posture_guest_count(const struct posture_guest *guest, const char *xpath);
/* `each` for the text of each of them. */
void posture_guest_values(const struct posture_guest *guest, const char *xpath, void (*each)(const char *value, void *arg), void *arg);

/* ---- the parts, for host.c ---- */
int posture_read_proc(struct posture_host *host);
int posture_read_guests(struct posture_host *host);
/* Array with room for one more, doubled when it is full; NULL without memory. */
void *posture_grow(void *array, size_t num, size_t item);

#endif
