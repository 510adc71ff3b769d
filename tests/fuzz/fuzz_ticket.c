/*
 * fuzz_ticket.c: tickets for consoles, against a model of what was given: each counts once, in its time, for the page of its origin, and not after its log-in.
 * What a browser shows is made of the input, with a ticket that was given (or none) in it. Input: operations, one behind the other; see steps[].
 */
#include <stdbool.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "web/act.h"
#include "web/guests.h"
#include "web/ticket.h"

#define MAX_GIVEN	64
#define SECONDS		30	/* that a ticket counts */
#define NUM_LOGINS	2

static const char *const origins[] = { "https://localhost", "https://portal.example.com", "https://other.example.com:8443", "https://evil.example" };
#define NUM_ORIGINS	(sizeof(origins) / sizeof(origins[0]))
#define NUM_EMBED	3	/* of them: our own page, and two that may */

static struct web web;
static struct web_session logins[NUM_LOGINS];
static struct { char token[WEB_TOKEN_LEN + 1]; size_t login, origin; bool view, counts; time_t until; } given[MAX_GIVEN];
static size_t num_given;
static time_t now;
static unsigned serial;			/* of tokens: none comes twice */
static json_t *body, *answer;		/* of the request at hand */

/* ---- the rest of the web front ---- */

time_t
web_now(void)
{
	return now;
}

int
web_token(char token[WEB_TOKEN_LEN + 1])
{
	(void)snprintf(token, WEB_TOKEN_LEN + 1, "%-20.20u%23.23s", ++serial, "AAAAAAAAAAAAAAAAAAAAAAA");
	for (size_t i = 0; i < WEB_TOKEN_LEN; i++)
		if (token[i] == ' ')
			token[i] = '-';
	return 0;
}

