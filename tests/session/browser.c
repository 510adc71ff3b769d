/* browser.c: the web front's side of a session, for the tests of what it asks the gate. */
#include "tests/session/browser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char browser_policy[] = "{ \"version\": 1, \"sets\": { \"web\": { \"domain\": [\"web-*\"] } }, \"bindings\": ["
	"{ \"id\": \"web\", \"who\": [\"sasl:alice\"], \"role\": \"operator\", \"on\": [\"set:web\"],"
	"  \"when\": { \"until\": \"2199-01-01T00:00:00Z\" } },"
	"{ \"id\": \"never\", \"who\": [\"sasl:alice\"], \"role\": \"admin\", \"on\": [\"*\"], \"when\": { \"proof\": [\"x509\"] } },"
	"{ \"id\": \"all\", \"who\": [\"sasl:root\"], \"role\": \"admin\", \"on\": [\"*\"] },"
	"{ \"id\": \"look\", \"who\": [\"sasl:bob\"], \"role\": \"viewer\", \"on\": [\"*\"] },"
	"{ \"id\": \"reads-trail\", \"who\": [\"sasl:carol\"], \"role\": \"auditor\", \"on\": [\"domain:web-1\"] } ] }";

int
browser_setup(void **state)
{
	(void)state;
	harness_start(browser_policy);
	return 0;
}

int
browser_teardown(void **state)
{
	(void)state;
	harness_stop();
	return 0;
}

int
browser_open(const char *user)
{
	int fd = web_connect(user);

	client_open(fd);
	return fd;
}

void
browser_expect_refused(int fd, uint32_t serial, const char *question, int code, const char *text)
{
	static struct message answer;

	web_send(fd, serial, question);
	assert_true(client_receive(fd, &answer));
	assert_int_equal(answer.header.serial, serial);
	expect_error(&answer, code, text);
}

bool
browser_receive(int fd, struct message *answer)
{
	do {
		if (!client_receive(fd, answer))
			return false;
	} while (answer->header.type == RPC_EVENT);
	return true;
}

const char *
browser_text(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text == NULL ? "(none)" : text;
}

/* One verdict of the verb `may`. */
bool
browser_may(int fd, uint32_t serial, const char *name, const uint8_t *uuid, const char *permission)
{
	char question[400], text[40] = "";
	json_t *answer;
	bool yes;

	for (size_t i = 0; uuid != NULL && i < 16; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
	(void)snprintf(question, sizeof(question), "{\"verb\":\"may\",\"objects\":[{\"class\":\"domain\"%s%s%s%s%s%s}],\"permissions\":[\"%s\"]}",
	    uuid == NULL ? "" : ",\"uuid\":\"", text, uuid == NULL ? "" : "\"", name == NULL ? "" : ",\"name\":\"", name == NULL ? "" : name,
	    name == NULL ? "" : "\"", permission);
	answer = web_ask(fd, serial, question);
	yes = json_is_true(json_object_get(json_array_get(json_object_get(answer, "may"), 0), permission));
	json_decref(answer);
	return yes;
}
