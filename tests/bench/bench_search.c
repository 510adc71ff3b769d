/*
 * bench_search.c: how long does it take to find a day, a user, an object in a trail of many records? Makes the trail, of 90 days, 100 users and 20,000
 * objects, and its index, and prints one JSON object: what making the index costs, how large it is, and each search until its answer is complete:
 *
 *	command	`virtgate audit search` with its output into a pipe: rows (of an intent and its outcome one), time to the first byte and to the end
 *	pages	the audit reader's answers, as the browser gets them: 500 records each, the first and all
 *
 * then what summaries and exports cost, and `scan`: the user by reading all of the trail.
 *
 * bench_search RECORDS [DIR]: DIR is where it is made, /var/tmp unless told otherwise. ./virtgate is the command.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/audit/answers.h"
#include "gateway/audit/index.h"
#include "tests/bench/trail.h"

#define DAYS 90

static char dir[4096], file[4200];

static double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

__attribute__((noreturn))
static void
die(const char *what)
{
	fprintf(stderr, "bench_search: %s\n", what);
	exit(1);
}

/* ---- the command ---- */

#define MAX_WORDS 12

static pid_t
start(const char *verb, const char *const *words, int *fd)
{
	char *argv[MAX_WORDS + 8] = { "virtgate", "audit", (char *)verb, "--dir", dir, "--index", file };
	size_t num = 7;
	int ends[2];
	pid_t pid;

	for (size_t i = 0; words[i] != NULL && i < MAX_WORDS; i++)
		argv[num++] = (char *)words[i];
	if (pipe(ends) < 0 || (pid = fork()) < 0)
		die("cannot start a process");
	if (pid == 0) {
		(void)dup2(ends[1], 1);
		close(ends[0]);
		close(ends[1]);
		execv("./virtgate", argv);
		_exit(127);
	}
	close(ends[1]);
	*fd = ends[0];
	return pid;
}

/* Prints "rows": …, "first_ms": …, "ms": …. */
static void
run(const char *verb, const char *const *words)
{
	static char text[256 * 1024];
	double from = now(), first = 0;
	size_t rows = 0;
	int fd, status;
	pid_t pid = start(verb, words, &fd);
	ssize_t got;

	while ((got = read(fd, text, sizeof(text))) > 0) {
		if (first == 0)
			first = now();
		for (ssize_t i = 0; i < got; i++)
			rows += text[i] == '\n';
	}
	close(fd);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
		die("./virtgate failed");
	printf("\"rows\": %zu, \"first_ms\": %.1f, \"ms\": %.1f", rows, (first - from) * 1000, (now() - from) * 1000);
}

/* ---- the reader ---- */

struct page {
	bool there, more;
	size_t found;
	unsigned long long last;	/* seq of its last record */
};

/* What a browser does with the text is not measured: only what is needed to ask on is looked for. */
static void
take(uint64_t ticket, bool ok, const char *text, size_t len, void *arg)
{
	static const char seq[] = "\"seq\":";
	struct page *page = arg;

	(void)ticket;
	if (!ok)
		die(text);
	page->there = true;
	for (const char *at = text; (at = memmem(at, len - (size_t)(at - text), seq, sizeof(seq) - 1)) != NULL; at++) {
		page->found++;
		page->last = strtoull(at + sizeof(seq) - 1, NULL, 10);
	}
	page->more = memmem(text, len, "],\"more\":true", 13) != NULL;
}

/* The records before that one. */
static struct page
ask(struct answers *answers, const char *filter, unsigned long long before)
{
	struct page page = { .there = false };
	char question[512];

	(void)snprintf(question, sizeof(question), "{\"verb\":\"audit.search\",\"limit\":500,%s,\"before\":%llu}", filter, before);
	if (answers_ask(answers, 1, question, strlen(question), take, &page) < 0)
		die("the reader takes no question");
	while (!page.there)
		(void)answers_work(answers, 20);
	return page;
}

static void
pages(struct answers *answers, const char *filter)
{
	struct page page = { .last = INT64_MAX };
	double from = now(), first = 0;
	size_t found = 0, num = 0;

	do {
		page = ask(answers, filter, page.last);
		found += page.found;
		if (num++ == 0)
			first = now() - from;
	} while (page.more);
	printf("\"found\": %zu, \"pages\": %zu, \"first_ms\": %.1f, \"ms\": %.1f", found, num, first * 1000, (now() - from) * 1000);
}

/* ---- all of it ---- */

