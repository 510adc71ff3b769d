/*
 * bodies.c: prints a valid call of every procedure of the table, for tests that speak raw RPC: program, number, name,
 * kind, value of its flags, and the body in hex. The object of a call is web-1; its UUID is the class as a byte, then
 * 15 bytes 3e, which whoever sends it replaces. usage: bodies [NUMBER [DIRECTORY]]. Numbers that are no flags are 0, or
 * NUMBER; with DIRECTORY also paths, URIs and disks are such as a gateway lets through that has it among its save_dirs.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/table/matrix_body.h"

#define MAX_FLAGS 16

static const char *directory;

static const char *
sensible(const char *field)
{
	static const struct { const char *field, *text; } texts[] = {
		{ "path", "hda" }, { "disk", "hda" }, { "base", "hda" }, { "top", "hda" },
		{ "uri", "tcp://web-1" }, { "uri_in", "tcp://web-1" }, { "dconnuri", "tcp://web-1" }
	};
	static char file[4096];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(field, texts[i].field) == 0)
			return texts[i].text;
	if (strcmp(field, "from") != 0 && strcmp(field, "file") != 0 && strcmp(field, "to") != 0)
		return NULL;
	(void)snprintf(file, sizeof(file), "%s/web-1.%s", directory, field[0] == 't' ? "new" : "saved");
	return file;
}

/* 0, and each mask that a condition of the row names. */
static size_t
flags_of(const struct rpc_proc *proc, const char **arg, uint32_t flags[MAX_FLAGS])
{
	size_t n = 1;

	*arg = "flags";
	flags[0] = 0;
	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE && n < MAX_FLAGS; need++) {
		if (need->arg == NULL || need->test == RPC_TEST_DEVICE)
			continue;
		*arg = need->arg;
		flags[n++] = need->value;
	}
	return n;
}

static int
print_body(const struct rpc_proc *proc, const char *arg, uint32_t flags, uint32_t number)
{
	static const char *const kinds[] = { "read", "change", "access" };
	struct body body = { .flag_arg = arg, .flags = flags, .number = number,
		.text = directory == NULL ? NULL : sensible, .optionals = true, .xml = xml_of(proc->name) };

	if (!body_build(&body, proc->args) || xdr_check(proc->args, body.data, body.len) != VG_OK) {
		fprintf(stderr, "no valid body of %s\n", proc->name);
		return -1;
	}
	printf("%u %u %s %s %u ", proc->program, proc->number, proc->name, kinds[proc->kind], flags);
	for (size_t i = 0; i < body.len; i++)
		printf("%02x", body.data[i]);
	printf("\n");
	return 0;
}

int
main(int argc, char *argv[])
{
	uint32_t number = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 0;
	const struct rpc_proc *proc;
	uint32_t flags[MAX_FLAGS];
	const char *arg;

	if (argc > 2)
		directory = argv[2];
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		size_t n = flags_of(proc, &arg, flags);

		if (proc->kind == RPC_KIND_EVENT)
			continue;
		for (size_t k = 0; k < n; k++)
			if (print_body(proc, arg, flags[k], number) < 0)
				return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
