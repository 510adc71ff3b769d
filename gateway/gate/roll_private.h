/*
 * roll_private.h: what the files of roll.h share.
 *
 * phase	waits for			leaves to
 * loading	the reader: what was		trusting
 * trusting	the reader: is it what was kept	idle
 * idle		something to look at		listing, keeping
 * listing	libvirtd: which there are	looking
 * looking	libvirtd: a definition		looking, explaining, recording, keeping
 * explaining	the reader: records about it	recalling, looking
 * recalling	the reader: what it was		looking
 * recording	the trail: it was compared	keeping
 * keeping	the reader: it is kept		looking, idle
 */
#ifndef GATE_ROLL_PRIVATE_H
#define GATE_ROLL_PRIVATE_H

#include "gateway/core/document.h"
#include "gateway/gate/roll.h"
#include "gateway/gate/trail.h"

#define ROLL_BUCKETS	4096u
#define ROLL_KINDS	8u
#define ROLL_TIME_LEN	28u		/* "2026-11-28T02:10:05.123456Z" and its end */

enum thing_flag { THING_ACTIVE = 1, THING_PERSISTENT = 2, THING_AUTOSTART = 4 };

/* A definition; NULL: there is none, or none that is known. */
struct text {
	char *bytes;
	size_t len;
};

/* A record that waits for the difference of its thing. */
struct held {
	struct held *next;
	json_t *record;
	struct text before;		/* what a call of ours had left; NULL: what was when last looked */
	struct text definition;		/* as the record has it; NULL: as it is when it is looked at */
};

/* As it was, and as it is in the round at hand. */
struct thing {
	struct thing *next, *next_due;
	unsigned kind;			/* of roll_kinds */
	enum vg_class class;		/* of the kind */
	uint8_t uuid[VG_UUID_LEN];
	bool known;			/* it was there when last looked */
	bool touched;			/* to be looked at; whoever did it has a record */
	int64_t touched_at;
	unsigned explained;		/* set of enum roll_change: by what touched it */
	struct text left;		/* what a call of ours left of its definition since it was looked at; NULL: nothing that is known */
	time_t doubted;			/* it was different when it was last looked at, without a reason; 0: not */
	unsigned flags, flags_now;
	uint64_t listed;		/* the round that it was last listed in */
	int64_t seen;			/* when the round began that it was looked at in; microseconds since 1970 */
	int64_t accepted;		/* when that look was over, in this run; 0: not yet */
	char digest[DOCUMENT_NAME_LEN + 1];	/* empty: it has no definition, or none that is known */
	char *name, *name_now;		/* as audit_text() has them; name_now NULL: it was looked at since it was listed */
	struct held *held;		/* oldest first */
	time_t held_since;
};

enum roll_phase {
	ROLL_LOADING, ROLL_TRUSTING, ROLL_IDLE, ROLL_LISTING, ROLL_LOOKING, ROLL_EXPLAINING, ROLL_RECALLING, ROLL_RECORDING, ROLL_KEEPING
};

struct roll {
	struct gate *gate;
	struct inventory *inventory;
	enum roll_phase phase;
	uint64_t ticket;		/* of a question to the reader */
	uint64_t audit_ticket;		/* of the record that keeping waits for */
	bool asked;			/* libvirtd is to answer */
	time_t next, since;		/* the next round not before; how long the reader has not answered */
	struct thing *buckets[ROLL_BUCKETS];
	size_t num, num_held;		/* things, and records that they hold */
	size_t left_len;		/* bytes of what calls of ours left */
	bool touched;			/* something is, or has a name in `names` */
	json_t *names, *named;		/* "class:name" of what was touched and has no UUID yet; of the round at hand */
	/* what was kept */
	bool known;			/* there was something to compare with */
	bool had[ROLL_KINDS];		/* and things of this kind */
	char *lost;			/* why there is not */
	int64_t alive, compared;	/* microseconds since 1970; 0: never */
	time_t told_alive;
	/* the comparison that goes round: roll_lap.c */
	uint64_t lap;			/* the round that its things were listed in; 0: none is under way */
	int64_t lap_began;
	time_t next_lap;
	bool lap_has[ROLL_KINDS];
	size_t lap_at;			/* its next bucket */
	bool lap_left_out;		/* something was touched, or explained by a call */
	bool doubts;			/* some thing is doubted */
	/* the round at hand */
	uint64_t round;
	uint64_t least;			/* what was not listed in this one or later is not there */
	bool lapping;			/* it is a slice of the comparison that goes round, or its list */
	bool wants_all, all;		/* everything is to be looked at, is now */
	bool libvirtd;			/* because libvirtd was away, not the gateway */
	int64_t away;			/* since when */
	int64_t began;
	unsigned kind, list;
	bool has[ROLL_KINDS];		/* listed well */
	struct thing *due, *at;		/* to be looked at, and the one that is */
	bool quiet;			/* its changes are not told, but for `news` */
	int64_t asked_at;		/* when it was begun to be looked at */
	unsigned explained, news;	/* sets of enum roll_change */
	struct text left;
	bool as_it_was;			/* nothing of it is to be kept */
	bool by_name;			/* records that only name it are asked for */
	unsigned changes;
	struct text definition;		/* now */
	char digest[DOCUMENT_NAME_LEN + 1];
	size_t num_looked, num_told;
	/* what is to be kept */
	json_t *put, *gone;
	size_t put_len;
	bool anew;			/* nothing of before stays */
};

