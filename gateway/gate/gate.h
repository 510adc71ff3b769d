/*
 * gate.h: the room that decides. It holds every socket to libvirtd, the policy and the inventory; it sees no network
 * and writes no log. A session is two ends, client (a stream from a front) and backend (a socket to libvirtd), and what
 * is in flight between them.
 *
 *   client end ──► take.c: parse, call.c: decide.c: may he, record.c: intent ──► backend end
 *   client end ◄── reply.c: check, filter.c: what he may see, record.c: outcome ◄── backend end
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <jansson.h>

#include "gateway/core/audit_client.h"
#include "gateway/core/buf.h"
#include "gateway/core/ids.h"
#include "gateway/core/process.h"
#include "gateway/policy/policy.h"
#include "proto/rpc.h"
#include "virtgate/endings.h"
#include "virtgate/identity.h"

struct admission_rules;
struct inventory;
struct session;
struct call;
struct judgement;
struct granted;
struct user;
struct console;
struct console_ports;
struct outside;
struct trail;
struct shadow;
struct difference;
struct reservation;

/*
 * Memory of one session is bounded by: one message being received from each side (RPC_MAX_LEN each), what waits to be
 * written to each side (END_HIGH_WATER plus what one read brings, END_READ_SIZE), and the messages of parked calls.
 */
#define END_READ_SIZE	(512u * 1024u)
#define END_HIGH_WATER	(512u * 1024u)

/* Open streams of one session; one more is refused. */
#define SESSION_MAX_STREAMS 32

#define GATE_MAX_URIS 16

/* Bytes of a policy that is shown to browsers, and of their drafts (some 450 bindings): to read one, write two and compile its rules takes the gate 10 ms at most. */
#define WEB_MAX_POLICY (64u * 1024u)

struct gate {
	struct event_base *base;
	struct process *process;
	struct settings *settings;
	struct policy *policy;
	struct admission_rules *rules;	/* the policy's own, compiled */
	char *policy_text;		/* as it was read, for those who may read it; NULL: longer than WEB_MAX_POLICY */
	uint64_t num_policies;		/* how many there were: which one a decision was made by */
	struct audit_client *audit;
	struct link *parent;
	struct inventory *inventories[GATE_MAX_URIS];	/* one for each of allowed_uris: a driver's world */
	size_t num_inventories;
	TAILQ_HEAD(, session) sessions;
	TAILQ_HEAD(, user) users;			/* of those sessions */
	time_t judge_at;				/* rights may change then without a reload; 0: never */
	time_t ticked_at;				/* when that was last looked at */
	TAILQ_HEAD(, session) dead;			/* freed when the loop turn ends */
	struct event sweep;				/* frees the dead */
	struct event tick;				/* once a second: keepalive, deadlines */
	struct event redial;				/* soon: libvirtd's backlog was full */
	size_t num_sessions;
	struct {					/* since start, for the control socket */
		uint64_t decisions, denials, would_denials;	/* questions to the policy, items of lists and events too */
		uint64_t refused_calls, would_refuse_calls;	/* each has a record */
		uint64_t outside;				/* changes behind the gateway's back; each has a record */
	} counters;
	struct gate_fronts *fronts;
	struct control *control;
	struct console_ports *console_ports;
	struct changes *changes;
	struct outside *outside;
	struct trail *trail;
	struct settle *settle;
};

/* ---- session.c: the life of a session ---- */

/* Named for what is awaited. session_set_state is the only place that changes it. */
enum session_state {
	SESSION_NEW,		/* CONNECT_OPEN; only the calls that may come before it are answered */
	SESSION_INVENTORY,	/* the inventory of the URI he named */
	SESSION_DIALING,	/* libvirtd's answer to our AUTH_LIST */
	SESSION_OPENING,	/* libvirtd's answer to CONNECT_OPEN */
	SESSION_CONSOLE,	/* a viewer: see console.h */
	SESSION_OPEN,		/* calls, replies, events, streams */
	SESSION_LINGERING,	/* client gone: outcomes of the changes still in flight */
	SESSION_FLUSHING,	/* backend gone or session refused: the last bytes to the client */
	SESSION_CLOSED,		/* nothing: parked until the loop turn ends */
	SESSION_NUM_STATES
};

