#include "tests/session/office.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

const char office_policy[] = "{ \"version\": 1, \"bindings\": ["
	"{ \"id\": \"web\", \"who\": [\"sasl:alice\"], \"role\": \"operator\", \"on\": [\"domain:web-*\"] },"
	"{ \"id\": \"all\", \"who\": [\"sasl:root\"], \"role\": \"admin\", \"on\": [\"*\"] },"
	"{ \"id\": \"look\", \"who\": [\"sasl:bob\"], \"role\": \"viewer\", \"on\": [\"*\"] } ] }";

int
setup(void **state)
{
	(void)state;
	harness_start(office_policy);
	return 0;
}

int
teardown(void **state)
{
	(void)state;
	harness_stop();
	return 0;
}

int
open_as(const char *user)
{
	int fd = client_connect(user);

	client_open(fd);
	return fd;
}

void
domain_call(int fd, const char *proc, uint32_t serial, const char *name, const uint8_t *uuid, int32_t id, struct message *answer)
{
	uint8_t body[1024];

	client_call(fd, proc, serial, body, put_domain(body, name, uuid, id), answer);
}

void
expect_info_works(int fd, uint32_t serial)
{
	struct message answer;

	domain_call(fd, "domain_get_info", serial, "web-1", uuid_web1, 1, &answer);
	expect_ok(&answer);
}
