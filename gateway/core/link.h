/*
 * link.h: the joints between the rooms. A link is one end of a SOCK_SEQPACKET socketpair that the parent made: one
 * message per packet, file descriptors beside it. Peers are our own processes, but a room that fell must not take the
 * next one: lengths and types are checked, and a message of an unknown type closes the link.
 */
#ifndef CORE_LINK_H
#define CORE_LINK_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#define LINK_MAX_BODY	(96u * 1024u)
#define LINK_MAX_FDS	16

enum link_type {
	LINK_READY = 1,		/* child -> parent: initialised; body empty */
	LINK_FAILED,		/* child -> parent: cannot start or reload; body: text for the admin */
	LINK_PEER,		/* parent -> child: a new link to another room; body struct link_peer, one descriptor */
	LINK_RELOAD,		/* parent -> child: body one byte per enum process_file (1: present), descriptors of those present */
	LINK_RELOADED,		/* child -> parent: done; body: text of what was refused, empty when all was taken */
	LINK_ASK_RELOAD,	/* gate -> parent: an admin asked for it on the control socket; body his uid, a uint32_t */
	LINK_STOP,		/* parent -> child: finish and exit 0 */
	LINK_SESSION,		/* front -> gate: an authenticated client; body and descriptors: core/handover.h */
	LINK_RECORD,		/* anyone -> audit: body see core/audit_client.c */
	LINK_ACK,		/* audit -> anyone */
	LINK_ASK,		/* gate -> reader: body struct link_ask, and JSON behind it */
	LINK_ANSWER		/* reader -> gate: body struct link_answer, and a piece of its text behind it */
};

/* Kinds of process, also who is at the other end of a new link. */
enum process_kind { PROCESS_PARENT, PROCESS_FRONT, PROCESS_GATE, PROCESS_AUDIT, PROCESS_WEB, PROCESS_READER, PROCESS_SINK, PROCESS_NUM_KINDS };

struct link_peer {
	uint32_t kind;		/* enum process_kind */
	uint32_t index;		/* which front */
};

/*
 * A question about the trail, or about a draft of a policy. The ticket is whatever the asker likes; what the JSON is: audit/answers.c. One that is too long for a message
 * comes in pieces, all but the last with LINK_ASK_PIECE in place of its ticket.
 */
struct link_ask {
	uint64_t ticket;
};
#define LINK_ASK_PIECE 0u
#define LINK_ASK_MAX (1024u * 1024u)	/* bytes of JSON */

/* Its answer, in as many messages as it takes. */
struct link_answer {
	uint64_t ticket;
	uint32_t kind;		/* enum link_answer_kind */
	uint32_t reserved;
};
enum link_answer_kind {
	ANSWER_PIECE,		/* more follows */
	ANSWER_LAST,		/* the last piece of the JSON */
	ANSWER_REFUSED		/* the question makes no sense; the text says why */
};

struct link;

/*
 * `fds` are the callback's to keep or close; as many as the type may have at most, and none when this process has no
 * room for descriptors: then num_fds is 0 and each of fds[] is -1. `body` is borrowed for the call.
 */
typedef void link_message_cb(struct link *link, enum link_type type, const uint8_t *body, size_t len,
    const int *fds, size_t num_fds, void *arg);
/* The other end is gone (what it sent before was delivered), or broke the rules. The callback usually destroys the link. Called once, never from link_send. */
typedef void link_closed_cb(struct link *link, void *arg);

/* Both ends, close-on-exec and non-blocking, buffers large enough for a full message. -1 with errno. */
int link_pair(int fds[2]);
/* Takes `fd`. NULL with errno when memory is out (fd is closed then too). */
struct link *link_create(struct event_base *base, int fd, link_message_cb *message, link_closed_cb *closed, void *arg);
/* NULL is fine. May be called from within the link's own callbacks. Closes the descriptor. */
void link_destroy(struct link *link);
/*
 * Sends or queues one message; descriptors are duplicated, the caller keeps its own. -1 with errno EMSGSIZE, ENOMEM,
 * EPIPE (closed), or ENOBUFS when more than LINK_MAX_QUEUED bytes wait.
 */
#define LINK_MAX_QUEUED (16u * 1024u * 1024u)
int link_send(struct link *link, enum link_type type, const void *body, size_t len, const int *fds, size_t num_fds);
/* Bytes that wait for the other end. */
size_t link_queued(const struct link *link);

#endif