/* The classes, and the lists that tell of their state; and the parts that some things of these have. */
struct roll_kind {
	enum vg_class class;
	const char *word;		/* by which it is kept */
	int missing;			/* the error of one that is not there */
	const char *list;
	uint32_t which;			/* flags of the list: those that can have such parts; else 0 */
	struct { const char *ask, *names, *told; } parts;	/* ask NULL: this is the object itself */
	struct { uint32_t flags; unsigned flag; } states[3];	/* flags 0: no more */
};
extern const struct roll_kind roll_kinds[ROLL_KINDS];

/* ---- roll_things.c ---- */

int64_t roll_now(void);
void roll_time_text(int64_t when, char text[ROLL_TIME_LEN]);
/* The object itself; ROLL_KINDS: there are none of that class. */
unsigned roll_kind_of(enum vg_class class);
struct thing *roll_find(const struct roll *roll, enum vg_class class, const uint8_t uuid[VG_UUID_LEN]);
struct thing *roll_find_kind(const struct roll *roll, unsigned kind, const uint8_t uuid[VG_UUID_LEN]);
struct thing *roll_add(struct roll *roll, unsigned kind, const uint8_t uuid[VG_UUID_LEN]);	/* NULL: out of memory */
void roll_remove(struct roll *roll, struct thing *thing);
void roll_clear(struct roll *roll);
/* SHA-256 of all that was there when last looked, in hex digits, and how many that were. -1: out of memory. */
int roll_digest(const struct roll *roll, char digest[DOCUMENT_NAME_LEN + 1], size_t *num);
void roll_text_digest(const char *text, size_t len, char digest[DOCUMENT_NAME_LEN + 1]);

/* It is to be looked at in the next round, by what is listed then. */
void roll_mark(struct roll *roll, struct thing *thing, unsigned explained);
/* The text moves; what a thing had is known no more. */
struct text roll_take_left(struct roll *roll, struct thing *thing);

/* ---- roll_look.c: one round ---- */

void roll_begin(struct roll *roll);
/* The first phase of a round, whichever. */
void roll_list_anew(struct roll *roll);
/* LISTING and LOOKING, where nothing is under way. */
void roll_list(struct roll *roll);
void roll_look(struct roll *roll);
/* What calls under way, or that ended a moment ago, explain: a set of enum roll_change. */
unsigned roll_explained(const struct roll *roll, const struct thing *thing);
/* The thing at hand is as it is now. */
void roll_accept(struct roll *roll);

/* ---- roll_lap.c: all of them, while the gate runs ---- */

/* Once a second where nothing else is to be done. False: this has nothing to do either. */
bool roll_lap_tick(struct roll *roll, time_t now);
/* Everything that there is was listed. */
void roll_lap_listed(struct roll *roll);
/* The thing at hand is not for this comparison (any more): what touched it has a record, and a look of its own. */
bool roll_lap_leaves_out(struct roll *roll);
/* It is different for the first time: it is looked at again before that is told. */
bool roll_lap_doubts(struct roll *roll);

/* ---- roll_parts.c: kinds that have `parts` ---- */

/* Arguments of the question for their list; 0: it does not fit. */
size_t roll_parts_question(const struct thing *thing, const char *name, uint8_t *body, size_t size);
struct text roll_parts_text(const struct rpc_proc *proc, const uint8_t *body, size_t len, const char *path);
/* Of the thing at hand. */
unsigned roll_parts_changes(const struct roll *roll);
unsigned roll_parts_explained(const struct roll *roll, const struct thing *thing);
/* Does a call about the object, or about such a part of it? */
bool roll_parts_explained_by(const struct thing *thing, const char *call);
/* All of one object are to be looked at. */
void roll_parts_touch(struct roll *roll, enum vg_class class, const uint8_t *uuid);

/* ---- roll_tell.c: what is not as it was ---- */

/* The trail is asked whether it explains the changes of the thing at hand, and the reader what it was. */
void roll_explain(struct roll *roll);
void roll_recall(struct roll *roll);
/* Without the reader's answer. */
void roll_tell(struct roll *roll, struct text before);
/* Has a thing hold a record, and takes it and `definition`. False: out of memory, and they are still the caller's. */
bool roll_add_held(struct roll *roll, struct thing *thing, json_t *record, struct text definition);
/* Submits what a thing holds, without a difference. */
void roll_release(struct roll *roll, struct thing *thing);
/* inventory.taken or inventory.compared; `done` may be NULL. */
uint64_t roll_tell_round(struct roll *roll, bool complete, audit_done_cb *done);
void roll_tell_lost(struct roll *roll, const char *why);
void roll_tell_kept(struct roll *roll);

/* ---- roll.c ---- */

/* Something holds a record: looked at now, where nothing else is. */
void roll_hurry(struct roll *roll);
/* Goes on with whatever the phase says. */
void roll_go_on(struct roll *roll);
/* False: the reader is away; asked again at the next tick. */
bool roll_ask(struct roll *roll, json_t *question, trail_answer_cb *answer);

#endif