/* One of the two sides of a session. */
struct end {
	struct session *session;
	int fd;				/* -1: not connected, or gone */
	struct event read_event, write_event;
	bool reading;			/* read_event is added */
	bool writing;			/* write_event is added */
	struct buf in;			/* begin of a message whose rest has not come */
	struct buf out;			/* what the peer has not taken yet */
	size_t pass;			/* bytes of the message at hand that go straight to the other end */
	uint32_t pass_serial;		/* of them: whose stream they are, */
	size_t pass_header;		/* and how many are no content of it */
	size_t skip;			/* bytes of the message at hand that are dropped */
	bool amid;			/* the other end's message that goes here has not wholly come */
	struct buf later;		/* own messages that wait for its end */
	bool broken;			/* writing failed: closed at the next turn */
};

struct session {
	TAILQ_ENTRY(session) entry;
	struct gate *gate;
	struct user *user;		/* counted there */
	char id[ID_LEN + 1];
	struct vg_identity identity;
	struct policy_view *view;	/* of the policy in force when it was last asked; NULL until then */
	enum session_state state;
	enum close_reason reason;	/* meaningful from LINGERING on */
	int last_word;			/* of a browser's console: where the web front hears why it ended; else -1 */
	char *ended_by;			/* owned: who is named there; NULL: nobody */
	struct end client, backend;
	struct inventory *inventory;
	struct console *console;	/* of a viewer, else NULL */
	bool readonly;			/* his roles only read: bridged to the read-only socket */
	const char *uri;		/* as allowed_uris has it */
	struct lacks *lacks;		/* where decide_one() notes what is not plainly allowed; NULL: nowhere */
	bool open_readonly;		/* VIR_CONNECT_RO was set, by him or by us */
	bool closing;			/* CONNECT_CLOSE was passed on: libvirtd will hang up */
	bool judged;			/* `bindings` was worked out */
	char *bindings;			/* owned: ids of those about him in force when he was last judged; NULL: none */
	struct call *calls;		/* in flight and open streams, newest first */
	unsigned num_calls, num_streams;	/* of them: in flight, open streams */
	unsigned num_cuts;		/* sides of streams that wait to be cut (rights.c) */
	time_t cuts_since;
	time_t since, deadline;		/* of the state; deadline 0: none */
	bool keepalive;			/* he said that he answers pings */
	int unanswered;			/* pings since he was last heard */
	time_t heard;			/* when bytes last came from the client */
	uint64_t calls_total;
	time_t refused_at;		/* last refused-program record, for the rate limit */
};

/* `last_word` as in struct session, taken when it succeeds. */
struct session *session_create(struct gate *gate, int client_fd, int last_word, struct vg_identity *identity /* taken */);
void session_set_state(struct session *session, enum session_state state);
/* Ends it: at once, or after the outcomes that are awaited. May be called from anywhere, more than once. */
void session_close(struct session *session, enum close_reason reason);
/* Before that: it is `by` who ends it. He is named to whom sees sessions of others, and to himself. */
void session_blame(struct session *session, const struct session *by);
const char *session_state_name(enum session_state state);
const char *close_reason_name(enum close_reason reason);
void session_tick(struct session *session, time_t now);
/* While the gate logs in for a session, replies are ours: false when they are not. */
bool session_take_dial_reply(struct session *session, const struct rpc_header *header, const uint8_t *body, size_t len);
/* Starts bridging: connects to libvirtd for the CONNECT_OPEN call at hand. */
void session_dial(struct session *session);
/* The rights may have changed: ends the session when the policy does not know him any more. */
void session_rejudge(struct session *session);

/* ---- end.c: moving bytes ---- */

void end_init(struct end *end, struct session *session, int fd);
void end_close(struct end *end);
/*
 * One of the gate's own messages, whole: sends or queues it, behind the message that is being passed on. A failure closes the session at the next chance, so
 * that callers go on.
 */
void end_send(struct end *end, const void *data, size_t len);
/* Bytes of `from` to the other end as they are, those at hand since the last time; from->pass says whether its message is whole then. */
void end_pass(struct end *from, const void *data, size_t len);
/* Sets reading according to how full the other side is and what the state allows. */
void session_update_reading(struct session *session);

/* ---- call.c: one call, from its arguments to libvirtd ---- */

