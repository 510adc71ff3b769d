/*
 * main.c: `virtgate`: finds the verb, reads its arguments and options by its row in verbs.def, and calls it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/harmless.h"
#include "virtgate/nearest.h"

#define COMMON_OPTIONS "--json --config FILE --help"

struct verb {
	const char *words;
	int (*run)(const struct cli *cli);
	const char *arguments;
	const char *options;
	const char *help;
};

static const struct verb verbs[] = {
#define VERB(words_, function_, arguments_, options_, help_) { words_, function_, arguments_, options_, help_ },
#include "gateway/cli/verbs.def"
#undef VERB
};

#define NUM_VERBS (sizeof(verbs) / sizeof(verbs[0]))

int
cli_fail(const struct vg_error *error, int status)
{
	harmless_line(stderr, "virtgate: %s", error->what);
	if (error->hint[0] != '\0')
		harmless_line(stderr, "  hint: %s", error->hint);
	return status;
}

int
cli_print_json(json_t *value, int status)
{
	struct vg_error error;

	if (value == NULL || json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY) != 0) {
		json_decref(value);
		vg_fail(&error, "could not write the result as JSON: %s", strerror(errno != 0 ? errno : ENOMEM));
		return cli_fail(&error, CLI_USAGE);
	}
	putchar('\n');
	json_decref(value);
	return status;
}

const char *
cli_option(const struct cli *cli, const char *name, size_t nth)
{
	for (size_t i = 0; i < cli->num_options; i++) {
		if (strcmp(cli->options[i].name, name) == 0 && nth-- == 0)
			return cli->options[i].value;
	}
	return NULL;
}

/* One word of a usage text: returns its length, moves *text to its beginning; 0 at the end. */
static size_t
next_word(const char **text)
{
	*text += strspn(*text, " ");
	return strcspn(*text, " ");
}

/* How many arguments the usage text allows. */
static void
count_arguments(const char *usage, size_t *least, size_t *most)
{
	size_t len;

	*least = *most = 0;
	for (; (len = next_word(&usage)) > 0; usage += len) {
		if (usage[0] != '[')
			(*least)++;
		if (len > 3 && (strncmp(usage + len - 3, "...", 3) == 0 || strncmp(usage + len - 4, "...]", 4) == 0))
			*most = SIZE_MAX;
		else if (*most != SIZE_MAX)
			(*most)++;
	}
}

/* Is "--name" in this options text? *takes_value: the name of a value follows it there. */
static bool
find_option(const char *options, const char *name, size_t len, bool *takes_value)
{
	size_t word;

	for (; (word = next_word(&options)) > 0; options += word) {
		if (word != len + 2 || strncmp(options, "--", 2) != 0 || strncmp(options + 2, name, len) != 0)
			continue;
		options += word;
		*takes_value = next_word(&options) > 0 && strncmp(options, "--", 2) != 0;
		return true;
	}
	return false;
}

static int
usage(const struct verb *verb, FILE *out, int status)
{
	const char *rest = strchr(verb->help, '\n');

	fprintf(out, "usage: virtgate %s%s%s", verb->words, verb->arguments[0] != '\0' ? " " : "", verb->arguments);
	for (const char *option = verb->options; *option != '\0';) {
		const char *end = strstr(option + 2, " --");
		size_t len = end != NULL ? (size_t)(end - option) : strlen(option);

		fprintf(out, " [%.*s]", (int)len, option);
		option += len + (end != NULL ? 1 : 0);
	}
	fprintf(out, " [--json] [--config FILE]\n");
	if (status == CLI_DONE)
		fprintf(out, "\n%.*s.\n", rest != NULL ? (int)(rest - verb->help) : (int)strlen(verb->help), verb->help);
	if (status == CLI_DONE && rest != NULL)
		fprintf(out, "%s\n", rest + 1);
	return status;
}

static bool
in_group(const struct verb *verb, const char *group)
{
	size_t len = strlen(group);

	return strncmp(verb->words, group, len) == 0 && verb->words[len] == ' ';
}

