/*
 * trail.c: a trail of many records.
 */
#include "tests/bench/trail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/audit/reader.h"

/* Any number that looks like chance and is the same each time. */
static uint64_t
mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Records come in threes: intent, outcome, and an event of somebody else. */
static uint64_t
action_of(uint64_t seq)
{
	return (seq - 1) / 3 * 2 + ((seq - 1) % 3 == 2);
}

unsigned
trail_user(const struct trail_plan *plan, uint64_t seq)
{
	return (unsigned)(mix(action_of(seq)) % plan->users);
}

unsigned
trail_object(const struct trail_plan *plan, uint64_t seq)
{
	return (unsigned)(mix(action_of(seq) ^ 0x5555) % plan->objects);
}

void
trail_op(uint64_t seq, char op[ID_LEN + 1])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint64_t value = action_of(seq);

	memset(op, '0', ID_LEN);
	op[ID_LEN] = '\0';
	for (int i = 11; i >= 0; i--, value >>= 5)
		op[i] = digits[value & 31];
}

void
trail_time(const struct trail_plan *plan, uint64_t seq, char time[28])
{
	const time_t begin = 1767225600;	/* 2026-01-01 */
	uint64_t us = (seq - 1) * (86400000000u / plan->per_day);
	time_t second = begin + (time_t)(us / 1000000);
	struct tm tm;
	size_t len = strftime(time, 28, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &tm));

	(void)snprintf(time + len, 28 - len, ".%06uZ", (unsigned)(us % 1000000));
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

void
trail_make(const char *dir, const struct trail_plan *plan)
{
	static const char *const stages[] = { "intent", "outcome", "event" };
	char prev[AUDIT_HASH_LEN + 1] = AUDIT_HASH_ZERO, hash[AUDIT_HASH_LEN + 1], path[4096], name[AUDIT_NAME_MAX];
	uint64_t bytes = plan->segment_bytes;
	unsigned segment = 0;
	FILE *out = NULL;

	for (uint64_t seq = 1; seq <= plan->records; seq++) {
		unsigned user = trail_user(plan, seq), object = trail_object(plan, seq), kind = (unsigned)((seq - 1) % 3);
		char op[ID_LEN + 1], time[28], head[1024], tail[1024];
		int head_len, tail_len;

		trail_op(seq, op);
		trail_time(plan, seq, time);
		head_len = snprintf(head, sizeof(head), "{%s\"code\":\"%s\",\"connection\":{\"readonly\":false,\"uri\":\"qemu:///system\"},"
		    "\"decision\":{\"binding\":\"team-%u\",\"permissions\":[\"domain:start\"],\"rule\":null,\"verdict\":\"%s\"},\"event\":\"%s\",",
		    kind == 2 ? "" : "\"call\":\"domain_create\",", kind == 2 ? "VG1402I" : "VG2009I", user % 7, seq % 30 == 6 ? "deny" : "allow",
		    kind == 2 ? "console.close" : "domain.create");
		tail_len = snprintf(tail, sizeof(tail), "\"object\":{\"class\":\"domain\",\"name\":\"guest-%u\",\"uuid\":\"%08x-0000-4000-8000-000000000000\"},"
		    "\"op\":\"%s\",\"prev\":\"%s\",%s%s%s\"seq\":%llu,\"session\":\"01JD0000000000000000000000\",\"source\":{\"address\":\"10.0.0.%u\",\"port\":41022,"
		    "\"via\":\"rpc-tls\"},\"stage\":\"%s\",\"time\":\"%s\",\"user\":{\"mech\":\"SCRAM-SHA-256\",\"name\":\"user-%u\",\"sasl\":\"user-%u\"}}\n",
		    object, object, op, prev, kind == 0 ? "" : "\"result\":{\"code\":0,\"message\":\"\",\"status\":\"", kind == 0 ? "" : seq % 30 == 6 ? "denied" : "ok",
		    kind == 0 ? "" : "\"},", (unsigned long long)seq, user % 250, stages[kind], time, user, user);
		scan_hash(head, (size_t)head_len, tail, (size_t)tail_len - 1, hash);
		if (bytes >= plan->segment_bytes) {
			if (out != NULL && fclose(out) != 0)
				die("trail");
			audit_segment_name(name, ++segment);
			(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
			out = fopen(path, "we");
			if (out == NULL)
				die(path);
			bytes = 0;
		}
		bytes += (uint64_t)fprintf(out, "%s\"hash\":\"%s\",%s", head, hash, tail);
		memcpy(prev, hash, sizeof(prev));
	}
	if (out == NULL || fclose(out) != 0)
		die("trail");
	(void)snprintf(path, sizeof(path), "%s/%s", dir, AUDIT_HEAD_FILE);
	out = fopen(path, "we");
	if (out == NULL || fprintf(out, "%020llu %s\n", (unsigned long long)plan->records, prev) < 0 || fclose(out) != 0)
		die(path);
}