enum call_state {
	CALL_RESOLVING,		/* the inventory looks an object up */
	CALL_INTENT,		/* the audit trail makes the intent durable */
	CALL_FORWARDED,		/* libvirtd works */
	CALL_STREAM,		/* an open stream; both sides may send */
	CALL_STREAM_ENDING,	/* the client sent finish or abort */
	CALL_OUTCOME		/* the audit trail takes the outcome, the answer waits */
};

/* The sides of a stream that still have to be told that it is cut; a set. */
enum cut_side { CUT_BACKEND = 1 << 0, CUT_CLIENT = 1 << 1 };

/* Objects of a call, and what its document uses (ADMISSION_MAX_CLAIMS), of which each may take two. */
#define CALL_MAX_LOOKUPS 160

/* What libvirtd answered when the gate asked about something for a call, in the order of the questions. */
struct looked_up {
	enum vg_class class;		/* asked for; of a document: VG_CLASS_none */
	bool found;
	uint8_t uuid[VG_UUID_LEN];
	char *name, *parent;		/* owned; parent: the pool of a volume */
	char *text;			/* owned: a document, where one was asked for */
	size_t text_len;
};

struct call {
	struct call *next;
	struct session *session;
	const struct rpc_proc *proc;
	struct rpc_header header;
	enum call_state state;
	uint8_t *message;		/* owned: of a parked call its request, of a held one its answer; else NULL */
	size_t message_len;
	struct looked_up *lookups;
	unsigned num_lookups;
	enum vg_class looking_up;	/* class of the one that lookup_ticket stands for */
	uint8_t *documents[2];		/* owned: as admitted and encoded, in place of the client's */
	unsigned num_documents;
	json_t *findings;		/* owned: what admission found in its document, for the record; NULL: nothing */
	unsigned warned;		/* of them, those that are let through with a warning */
	uint64_t lookup_ticket, audit_ticket;
	uint64_t trail_ticket;		/* of a question to the audit reader */
	uint64_t policy;		/* gate.num_policies when it was decided */
	uint64_t asked;			/* inventory_clock() when it was passed on */
	char *domain_name;		/* owned: of the domain that was decided on, NULL when it is about none */
	uint8_t domain_uuid[VG_UUID_LEN];
	const struct rpc_proc *sent;	/* what libvirtd was asked, if not `proc`: the list that a count is made from; else NULL */
	char *pool_name;		/* owned: the pool that it is about; NULL: none */
	uint8_t pool_uuid[VG_UUID_LEN];
	char *own_name;			/* owned: of an object that is neither, or of a domain without a UUID yet; NULL: none */
	bool need_results_was_0;	/* we asked libvirtd for the list that he only wanted counted */
	bool cut;			/* the reply is to have at most cut_to items; we asked libvirtd for all */
	uint32_t cut_to;
	bool asks_feature;		/* connect_supports_feature: the answer is learned */
	uint32_t feature;
	bool secure;			/* asked for with read_secure: passwords may be in the answer */
	struct granted *granted;	/* owned: of a stream, what it was opened with */
	bool was_cut;			/* of a stream: the right to it ended */
	unsigned cuts;			/* set of enum cut_side */
	bool shows_screens;		/* asks for the live description of a domain: console_xml.c */
	bool sparse;			/* holes are allowed in the stream */
	char op[ID_LEN + 1];		/* of the audit records; empty when there are none */
	json_t *record;			/* of a change or access: members that intent and outcome share */
	bool tells_read;		/* a read or access, of which `record` becomes an event with its answer */
	struct timespec started;
	time_t held_since;
	uint64_t stream_bytes;		/* of a stream: in both directions */
	uint64_t stream_from_client;	/* of them */
	struct evp_md_ctx_st *stream_digest;	/* owned: of its content so far (stream.c); NULL: none is made */
	bool stream_aborted;		/* its client gave it up */
	bool stream_over;		/* libvirtd said that it is, with `stream_error` or without */
	struct rpc_error *stream_error;	/* owned; NULL: none */
	struct reservation *reservation;	/* owned: what it will have of quotas, from its decision to its end (quota.c) */
	struct difference *difference;	/* owned: what it makes different (difference.c); NULL until it is allowed */
	struct shadow *shadow;		/* of a change: what explains libvirtd's events (outside.c) */
};