/* A line for each verb that begins with the word `group`, or for all. */
static void
list_verbs(FILE *out, const char *group)
{
	for (size_t i = 0; i < NUM_VERBS; i++) {
		char left[64];
		int len = (int)strcspn(verbs[i].help, "\n");

		if (group != NULL && !in_group(&verbs[i], group))
			continue;
		snprintf(left, sizeof(left), "%s %s", verbs[i].words, verbs[i].arguments);
		fprintf(out, "  %-38s %.*s\n", left, len, verbs[i].help);
	}
}

static int
usage_group(const char *group, FILE *out, int status)
{
	fprintf(out, "usage: virtgate %s VERB [ARGUMENT...] [OPTION...]\n\n", group);
	list_verbs(out, group);
	fprintf(out, "\n`virtgate %s VERB --help` tells more.\n", group);
	return status;
}

static int
usage_all(FILE *out, int status)
{
	fprintf(out, "usage: virtgate VERB [ARGUMENT...] [OPTION...]\n\n");
	list_verbs(out, NULL);
	fprintf(out, "\nEvery verb takes --json, --config FILE (default %s) and --help.\n"
	    "Exit: 0 done, 1 no or not found, 2 usage or broken input.\n", CLI_DEFAULT_CONFIG);
	return status;
}

/* How many of argv's words are the verb's words: all of them, or 0. */
static size_t
verb_matches(const struct verb *verb, int argc, char **argv)
{
	const char *words = verb->words;
	size_t len, num = 0;

	for (; (len = next_word(&words)) > 0; words += len, num++) {
		if ((int)num >= argc || strlen(argv[num]) != len || strncmp(argv[num], words, len) != 0)
			return 0;
	}
	return num;
}

