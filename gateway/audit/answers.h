/*
 * answers.h: questions about the trail and their answers, JSON to JSON, in slices: searching goes on while the trail is verified and while others
 * search. What a verb takes and answers stands at its function (answers_private.h); web_verbs.h says who may ask.
 */
#ifndef AUDIT_ANSWERS_H
#define AUDIT_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtgate/result.h"

struct answers;

/* An answer is there: JSON, or with ok false the reason why the question makes no sense. Called from within answers_work. */
typedef void answers_send_cb(uint64_t ticket, bool ok, const char *text, size_t len, void *arg);

/* Questions that wait at a time; one more is refused. */
#define ANSWERS_MAX 64u

/* Reads the trail in `dir`, and keeps an index of it in `index_file`, beside that what census.h is about. Does not fail for these: the answers say what is wrong. NULL: out of memory. */
struct answers *answers_create(const char *dir, const char *index_file);
void answers_destroy(struct answers *answers);
/* Takes a question; -1: too many wait, or memory is out. */
int answers_ask(struct answers *answers, uint64_t ticket, const char *json, size_t len, answers_send_cb *send, void *arg);
/* Who asked is gone. */
void answers_forget(struct answers *answers, const void *arg);
/* There may be more of the trail. */
void answers_look(struct answers *answers);
/* Works for about so many milliseconds. True: there is more to do now; false: until the next question, or until there is more of the trail. */
bool answers_work(struct answers *answers, unsigned budget_ms);

#endif
