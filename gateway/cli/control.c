/*
 * control.c: verbs that talk to the running gateway through run_dir/control.sock: status, session list, session kill,
 * reload.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/harmless.h"
#include "gateway/core/settings.h"

#define ANSWER_SECONDS 10
#define MAX_ANSWER (64u * 1024u * 1024u)

/* A connection to the gateway of these settings. -1 with `error`. */
static int
dial(const struct cli *cli, struct vg_error *error)
{
	const char *file = cli->config != NULL ? cli->config : CLI_DEFAULT_CONFIG;
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct settings *settings = settings_load(file, error);
	int fd = -1, n;

	if (settings == NULL)
		return -1;
	n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", settings->run_dir);
	settings_destroy(settings);
	if (n < 0 || (size_t)n >= sizeof(address.sun_path)) {
		vg_fail(error, "%s: the path of run_dir is too long for a socket", file);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		vg_fail(error, "%s: %s", address.sun_path, strerror(errno));
		vg_hint(error, errno == EACCES ? "only root and the gateway's own user may use the control socket" :
		    "is virtgated running with these settings? --config FILE names others");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* One line to an allocation, up to and without the newline. NULL with `error`. */
static char *
read_line(int fd, struct vg_error *error)
{
	size_t len = 0, size = 0;
	char *line = NULL;

	for (;;) {
		char *newline, *larger;
		ssize_t n;

		if (len + 1 >= size) {
			size = size == 0 ? 65536 : size * 2;
			larger = size > MAX_ANSWER ? NULL : realloc(line, size);
			if (larger == NULL) {
				vg_fail(error, "the gateway's answer is too large");
				break;
			}
			line = larger;
		}
		n = recv(fd, line + len, size - len - 1, 0);
		if (n <= 0) {
			vg_fail(error, "the gateway does not answer: %s", n == 0 ? "it closed the connection" : strerror(errno));
			break;
		}
		len += (size_t)n;
		line[len] = '\0';
		newline = strchr(line, '\n');
		if (newline != NULL) {
			*newline = '\0';
			return line;
		}
	}
	free(line);
	return NULL;
}

/* Asks the running gateway; takes `request`. NULL when it failed and was told, with the exit code in *status. */
static json_t *
ask(const struct cli *cli, json_t *request, int *status)
{
	struct vg_error error;
	json_error_t where;
	json_t *answer = NULL;
	char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
	int fd = text == NULL ? -1 : dial(cli, &error);

	json_decref(request);
	if (fd >= 0) {
		if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0)
			vg_fail(&error, "the gateway does not answer: %s", strerror(errno));
		else
			line = read_line(fd, &error);
		close(fd);
	}
	free(text);
	if (line != NULL) {
		answer = json_loads(line, 0, &where);
		if (answer == NULL)
			vg_fail(&error, "the gateway's answer is not JSON: %s", where.text);
		free(line);
	}
	if (answer != NULL && json_object_get(answer, "error") != NULL) {
		vg_fail(&error, "%s", json_string_value(json_object_get(answer, "error")));
		json_decref(answer);
		answer = NULL;
	}
	if (answer == NULL)
		*status = cli_fail(&error, CLI_USAGE);
	return answer;
}

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "-" : text;
}

/* Nobody should take a list of sessions for one of people who are held to the policy. */
static bool
only_watches(const json_t *answer)
{
	return strcmp(text_of(answer, "mode"), "permissive") == 0;
}

static long long
number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

int
verb_status(const struct cli *cli)
{
	int status = CLI_DONE;
	json_t *answer = ask(cli, json_pack("{s:s}", "verb", "status"), &status);

	if (answer == NULL)
		return status;
	if (cli->json)
		return cli_print_json(answer, CLI_DONE);
	printf("policy     %s\n", text_of(answer, "policy"));
	if (only_watches(answer))
		printf("mode       permissive: THE GATEWAY ONLY WATCHES: what the policy denies is let through and recorded\n");
	else
		printf("mode       enforce\n");
	printf("sessions   %lld\n", number_of(answer, "sessions"));
	printf("calls      %lld refused, %lld would have been refused but for a permissive mode\n", number_of(answer, "refused_calls"),
	    number_of(answer, "would_refuse_calls"));
	printf("decisions  %lld, of them %lld denied and %lld would-be denied; items of lists and events count too\n",
	    number_of(answer, "decisions"), number_of(answer, "denials"), number_of(answer, "would_denials"));
	printf("outside    %lld changes that were made without the gateway\n", number_of(answer, "outside_changes"));
	printf("audit      %s\n", json_is_true(json_object_get(answer, "audit_healthy")) ? "the trail is written" :
	    "THE TRAIL CANNOT BE WRITTEN: changes are refused");
	json_decref(answer);
	return CLI_DONE;
}