static void
remove_all(void)
{
	unsigned first, last;
	char path[4200], name[AUDIT_NAME_MAX];
	static const char *const others[] = { AUDIT_HEAD_FILE, AUDIT_INDEX_FILE, AUDIT_INDEX_FILE "-journal" };

	if (audit_reader_range(dir, &first, &last, NULL, NULL) == 0) {
		for (unsigned segment = first; segment != 0 && segment <= last; segment++) {
			audit_segment_name(name, segment);
			(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
			(void)unlink(path);
		}
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, others[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static void
make(uint64_t records)
{
	struct trail_plan plan = { .records = records, .users = 100, .objects = 20000, .per_day = records / DAYS + 1, .segment_bytes = 64u * 1024u * 1024u };
	struct audit_index_state state;
	struct audit_index *index;
	struct vg_error error;
	struct stat st;
	uint64_t bytes;
	unsigned first, last;
	double from;
	int result = 0;

	trail_make(dir, &plan);
	(void)audit_reader_range(dir, &first, &last, &bytes, &error);
	from = now();
	index = audit_index_open(file, dir, true, &error);
	while (index != NULL && (result = audit_index_update(index, 50, &error)) > 0)
		;
	if (index == NULL || result < 0)
		die(error.what);
	from = now() - from;
	audit_index_state(index, &state);
	audit_index_close(index);
	if (stat(file, &st) < 0 || state.last_seq != records)
		die("the index is not whole");
	printf("{\"records\": %llu, \"days\": %d, \"trail_mib\": %llu, \"index_mib\": %lld, \"index_seconds\": %.1f, \"searches\": [",
	    (unsigned long long)records, DAYS, (unsigned long long)bytes >> 20, (long long)st.st_size >> 20, from);
}

static void
search_all(void)
{
	static const struct { const char *what, *filter, *words[MAX_WORDS]; } rows[] = {
		{ "a day", "\"since\":\"2026-01-15\",\"until\":\"2026-01-15\"", { "--utc", "--since", "2026-01-15", "--until", "2026-01-15" } },
		{ "a user", "\"user\":\"user-7\"", { "--user", "user-7" } },
		{ "an object", "\"object\":\"domain:guest-77\"", { "--object", "domain:guest-77" } },
		{ "a user on a day", "\"user\":\"user-7\",\"since\":\"2026-01-15\",\"until\":\"2026-01-15\"",
		    { "--utc", "--user", "user-7", "--since", "2026-01-15", "--until", "2026-01-15" } },
		{ "a user on objects", "\"user\":\"user-7\",\"object\":\"guest-7?\"", { "--user", "user-7", "--object", "guest-7?" } },
	};
	struct answers *answers = answers_create(dir, file);

	if (answers == NULL)
		die("out of memory");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("%s\n  {\"what\": \"%s\", \"command\": {", i == 0 ? "" : ",", rows[i].what);
		run("search", rows[i].words);
		printf("}, \"pages\": {");
		pages(answers, rows[i].filter);
		printf("}}");
		fflush(stdout);
	}
	answers_destroy(answers);
}

static void
others(void)
{
	static const struct { const char *what, *verb, *words[MAX_WORDS]; } rows[] = {
		{ "the newest 20", "search", { "--limit", "20" } },
		{ "refused, the newest 500", "search", { "--result", "denied", "--limit", "500" } },
		{ "summary of a day by user", "summary", { "--utc", "--since", "2026-01-15", "--until", "2026-01-15" } },
		{ "summary of all by object", "summary", { "--by", "object" } },
		{ "a day as jsonl", "export", { "--utc", "--since", "2026-01-15", "--until", "2026-01-15" } },
		{ "a day as cef", "export", { "--format", "cef", "--utc", "--since", "2026-01-15", "--until", "2026-01-15" } },
		{ "a day as ocsf", "export", { "--format", "ocsf", "--utc", "--since", "2026-01-15", "--until", "2026-01-15" } },
		{ "a day as rfc5424", "export", { "--format", "rfc5424", "--utc", "--since", "2026-01-15", "--until", "2026-01-15" } },
		{ "scan: a user", "search", { "--user", "user-7", "--no-index" } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("%s\n  {\"what\": \"%s\", ", i == 0 ? "" : ",", rows[i].what);
		run(rows[i].verb, rows[i].words);
		printf("}");
		fflush(stdout);
	}
}

int
main(int argc, char **argv)
{
	uint64_t records = argc < 2 ? 0 : strtoull(argv[1], NULL, 10);

	if (records == 0)
		die("usage: bench_search RECORDS [DIR]");
	(void)snprintf(dir, sizeof(dir), "%s/virtgate-bench-XXXXXX", argc > 2 ? argv[2] : "/var/tmp");
	if (mkdtemp(dir) == NULL)
		die("there is no such directory");
	(void)snprintf(file, sizeof(file), "%s/%s", dir, AUDIT_INDEX_FILE);
	make(records);
	search_all();
	printf("],\n \"others\": [");
	others();
	printf("]}\n");
	remove_all();
	return 0;
}
