#include "web/crowd.h"

#include <stdbool.h>
#include <stdint.h>

#include <netinet/in.h>
#include <sys/random.h>

#define NUM_COUNTERS 16384u

/* FNV-1a, begun with a secret. */
static uint64_t
hash_of(uint64_t hash, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)data)[i]) * 1099511628211u;
	return hash ^ hash >> 32;
}

unsigned *
crowd_of(const struct sockaddr_storage *address)
{
	static unsigned counters[NUM_COUNTERS];
	static uint64_t secret;
	uint64_t hash;

	while (secret == 0)
		if (getrandom(&secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
			secret = 0;
	if (address->ss_family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
		bool mapped = IN6_IS_ADDR_V4MAPPED(v6);

		hash = hash_of(secret, v6->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8);
	} else {
		hash = hash_of(secret, &((const struct sockaddr_in *)address)->sin_addr, sizeof(struct in_addr));
	}
	return &counters[hash % NUM_COUNTERS];
}
