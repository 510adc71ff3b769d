/*
 * harness.h: a real gate process between the test and a scripted libvirtd. The test plays the other rooms: parent, front
 * and audit. For what a real libvirtd never does (lie, babble, die at a chosen moment) and for looking at the very
 * bytes that are forwarded; everything else is tested against the real one in tests/integration.
 */
#ifndef TESTS_SESSION_HARNESS_H
#define TESTS_SESSION_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "gateway/core/process.h"
#include "proto/rpc.h"

#define MAX_MESSAGE 65536u

struct message {
	struct rpc_header header;
	uint8_t body[MAX_MESSAGE];
	size_t len;
};

/* How the scripted libvirtd misbehaves on domain_get_info, from now on; or asks for polkit on its local socket, as real ones may. */
/* Of domain_open_graphics_fd: NO_DESCRIPTOR, TWO_DESCRIPTORS, STAY_SILENT. */
enum mischief { NO_DESCRIPTOR = 100, TWO_DESCRIPTORS, BEHAVE = 0, TRAILING_BYTES, SHORT_REPLY, WRONG_SERIAL, WRONG_PROCEDURE, REPLY_TWICE, CALL_TO_CLIENT, HANG_UP, STAY_SILENT, ASK_POLKIT };

/* The domains it has: web-1 (running, id 1), web-2 (shut off), db-1 (running, id 3). */
extern const uint8_t uuid_web1[16], uuid_web2[16], uuid_db1[16];

/* Starts gate and libvirtd; `policy` is the text of policy.json. */
void harness_start(const char *policy);
void harness_stop(void);
/* Further settings of the next start or reload; static text. */
void harness_settings(const char *more);
void harness_mischief(enum mischief mischief);
/* The audit trail that the test plays: takes records, or refuses them. */
void harness_audit(bool works);
/* It takes records and does not say that they are durable, until it is told to. Not while records are on their way. */
void harness_audit_hold(bool holds);
/* Waits until a record holds both texts; fails the test after five seconds. */
void harness_expect_record(const char *one, const char *other);
/* Does one hold them now? */
bool harness_has_record(const char *one, const char *other);
/* Calls of sessions (not of the inventory) that reached libvirtd, and the last one. */
size_t harness_num_forwarded(void);
void harness_last_forwarded(struct message *last);
/* Sends a new policy; returns the text with which the gate answered. Caller frees. */
char *harness_reload(const char *policy);
/* libvirtd sends a lifecycle event of this domain to every connection. */
void harness_event(const char *name, const uint8_t uuid[16]);
/* The same with another id than 1. */
void harness_event_id(const char *name, const uint8_t uuid[16], int32_t id);

/* A client of user "sasl:NAME", handed over as a front does it. Returns the stream. */
int client_connect(const char *user);
/* A browser of user "sasl:NAME", as the web front hands it over. */
int web_connect(const char *user);
/*
 * A link to an audit reader that the test plays: one message a packet, its type in the first four bytes (core/link.h). The caller closes it.
 */
int harness_reader(void);
/* A real audit reader, `main` of it, for the trail in `audit_dir`; joined with the gate. Ended by harness_stop(). */
void harness_start_reader(void (*main)(struct process *process), const char *audit_dir, const char *state_dir);
/* Sends a question to the program VIRTGATE. */
void web_send(int fd, uint32_t serial, const char *json);
/* The JSON in its answer; the caller drops it. */
json_t *web_json(const struct message *answer);
/* Both: a question whose answer is no error. Events before it are dropped. */
json_t *web_ask(int fd, uint32_t serial, const char *json);
/* A viewer of user "sasl:NAME" that asks for a guest's screen. */
int viewer_connect(const char *user, const char *guest);
/* QEMU's end of the console that libvirtd gave out last; waits for it. The caller closes it. */
int harness_qemu(void);
/* How many consoles libvirtd was asked for. */
size_t harness_num_consoles(void);
void client_send(int fd, const char *proc, uint32_t serial, const void *body, size_t len);
void client_send_raw(int fd, const void *data, size_t len);
/* The next message; false at end of file. Fails the test after five seconds of silence. */
bool client_receive(int fd, struct message *message);
/* Sends, and receives its answer. */
void client_call(int fd, const char *proc, uint32_t serial, const void *body, size_t len, struct message *answer);
/* CONNECT_OPEN of `uri`. */
void client_open_uri(int fd, const char *uri, struct message *answer);
/* CONNECT_OPEN of the one allowed URI; fails the test when it is refused. */
void client_open(int fd);
/* The stream ends without another message. */
void client_expect_end(int fd);
void expect_error(const struct message *answer, int code, const char *text);
void expect_ok(const struct message *answer);
/* Encodes remote_nonnull_domain; returns its length. */
size_t put_domain(uint8_t *buf, const char *name, const uint8_t uuid[16], int32_t id);

#endif
