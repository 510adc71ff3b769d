/*
 * replay.c: runs a fuzz target over files without a fuzzer: those given, or all of its corpus. A program named
 * replay_NAME reads tests/fuzz/corpus/NAME. Also how a crash that the fuzzer found is tried again: replay_NAME FILE.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/* A file on heap memory of exactly its length, so that reading behind it is noticed. */
static void
replay_file(const char *path)
{
	uint8_t *data = malloc(FUZZ_MAX_INPUT), *exact;
	FILE *file = fopen(path, "rb");
	size_t len;

	if (file == NULL || data == NULL) {
		fprintf(stderr, "%s: cannot read\n", path);
		exit(1);
	}
	len = fread(data, 1, FUZZ_MAX_INPUT, file);
	fclose(file);
	exact = realloc(data, len > 0 ? len : 1);
	if (exact == NULL)
		exact = data;
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static unsigned
replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	unsigned count = 0;
	char path[4096];

	if (dir == NULL) {
		fprintf(stderr, "%s: cannot open\n", folder);
		exit(1);
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= sizeof(path))
			continue;
		replay_file(path);
		count++;
	}
	closedir(dir);
	return count;
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
	char folder[4096];
	unsigned count = 0;
	int i;

	for (i = 1; i < argc; i++, count++)
		replay_file(argv[i]);
	if (argc == 1) {
		if (strncmp(name, "replay_", 7) != 0) {
			fprintf(stderr, "usage: replay_NAME [FILE]...\n");
			return 2;
		}
		snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", TOP_SRCDIR, name + 7);
		count = replay_folder(folder);
	}
	printf("%s: %u inputs\n", name, count);
	return count > 0 ? 0 : 1;
}