/* A slot for a new call; NULL when memory is out. */
struct call *call_create(struct session *session, const struct rpc_proc *proc, const struct rpc_header *header);
/* Decides a call whose whole message is at hand; it may be parked for a look-up and decided again. */
void call_judge(struct call *call, const uint8_t *message, size_t len);
/* Answers and records a call that the judgement does not allow, and ends it. `message` is NULL when it was not collected. */
void call_settle(struct call *call, const struct judgement *judgement, const uint8_t *message, size_t len);
bool call_is_stream(const struct call *call);
/* An answer of the gate's own: one int. */
void call_answer_int(struct session *session, const struct rpc_header *header, int32_t value);
struct call *call_find(struct session *session, uint32_t serial);
/* Undoes everything a call holds and frees its slot. */
void call_destroy(struct call *call);
/* Answers with an error. */
void call_refuse(struct session *session, const struct rpc_header *header, int32_t code, int32_t origin, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Continues a parked call whose lookup came back. */
void call_looked_up(struct call *call);

/* ---- take.c: what the client sends ---- */

/* Parses and handles messages from the client; returns the bytes eaten. */
size_t take_consume(struct session *session, const uint8_t *data, size_t len);

/* ---- reply.c: from backend to client ---- */

size_t reply_consume(struct session *session, const uint8_t *data, size_t len);
/* A change whose intent is on record, and that is not forwarded after all: the outcome and the answer say so. */
__attribute__((format(printf, 4, 5))) void reply_denied(struct call *call, int32_t code, int32_t origin, const char *format, ...);
/* Records the outcome of a change that succeeded and whose answer is held; the answer goes out when it is durable. */
void reply_outcome(struct call *call);
/* Answers and records every call that libvirtd will not answer any more. */
void reply_abandon_all(struct session *session, const char *why, bool answer);

/* ---- stream.c: what a stream had in it ---- */

/*
 * Content that goes one way only has its SHA-256 in the record of its end, a hole as the 12 bytes that tell of it. What is typed at a console
 * has none: passwords could be guessed by it. -1: out of memory.
 */
int stream_begin_digest(struct call *call);
/* A message of this stream begins, `len` bytes with its header: counted, and passed on as it comes. */
void stream_pass(struct end *from, struct call *call, size_t len);
/* The next `len` bytes, at most from->pass, of that message. */
void stream_passed(struct end *from, const uint8_t *data, size_t len);
/* Members "stream_bytes" and, where there is a digest, "stream_sha256"; once. */
void stream_add(struct call *call, json_t *record);

/* ---- decide.c: may he ---- */

enum decide_verdict { DECIDE_ALLOW, DECIDE_DENY, DECIDE_MISSING, DECIDE_CONFLICT, DECIDE_INVALID, DECIDE_MALFORMED, DECIDE_WAIT };

/* An object of a call, as the gate's own record has it. Strings are borrowed until the next lookup. */
struct target {
	struct vg_object object;
	int32_t id;			/* domain: as the inventory has it */
	struct xdr_span span;		/* the struct in the message; data NULL when there is none to rebuild */
};

/* A permission that was not plainly allowed, and on what; names are copies. */
struct lack {
	enum vg_permission permission;
	struct decision decision;
	struct vg_object object;
	char name[256], parent[256];
};

#define MAX_LACKS 4
struct lacks {
	size_t num;			/* would have been denied; of them list[] holds the first */
	struct lack list[MAX_LACKS];
	bool denied;			/* `last` was denied */
	struct lack last;
	bool of_reply;			/* items of a reply are judged: what is hidden is not noted, only what would be */
};

struct judgement {
	enum decide_verdict verdict;
	struct target about;
	char name[256], parent[256];	/* backing of about.object for names that are not terminated in the message */
	enum vg_permission permissions[16];	/* that the call needs */
	size_t num_permissions;
	enum vg_permission failed;
	bool hidden;			/* MISSING is what is there, and not his to see */
	struct decision decision;	/* that settled it */
	const char *rule;		/* of admission or on an argument that refused it; NULL */
	struct rpc_error error;		/* for MISSING, CONFLICT and INVALID: what the client is told */
	/* Pieces of the message to replace before it is forwarded, in order of their place: by `bytes`, or by `data` of the call. */
	struct { struct xdr_span span; uint8_t bytes[600]; const uint8_t *data; size_t len; } patches[4];
	size_t num_patches;
	struct lacks lacks;
};

/* Decides one call of an open session; the body has passed xdr_check(). */
void decide_call(struct call *call, const uint8_t *body, size_t len, struct judgement *judgement);
/* May this session see the object (for `permission`)? For items of lists, objects of replies and events. */
bool decide_visible(struct session *session, enum vg_permission permission, const struct vg_object *object);
/*
 * A permission that the call needs, of those about devices one of them, and that this session can have on nothing; VG_PERM_NONE: it may be
 * allowed. Asked before anything is read or parsed.
 */
enum vg_permission decide_hopeless(const struct session *session, const struct rpc_proc *proc);
/* One permission on one object, counted, and noted in session->lacks. */
struct decision decide_one(struct session *session, enum vg_permission permission, const struct vg_object *object);
/* Is it a bare count of what not everything is his to know? Then the list is asked for, and counted. */
bool decide_counts_list(struct session *session, const struct rpc_proc *proc);
/* Is the object of this call only known from its reply, which filter.c then judges? (look-ups) */
bool decide_by_reply(const struct rpc_proc *proc);
/* The origin of such an error as the driver behind this session's URI has it. */
int32_t decide_origin(const struct session *session, int32_t usual);

/* ---- record.c: what the audit trail is told ---- */

/* `body` is NULL when the arguments were not collected. Members of a call's records: user, source, session, connection, call, object, args, decision. */
json_t *record_call(struct call *call, const struct judgement *judgement, const uint8_t *body, size_t len);
/* Sends a denial as one event; returns its op in `op`. */
void record_denial(struct call *call, const struct judgement *judgement, const uint8_t *body, size_t len, char op[ID_LEN + 1]);
/* Sends intent (CHANGE) or event (a stream, would-be denied) of a call whose record is ready. 0: refused. */
uint64_t record_intent(struct call *call, audit_done_cb *done);
void record_access(struct call *call);
/* A call that only reads begins: what the policy says of such reads. `body` as for record_call. From METADATA on its end is told. */
enum policy_reads record_reads(const struct call *call, const struct judgement *judgement);
void record_read_begin(struct call *call, const struct judgement *judgement, const uint8_t *body, size_t len);
/* How it ended, once. Nothing where it did not begin so. */
void record_read_end(struct call *call, const char *status, int code, const char *message);
/* The end of a stream into the guest, whose opening is on record as an access. */
void record_stream_end(struct call *call);
/* One event for a reply that shows what would be hidden: a permissive mode showed it. */
void record_would_hide(struct call *call, const struct lacks *lacks);
uint64_t record_outcome(struct call *call, const char *status, int code, const char *message, audit_done_cb *done);
/* Member "args" (args.c). NULL: out of memory. */
json_t *record_args(const struct rpc_proc *proc, const uint8_t *body, size_t len);
/* Member "object". */
json_t *record_object(const struct vg_object *object);
void record_session(struct session *session, enum audit_event event, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same of what somebody else did to it: `by` (taken) says who. */
void record_session_by(struct session *session, enum audit_event event, json_t *by, const char *what);

/* ---- xml.c: whom an XML document is about ---- */

struct xml_identity {
	char name[256];
	bool has_uuid;
	uint8_t uuid[VG_UUID_LEN];
};
/* Reads name and uuid of the document's root element, hardened against hostile documents. -1 with error text. */
int xml_identify(const char *xml, size_t len, enum vg_class class, struct xml_identity *identity, struct vg_error *error);

/* ---- helpers ---- */

/* As libvirt's virUUIDParse: hex digits, dashes and blanks between them. False: not a UUID. */
bool uuid_parse(const char *text, uint8_t uuid[VG_UUID_LEN]);
void uuid_text(const uint8_t uuid[VG_UUID_LEN], char text[VG_UUID_TEXT_LEN + 1]);
/* The host's clock: for what the policy says of time. It may be set, and then follows within seconds. */
time_t gate_now(struct gate *gate);
/* Seconds of a clock that nobody sets: for how long something takes. 0 is long ago. */
time_t gate_steady(void);

#endif