bool
web_same_token(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

bool
web_may_embed(const struct web *front, const char *origin)
{
	(void)front;
	return strcmp(origin, origins[1]) == 0 || strcmp(origin, origins[2]) == 0;
}

json_t *
request_json(struct request *request)
{
	(void)request;
	return json_incref(body);
}

bool
request_header(const struct request *request, enum lws_token_indexes header, char *value, size_t size)
{
	(void)request;
	FUZZ_ASSERT(header == WSI_TOKEN_ORIGIN && strlen(origins[0]) < size);
	memcpy(value, origins[0], strlen(origins[0]) + 1);
	return true;
}

void
reply_json(struct request *request, unsigned status, json_t *json)
{
	(void)request;
	FUZZ_ASSERT(status == 200 && json != NULL && answer == NULL);
	answer = json;
}

void
reply_error(struct request *request, unsigned status, int code, const char *format, ...)
{
	(void)request;
	(void)code;
	(void)format;
	FUZZ_ASSERT((status == 400 || status == 503) && answer == NULL);
	answer = json_null();
}

void
guest_find(struct request *request, guest_found_cb *next)
{
	static const uint8_t domain[] = { 0, 0, 0, 5, 'w', 'e', 'b', '-', '1', 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };

	next(request, domain, sizeof(domain));
}

/* ---- steps; each eats what it needs of the input ---- */

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t
next_byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

/* Bits: 0-1 origin, 2 view, 3 a mode that there is none of, 4 which log-in. */
static void
give(struct input *in)
{
	uint8_t how = next_byte(in);
	size_t origin = how & 3, login = how >> 4 & 1;
	bool view = (how & 4) != 0, wrong = (how & 8) != 0 || origin >= NUM_EMBED;
	struct request request = { .web = &web, .session = &logins[login] };

	body = json_pack("{s:s}", "mode", (how & 8) != 0 ? "all" : view ? "view" : "input");
	if (origin != 0)
		(void)json_object_set_new(body, "origin", json_string(origins[origin]));
	answer = NULL;
	ticket_post(&request);
	FUZZ_ASSERT(answer != NULL && (!wrong || json_is_null(answer)));
	if (json_is_object(answer) && num_given < MAX_GIVEN) {
		FUZZ_ASSERT(json_string_length(json_object_get(answer, "ticket")) == WEB_TOKEN_LEN);
		memcpy(given[num_given].token, json_string_value(json_object_get(answer, "ticket")), WEB_TOKEN_LEN + 1);
		given[num_given].login = login;
		given[num_given].origin = origin;
		given[num_given].view = view;
		given[num_given].until = now + SECONDS;
		given[num_given++].counts = true;
	}
	json_decref(answer);
	json_decref(body);
	json_decref(request.json);
}

/* What came of a token at a page's door is what the model says. */
static void
take(const char *token, size_t origin)
{
	struct ticket *ticket = ticket_take(token, origins[origin]);
	bool expected = false;

	for (size_t i = 0; i < num_given; i++) {
		if (!given[i].counts || strcmp(given[i].token, token) != 0)
			continue;
		given[i].counts = false;
		expected = now < given[i].until && given[i].origin == origin;
		FUZZ_ASSERT(ticket == NULL || (ticket->view == given[i].view && ticket->session == &logins[given[i].login] && ticket->uuid[0] == 0x11 &&
		    strcmp(ticket->name, "web-1") == 0));
	}
	FUZZ_ASSERT((ticket != NULL) == expected);
	ticket_free(ticket);
}

/* Bytes of the input: 1 stands for `mark`, 2 for the token. Returns the length. */
static size_t
compose(struct input *in, const char *mark, const char *token, char *out, size_t size)
{
	size_t num = next_byte(in), len = 0;

	while (num-- > 0 && in->left > 0) {
		uint8_t byte = next_byte(in);
		const char *text = byte == 1 ? mark : byte == 2 ? token : NULL;
		size_t add = text == NULL ? 1 : strlen(text);

		if (len + add >= size)
			break;
		memcpy(out + len, text == NULL ? (const char *)&byte : text, add);
		len += add;
	}
	memset(out + len, 0, size - len);
	return len;
}

/* The ticket of the input's choice, or one that was never given. */
static const char *
choose(struct input *in)
{
	size_t which = next_byte(in);

	return num_given == 0 || which % (num_given + 1) == num_given ? "nobody-gave-this-one-AAAAAAAAAAAAAAAAAAAAAA" : given[which % (num_given + 1)].token;
}

static void
show_protocols(struct input *in)
{
	const char *token = choose(in);
	size_t origin = next_byte(in) % NUM_ORIGINS;
	char text[512], plain[128], found[WEB_TOKEN_LEN + 1];

	(void)compose(in, "ticket.", token, text, sizeof(text));
	if (ticket_in_protocols(text, found)) {
		FUZZ_ASSERT(strlen(found) == WEB_TOKEN_LEN && strpbrk(found, ", ") == NULL && strstr(text, found) != NULL);
		take(found, origin);
		return;
	}
	FUZZ_ASSERT(found[0] == '\0');
	(void)snprintf(plain, sizeof(plain), "binary, ticket.%.*s", WEB_TOKEN_LEN, token);
	FUZZ_ASSERT(ticket_in_protocols(plain, found) && strcmp(found, token) == 0);
}

static void
show_repeater_id(struct input *in)
{
	const char *token = choose(in);
	size_t origin = next_byte(in) % NUM_ORIGINS;
	char text[TICKET_REPEATER_ID_LEN], found[WEB_TOKEN_LEN + 1];

	(void)compose(in, "ID:", token, text, sizeof(text));
	if (ticket_in_repeater_id((const uint8_t *)text, found)) {
		FUZZ_ASSERT(strlen(found) == WEB_TOKEN_LEN && memcmp(text + 3, found, WEB_TOKEN_LEN + 1) == 0);
		take(found, origin);
		return;
	}
	FUZZ_ASSERT(found[0] == '\0');
}

static void
wait_seconds(struct input *in)
{
	now += next_byte(in);
}

static void
log_out(struct input *in)
{
	size_t login = next_byte(in) % NUM_LOGINS;

	ticket_drop_all(&logins[login]);
	for (size_t i = 0; i < num_given; i++)
		given[i].counts = given[i].counts && given[i].login != login;
}

static void (*const steps[])(struct input *in) = { give, show_protocols, show_repeater_id, wait_seconds, log_out };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	num_given = 0;
	while (in.left > 0)
		steps[next_byte(&in) % (sizeof(steps) / sizeof(steps[0]))](&in);
	for (size_t i = 0; i < NUM_LOGINS; i++)
		ticket_drop_all(&logins[i]);
	for (size_t i = 0; i < num_given; i++)
		FUZZ_ASSERT(ticket_take(given[i].token, origins[given[i].origin]) == NULL);
	return 0;
}