static int
unknown_verb(int argc, char **argv)
{
	char written[128], first[64];
	struct nearest nearest = { .word = written };
	struct vg_error error;
	bool known_group = false;

	snprintf(written, sizeof(written), "%s%s%s", argv[0], argc > 1 && argv[1][0] != '-' ? " " : "",
	    argc > 1 && argv[1][0] != '-' ? argv[1] : "");
	for (size_t i = 0; i < NUM_VERBS; i++) {
		nearest_offer(&nearest, verbs[i].words);
		known_group = known_group || in_group(&verbs[i], argv[0]);
	}
	if (known_group && argc == 1)
		return usage_group(argv[0], stderr, CLI_USAGE);
	if (known_group && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return usage_group(argv[0], stdout, CLI_DONE);
	/* "chekc FILE": the second word is no part of a verb, so the first alone may still be near to one. */
	snprintf(first, sizeof(first), "%s", argv[0]);
	if (nearest.best == NULL) {
		nearest.word = first;
		for (size_t i = 0; i < NUM_VERBS; i++)
			nearest_offer(&nearest, verbs[i].words);
	}
	vg_fail(&error, "unknown verb '%s'", written);
	if (nearest.best != NULL)
		vg_hint(&error, "did you mean '%s'?", nearest.best);
	else if (!known_group)
		vg_hint(&error, "`virtgate --help` lists the verbs");
	cli_fail(&error, CLI_USAGE);
	if (nearest.best != NULL || !known_group)
		return CLI_USAGE;
	list_verbs(stderr, argv[0]);
	return CLI_USAGE;
}

static int
unknown_option(const struct verb *verb, const char *name, int len)
{
	char written[NEAREST_MAX + 1], known[16][NEAREST_MAX + 1];
	const char *const texts[] = { verb->options, COMMON_OPTIONS };
	struct nearest nearest = { .word = written };
	struct vg_error error;
	size_t word, num = 0;

	snprintf(written, sizeof(written), "--%.*s", len, name);
	for (size_t i = 0; i < 2; i++) {
		for (const char *text = texts[i]; (word = next_word(&text)) > 0 && num < 16; text += word) {
			if (strncmp(text, "--", 2) != 0)
				continue;
			snprintf(known[num], sizeof(known[num]), "%.*s", (int)word, text);
			nearest_offer(&nearest, known[num++]);
		}
	}
	vg_fail(&error, "'%s' does not know the option '%s'", verb->words, written);
	if (nearest.best != NULL)
		vg_hint(&error, "did you mean '%s'?", nearest.best);
	cli_fail(&error, CLI_USAGE);
	return usage(verb, stderr, CLI_USAGE);
}

/* Stores one option; returns how many words of argv it took, 0 when it was wrong (told already). */
static int
read_option(const struct verb *verb, struct cli *cli, int argc, char **argv)
{
	char *name = argv[0] + 2, *value = strchr(name, '=');
	size_t len = value != NULL ? (size_t)(value - name) : strlen(name);
	bool takes_value;
	int words = 1;
	struct vg_error error;

	if (!find_option(verb->options, name, len, &takes_value) && !find_option(COMMON_OPTIONS, name, len, &takes_value)) {
		unknown_option(verb, name, (int)len);
		return 0;
	}
	if (!takes_value && value != NULL) {
		vg_fail(&error, "--%.*s takes no value", (int)len, name);
		cli_fail(&error, CLI_USAGE);
		return 0;
	}
	if (takes_value && value == NULL) {
		if (argc < 2) {
			vg_fail(&error, "--%s needs a value", name);
			cli_fail(&error, CLI_USAGE);
			return 0;
		}
		value = argv[1];
		words = 2;
	} else if (value != NULL) {
		*value++ = '\0';
	}
	if (strcmp(name, "json") == 0) {
		cli->json = true;
	} else if (strcmp(name, "config") == 0) {
		cli->config = value;
	} else if (cli->num_options == CLI_MAX_OPTIONS) {
		vg_fail(&error, "more than %d options", CLI_MAX_OPTIONS);
		cli_fail(&error, CLI_USAGE);
		return 0;
	} else {
		cli->options[cli->num_options++] = (struct cli_option){ name, value != NULL ? value : "" };
	}
	return words;
}

/* Reads what stands behind the verb into `cli`; the arguments are moved to the front of argv. -1: told, exit with *status. */
static int
read_line(const struct verb *verb, struct cli *cli, int argc, char **argv, int *status)
{
	size_t least, most;
	bool only_args = false;

	*status = CLI_USAGE;
	for (int i = 0; i < argc;) {
		if (!only_args && strcmp(argv[i], "--") == 0) {
			only_args = true;
			i++;
		} else if (!only_args && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
			*status = usage(verb, stdout, CLI_DONE);
			return -1;
		} else if (!only_args && strncmp(argv[i], "--", 2) == 0) {
			int taken = read_option(verb, cli, argc - i, argv + i);

			if (taken == 0)
				return -1;
			i += taken;
		} else {
			argv[cli->num_args++] = argv[i++];
		}
	}
	cli->args = (const char *const *)argv;
	count_arguments(verb->arguments, &least, &most);
	if (cli->num_args < least || cli->num_args > most) {
		usage(verb, stderr, CLI_USAGE);
		return -1;
	}
	return 0;
}

static int
run(int argc, char **argv)
{
	struct cli cli = { 0 };
	int status, first = 1;

	for (; first < argc && argv[first][0] == '-'; first++) {
		if (strcmp(argv[first], "--help") == 0 || strcmp(argv[first], "-h") == 0)
			return usage_all(stdout, CLI_DONE);
		if (strcmp(argv[first], "--version") == 0)
			return printf("virtgate %s\n", PACKAGE_VERSION) < 0 ? CLI_NO : CLI_DONE;
		if (strcmp(argv[first], "--json") == 0)
			cli.json = true;
		else if (strcmp(argv[first], "--config") == 0 && first + 1 < argc)
			cli.config = argv[++first];
		else if (strncmp(argv[first], "--config=", 9) == 0)
			cli.config = argv[first] + 9;
		else
			return usage_all(stderr, CLI_USAGE);
	}
	if (first == argc)
		return usage_all(stderr, CLI_USAGE);
	argc -= first;
	argv += first;
	for (size_t i = 0; i < NUM_VERBS; i++) {
		int words = (int)verb_matches(&verbs[i], argc, argv);

		if (words == 0)
			continue;
		cli.words = verbs[i].words;
		if (read_line(&verbs[i], &cli, argc - words, argv + words, &status) != 0)
			return status;
		return verbs[i].run(&cli);
	}
	return unknown_verb(argc, argv);
}

/* Output that could not be written is no success: `virtgate … > /dev/full` must not say 0. */
int
main(int argc, char **argv)
{
	int status = run(argc, argv);

	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("virtgate: standard output");
		return CLI_USAGE;
	}
	return status;
}
