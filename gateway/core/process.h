/*
 * process.h: what the parent hands to a child when it starts it, and the recipe every child starts by.
 *
 * Children are forked, not exec'ed: they get their copy of the settings by inheritance. Files that only root may read
 * are opened by the parent and passed as descriptors, so that children can drop privileges at once and still reload.
 */
#ifndef CORE_PROCESS_H
#define CORE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "gateway/core/link.h"
#include "gateway/core/settings.h"
#include "gateway/core/settings_check.h"

/* Files that the parent opens for its children; -1 where there is none (not configured, or it cannot be opened: the parent said why). */
enum process_file {
	FILE_SETTINGS, FILE_CERT, FILE_KEY, FILE_CA, FILE_CRL, FILE_POLICY, PROCESS_NUM_FILES
};

enum listener_kind { LISTENER_TLS, LISTENER_TCP, LISTENER_UNIX, LISTENER_VNC, LISTENER_VNC_GUEST, LISTENER_WEB, LISTENER_CONTROL };

/* Does a viewer come this way? */
static inline bool listener_is_vnc(enum listener_kind kind) { return kind == LISTENER_VNC || kind == LISTENER_VNC_GUEST; }

#define PROCESS_MAX_LISTENERS 544	/* vnc_ports in both families, and the others on up to 32 addresses */

struct listener {
	enum listener_kind kind;
	int fd;			/* listening, non-blocking; shared by all fronts */
};

struct process {
	enum process_kind kind;
	unsigned index;
	struct settings *settings;		/* this process's own */
	int parent_fd;				/* link to the parent; messages LINK_PEER bring the other rooms */
	int files[PROCESS_NUM_FILES];		/* at offset 0; the child closes them when read */
	int audit_key;				/* audit: state_dir/audit-key, to be read and written; else -1 */
	int lock;				/* run_dir/virtgated.lock, which every process of a gateway holds for as long as it lives */
	struct listener listeners[PROCESS_MAX_LISTENERS];	/* front: all but CONTROL, which is the gate's, and WEB */
	unsigned num_listeners;
	uint16_t guest_ports[SETTINGS_MAX_PORTS];	/* gate: those of vnc_ports that the fronts listen on */
	unsigned num_guest_ports;
};

/*
 * Names the process (log, /proc comm), resets signals (SIGPIPE ignored, SIGHUP and SIGINT left to the parent), closes
 * every descriptor it was not given, drops to settings' user and group when root, sets no_new_privs, forbids core
 * dumps of keys, keeps only the files and the network that its kind needs, dies with the parent (the audit process only by its link, so that it can finish writing). Exits with a message when any of it fails.
 */
void process_start(const struct process *process);

/* "front", "gate"; and "front/0", "gate" into buf, which is returned. */
const char *process_kind_name(enum process_kind kind);
const char *process_name(enum process_kind kind, unsigned index, char *buf, size_t size);

/* Bytes of a passed file from its beginning (pread), with a terminator behind them; caller frees. NULL with errno. EFBIG above 16 MiB. */
char *process_read_file(int fd, size_t *len);

/* Closes those that are there; none is there any more. */
void process_close_files(int files[PROCESS_NUM_FILES]);
/* files[] to the body and descriptors of LINK_RELOAD; returns how many descriptors. */
size_t process_put_files(const int files[PROCESS_NUM_FILES], uint8_t body[PROCESS_NUM_FILES], int fds[PROCESS_NUM_FILES]);
/* Body of LINK_RELOAD to files[]. -1 when the message does not add up (the descriptors are closed then). */
int process_reload_files(const uint8_t *body, size_t len, const int *fds, size_t num_fds, int files[PROCESS_NUM_FILES]);

/* The rooms' own main functions: call process_start first of all, then run until LINK_STOP or the parent is gone. They do not return. */
__attribute__((noreturn)) void front_main(struct process *process);
__attribute__((noreturn)) void gate_main(struct process *process);
__attribute__((noreturn)) void audit_main(struct process *process);
__attribute__((noreturn)) void reader_main(struct process *process);
/* `index` is that of its text in audit_sinks. */
__attribute__((noreturn)) void sink_main(struct process *process);
__attribute__((noreturn)) void web_main(struct process *process);

#endif
