/*
 * sink.h: copies of the trail in other places: journald, syslog (RFC 5424) over a UNIX socket, TCP (RFC 6587, octet
 * counting) or TLS (RFC 5425), and user messages of Linux audit. Each sink of `audit_sinks` has a process of its own, which reads the trail and can do
 * nothing to it: a collector that is away, slow or hostile concerns nobody else.
 *
 * The trail is the queue. What was delivered is noted in state_dir/sinks as a position in the trail, and the sink goes
 * on from there however long it or its collector was away. Only records that are durable are sent, in order.
 *
 * But for Linux audit, whose messages the kernel acknowledges, none of these protocols has an answer, so "delivered" is: a UNIX datagram was taken by the receiver's socket; the
 * bytes of a stream were acknowledged by the collector's kernel while the connection stood, or before the collector closed it in order (sink_net_delivered()). What was not
 * delivered in that sense is sent again, and nothing else: a collector that is restarted in order gets each record once.
 *
 * A record may come twice, with the same seq and hash, after a connection that was reset or timed out, and after a sink that was killed between sending and
 * noting (of datagrams one, of a stream a batch), since nobody can tell then. It is never left out, unless the collector loses what its kernel had
 * acknowledged, or the record was removed (audit_keep_days, audit_keep_mib) before the collector came back, which the log tells.
 */
#ifndef AUDIT_SINK_H
#define AUDIT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/audit/scan.h"
#include "gateway/core/buf.h"
#include "virtgate/result.h"

enum sink_transport { SINK_UNIX, SINK_TCP, SINK_TLS, SINK_NETLINK };

/* One message a record? Else a stream of them. */
static inline bool sink_is_datagram(enum sink_transport transport) { return transport == SINK_UNIX || transport == SINK_NETLINK; }

/* One row a kind of sink in sink.c. */
struct sink_kind {
	const char *word;		/* what `audit_sinks` begins with */
	enum sink_transport transport;
	const char *path;		/* of a UNIX socket, unless another one is named */
	const char *port;		/* of a collector, unless another one is named */
	/* Adds the record as one message. -1: out of memory. */
	int (*put)(struct buf *out, const struct scan_line *facts, const char *line, size_t len);
};

struct sink_target {
	const struct sink_kind *kind;
	char path[108];			/* of the UNIX socket */
	char host[256], port[16];	/* of the collector */
	char name[64];			/* of the file with its position */
};

/* "linux-audit", "journald[:PATH]", "syslog[:PATH]", "syslog+tcp://HOST[:PORT]", "syslog+tls://HOST[:PORT]". False when it is none. */
bool sink_parse(const char *text, struct sink_target *target);

int sink_put_journal(struct buf *out, const struct scan_line *facts, const char *line, size_t len);
int sink_put_syslog(struct buf *out, const struct scan_line *facts, const char *line, size_t len);
/* The same behind its length in decimal and a blank. */
int sink_put_counted(struct buf *out, const struct scan_line *facts, const char *line, size_t len);

/* A netlink message; nothing for an intent, whose outcome follows. */
int sink_put_audit(struct buf *out, const struct scan_line *facts, const char *line, size_t len);

/* The value of a member of a record, of an object in it when `inner` is not NULL, without quotes. False: there is none. */
bool sink_find(const char *line, size_t len, const char *key, const char *inner, const char **value, size_t *value_len);

/* ---- how far the sink is ---- */

struct sink_position {
	uint64_t seq;			/* of the last record that was delivered; 0: none */
	unsigned segment;		/* where the next one begins */
	uint64_t offset;
};

/* An empty file, or one that makes no sense, is the beginning of the trail. */
void sink_position_read(int fd, struct sink_position *position);
int sink_position_write(int fd, const struct sink_position *position);

#endif
