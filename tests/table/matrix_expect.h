/*
 * matrix_expect.h: what must come of a call, worked out from libvirt's own annotations (tests/data), from the roles as
 * the manual has them, and from lists kept here; not from proto/tables nor from the gate's code.
 */
#ifndef TESTS_MATRIX_EXPECT_H
#define TESTS_MATRIX_EXPECT_H

#include "tests/table/matrix_body.h"

/* How a procedure says what it is about. */
enum shape {
	SHAPE_UNKNOWN,		/* nobody classified it: the build fails */
	SHAPE_OWN,		/* never reaches the decision: answered or refused before */
	SHAPE_HOST,		/* the host as a whole */
	SHAPE_STRUCT,		/* an object struct in the arguments */
	SHAPE_NAME,		/* a bare name in the arguments */
	SHAPE_LOOKUP,		/* known from the reply, and judged then */
	SHAPE_EVERYTHING	/* not to be known beforehand, content nobody checks, or nothing that is allowed here */
};

enum scope { SCOPE_NONE, SCOPE_WEB, SCOPE_ALL, NUM_SCOPES };

extern const char *const role_names[];
#define NUM_ROLES 6

void facts_load(void);
void facts_free(void);
/* Names of permissions ("domain:start"), conditions and shape of one procedure. */
enum shape shape_of(const struct rpc_proc *proc);
/* A role's name that stands for every permission but one: ROLE_BUT "domain:save". */
#define ROLE_BUT "all but "
/* Everything but a permission of libvirt's, and of that one part: ROLE_PART "domain:write_cpu". */
#define ROLE_PART "all with only "
/* Does the role allow it at all? */
bool role_allows(const char *role, const char *permission);
/* Values of the tested argument that make a difference, and its name (NULL: none). Returns how many. */
size_t flag_values(const struct rpc_proc *proc, const char **arg, uint32_t values[], size_t max);
/* The bits of an argument that libvirt's public enums have; -1 when it is no set of bits. */
int64_t known_flags(const struct rpc_proc *proc, const char *arg);
/* Is a permission on the object not enough for this call, because nobody checks its content? */
bool needs_everything(const struct rpc_proc *proc, bool optionals);
/* Does it take connect:write beside its own permission? */
bool is_about_host(const struct rpc_proc *proc);
/* Do the arguments of the matrix not pass the rules on arguments, whoever sends them? */
bool is_refused(const struct rpc_proc *proc, bool optionals);

struct expectation {
	enum { EXPECT_ALLOW, EXPECT_DENY, EXPECT_MISSING, EXPECT_INVALID } verdict;
	uint64_t codes;		/* of MISSING: set of code_bit() of error codes, one of which it must be */
};
uint64_t code_bit(int code);
void expect(const struct rpc_proc *proc, const char *role, enum scope scope, const struct body *body, struct expectation *expectation);

#endif
