/*
 * packets.h: the captured messages of tests/data/packets.txt, for tests and benchmarks.
 */
#ifndef TESTS_UNIT_PACKETS_H
#define TESTS_UNIT_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS_FILE TOP_SRCDIR "/tests/data/packets.txt"

struct packet {
	bool from_client;
	uint8_t *data;		/* exactly `len` bytes of heap: reading behind them is noticed by the sanitizer */
	size_t len;
};

struct packets {
	struct packet *list;
	size_t count;
};

static inline void
packets_fail(const char *why)
{
	fprintf(stderr, "%s: %s\n", PACKETS_FILE, why);
	exit(1);
}

static inline void *
packets_alloc(size_t size)
{
	void *memory = malloc(size > 0 ? size : 1);

	if (memory == NULL)
		packets_fail("out of memory");
	return memory;
}

static inline int
packets_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One line, "C 0000001c…". */
static inline struct packet
packets_parse(const char *line)
{
	struct packet packet = { .from_client = line[0] == 'C' };
	const char *hex = line + 2;
	size_t digits = strspn(hex, "0123456789abcdef"), i;

	if ((line[0] != 'C' && line[0] != 'S') || line[1] != ' ' || digits == 0 || digits % 2 != 0)
		packets_fail("a line that is no packet");
	packet.len = digits / 2;
	packet.data = packets_alloc(packet.len);
	for (i = 0; i < packet.len; i++)
		packet.data[i] = (uint8_t)(packets_digit(hex[2 * i]) << 4 | packets_digit(hex[2 * i + 1]));
	return packet;
}

static inline struct packets
packets_load(void)
{
	struct packets packets = { NULL, 0 };
	FILE *file = fopen(PACKETS_FILE, "r");
	char *line = NULL;
	size_t size = 0;

	if (file == NULL)
		packets_fail("cannot open");
	while (getline(&line, &size, file) > 0) {
		if (line[0] == '#')
			continue;
		packets.list = realloc(packets.list, (packets.count + 1) * sizeof(*packets.list));
		if (packets.list == NULL)
			packets_fail("out of memory");
		packets.list[packets.count++] = packets_parse(line);
	}
	free(line);
	fclose(file);
	if (packets.count == 0)
		packets_fail("no packets");
	return packets;
}

static inline void
packets_free(struct packets *packets)
{
	while (packets->count > 0)
		free(packets->list[--packets->count].data);
	free(packets->list);
	packets->list = NULL;
}

#endif