/* Names and URIs are what clients say. */
static void
print_session(json_t *session)
{
	struct buf line = { .data = NULL };
	char from[96];

	(void)snprintf(from, sizeof(from), "%s:%lld", text_of(session, "address"), number_of(session, "port"));
	harmless_column(&line, text_of(session, "id"), 27);
	harmless_column(&line, text_of(session, "user"), 28);
	harmless_column(&line, text_of(session, "address")[0] == '\0' ? "local" : from, 22);
	harmless_column(&line, text_of(session, "via"), 8);
	harmless_column(&line, text_of(session, "state"), 9);
	(void)fwrite(buf_head(&line), 1, buf_len(&line), stdout);
	buf_free(&line);
	printf("%8lld  ", number_of(session, "calls"));
	harmless_put(stdout, text_of(session, "uri"));
	if (json_is_true(json_object_get(session, "readonly")))
		fputs(" (read-only)", stdout);
	if (json_object_get(session, "console") != NULL) {
		fputs(" screen of ", stdout);
		harmless_put(stdout, text_of(session, "console"));
	}
	putchar('\n');
}

int
verb_session_list(const struct cli *cli)
{
	int status = CLI_DONE;
	json_t *answer = ask(cli, json_pack("{s:s}", "verb", "session.list"), &status), *session;
	size_t i;

	if (answer == NULL)
		return status;
	if (cli->json)
		return cli_print_json(answer, CLI_DONE);
	printf("%-26s  %-28s %-22s %-8s %-9s %8s  %s\n", "ID", "USER", "FROM", "VIA", "STATE", "CALLS", "URI");
	json_array_foreach(json_object_get(answer, "sessions"), i, session)
		print_session(session);
	if (only_watches(answer))
		fprintf(stderr, "virtgate: THE GATEWAY ONLY WATCHES: the mode of its policy is permissive\n");
	json_decref(answer);
	return CLI_DONE;
}

int
verb_console_list(const struct cli *cli)
{
	int status = CLI_DONE;
	json_t *answer = ask(cli, json_pack("{s:s}", "verb", "console.list"), &status), *console;
	size_t i;

	if (answer == NULL)
		return status;
	if (cli->json)
		return cli_print_json(answer, CLI_DONE);
	printf("%5s  %7s  %-28s %-36s  %s\n", "PORT", "VIEWERS", "GUEST", "UUID", "URI");
	json_array_foreach(json_object_get(answer, "consoles"), i, console) {
		struct buf name = { .data = NULL };

		harmless_column(&name, text_of(console, "name"), 28);
		printf("%5lld  %7lld  %.*s%-36s  %s\n", number_of(console, "port"), number_of(console, "viewers"), (int)buf_len(&name),
		    (const char *)buf_head(&name), text_of(console, "uuid"), text_of(console, "uri"));
		buf_free(&name);
	}
	json_decref(answer);
	return CLI_DONE;
}

int
verb_session_kill(const struct cli *cli)
{
	const char *user = cli_option(cli, "user", 0);
	const char *id = cli->num_args > 0 ? cli->args[0] : NULL;
	int status = CLI_DONE;
	struct vg_error error;
	json_int_t killed;
	json_t *answer;

	if ((user == NULL) == (id == NULL)) {
		vg_fail(&error, "session kill: expected either one session's ID or --user USER");
		vg_hint(&error, "virtgate session list shows both");
		return cli_fail(&error, CLI_USAGE);
	}
	answer = ask(cli, json_pack("{s:s, s:s}", "verb", "session.kill", id != NULL ? "id" : "user", id != NULL ? id : user), &status);
	if (answer == NULL)
		return status;
	killed = json_integer_value(json_object_get(answer, "killed"));
	if (cli->json)
		return cli_print_json(answer, killed > 0 ? CLI_DONE : CLI_NO);
	json_decref(answer);
	printf("%lld session%s ended\n", (long long)killed, killed == 1 ? "" : "s");
	return killed > 0 ? CLI_DONE : CLI_NO;
}

int
verb_reload(const struct cli *cli)
{
	int status = CLI_DONE;
	json_t *answer = ask(cli, json_pack("{s:s}", "verb", "reload"), &status);

	if (answer == NULL)
		return status;
	if (cli->json)
		return cli_print_json(answer, CLI_DONE);
	json_decref(answer);
	printf("asked; the log and the audit trail say what was taken\n");
	return CLI_DONE;
}
