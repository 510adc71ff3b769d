#include "gateway/core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "gateway/core/harmless.h"

#define LOG_MAX_LINE	4096
#define LOG_SOCKET_JOURNAL	"/run/systemd/journal/socket"
#define LOG_SOCKET_SYSLOG	"/dev/log"

enum output_kind { OUTPUT_STDERR, OUTPUT_FILE, OUTPUT_SYSLOG, OUTPUT_JOURNAL };

struct output {
	enum output_kind kind;
	int level;		/* messages below stay out */
	int fd;
	char tag[32];		/* syslog's program name */
};

static struct output outputs[LOG_MAX_OUTPUTS] = { { .kind = OUTPUT_STDERR, .level = LOG_LEVEL_DEBUG, .fd = STDERR_FILENO } };
static unsigned num_outputs = 1;
static int threshold = LOG_LEVEL_WARN;
static char process_name[32] = "parent";

static const char *const level_names[] = { "", "debug", "info", "warning", "error" };

/* The text in `prefix` with a value behind it, e.g. "file:" in "file:/var/log/x"; NULL when it does not start so. */
static const char *
behind(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 && text[len] != '\0' ? text + len : NULL;
}

/* "LEVEL:KIND[:VALUE]" to an output that is not open yet; `value` is the path or tag. */
static int
output_parse(const char *text, struct output *output, const char **value)
{
	if (text[0] < '1' || text[0] > '4' || text[1] != ':')
		return -1;
	*output = (struct output){ .level = text[0] - '0', .fd = -1 };
	text += 2;
	*value = NULL;
	if (strcmp(text, "stderr") == 0) {
		output->kind = OUTPUT_STDERR;
	} else if (strcmp(text, "journald") == 0) {
		output->kind = OUTPUT_JOURNAL;
	} else if ((*value = behind(text, "file:")) != NULL && (*value)[0] == '/') {
		output->kind = OUTPUT_FILE;
	} else if ((*value = behind(text, "syslog:")) != NULL && strlen(*value) < sizeof(output->tag)) {
		output->kind = OUTPUT_SYSLOG;
		memcpy(output->tag, *value, strlen(*value) + 1);
	} else {
		return -1;
	}
	return 0;
}

int
log_check_output(const char *text)
{
	struct output output;
	const char *value;

	return output_parse(text, &output, &value);
}

static int
connect_datagram(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
output_open(struct output *output, const char *value)
{
	switch (output->kind) {
	case OUTPUT_STDERR:
		output->fd = STDERR_FILENO;
		break;
	case OUTPUT_FILE:
		output->fd = open(value, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
		break;
	case OUTPUT_SYSLOG:
		output->fd = connect_datagram(LOG_SOCKET_SYSLOG);
		break;
	case OUTPUT_JOURNAL:
		output->fd = connect_datagram(LOG_SOCKET_JOURNAL);
		break;
	}
	return output->fd < 0 ? -1 : 0;
}

static void
outputs_close(struct output *list, unsigned num)
{
	for (unsigned i = 0; i < num; i++) {
		if (list[i].kind != OUTPUT_STDERR)
			close(list[i].fd);
	}
}

int
log_setup(int level, const char *const *texts, unsigned num_texts)
{
	static const char *const stderr_only[] = { "1:stderr" };
	struct output fresh[LOG_MAX_OUTPUTS];
	unsigned num = 0;
	const char *value;

	if (texts == NULL || num_texts == 0) {
		texts = stderr_only;
		num_texts = 1;
	}
	if (num_texts > LOG_MAX_OUTPUTS) {
		errno = E2BIG;
		return -1;
	}
	for (; num < num_texts; num++) {
		errno = EINVAL;
		if (output_parse(texts[num], &fresh[num], &value) < 0 || output_open(&fresh[num], value) < 0) {
			int saved = errno;

			outputs_close(fresh, num);
			errno = saved;
			return -1;
		}
	}
	outputs_close(outputs, num_outputs);
	memcpy(outputs, fresh, num * sizeof(fresh[0]));
	num_outputs = num;
	threshold = level;
	return 0;
}

void
log_set_level(int level)
{
	threshold = level;
}

unsigned
log_descriptors(int fds[LOG_MAX_OUTPUTS])
{
	for (unsigned i = 0; i < num_outputs; i++)
		fds[i] = outputs[i].fd;
	return num_outputs;
}

void
log_set_process(const char *name)
{
	(void)snprintf(process_name, sizeof(process_name), "%s", name);
}

static int
log_enabled(enum log_level level)
{
	return (int)level >= threshold;
}

/* Copies harmlessly: what could move a terminal or end a line as \xHH. Cuts at `size`. */
static void
escape(char *out, size_t size, const char *text)
{
	char shown[HARMLESS_SHOWN];
	size_t len = 0;

	while (*text != '\0' && len + sizeof(shown) <= size) {
		text += harmless_show(text, shown);
		memcpy(out + len, shown, strlen(shown));
		len += strlen(shown);
	}
	out[len] = '\0';
}

static size_t
stamp(char *out, size_t size)
{
	struct timespec now;
	struct tm parts;
	size_t len;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0 || gmtime_r(&now.tv_sec, &parts) == NULL)
		return 0;
	len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &parts);
	return len + (size_t)snprintf(out + len, size - len, ".%03dZ ", (int)(now.tv_nsec / 1000000));
}

/* One write a line: O_APPEND and datagrams keep lines of several processes whole. A full disk or reader loses lines, never the daemon. */
static void
output_line(const struct output *output, enum log_level level, const char *text)
{
	static const int priorities[] = { 7, 7, 6, 4, 3 };
	char line[LOG_MAX_LINE + 128];
	size_t len = 0;
	ssize_t ignored;

	switch (output->kind) {
	case OUTPUT_STDERR:
	case OUTPUT_FILE:
		len = stamp(line, sizeof(line));
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s[%d] %s: %s\n", process_name, (int)getpid(),
		    level_names[level], text);
		break;
	case OUTPUT_SYSLOG:
		len = (size_t)snprintf(line, sizeof(line), "<%d>%s[%d]: %s: %s: %s", 3 << 3 | priorities[level],
		    output->tag, (int)getpid(), process_name, level_names[level], text);
		break;
	case OUTPUT_JOURNAL:
		len = (size_t)snprintf(line, sizeof(line), "PRIORITY=%d\nSYSLOG_IDENTIFIER=virtgated\nMESSAGE=%s: %s\n",
		    priorities[level], process_name, text);
		break;
	}
	ignored = write(output->fd, line, len < sizeof(line) ? len : sizeof(line) - 1);
	(void)ignored;
}

__attribute__((format(printf, 2, 0)))
static void
log_args(enum log_level level, const char *format, va_list args)
{
	char text[LOG_MAX_LINE / 4], line[LOG_MAX_LINE];
	int saved = errno;

	if (!log_enabled(level))
		return;
	(void)vsnprintf(text, sizeof(text), format, args);
	escape(line, sizeof(line), text);
	for (unsigned i = 0; i < num_outputs; i++) {
		if ((int)level >= outputs[i].level)
			output_line(&outputs[i], level, line);
	}
	errno = saved;
}

void
log_debug(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_args(LOG_LEVEL_DEBUG, format, args);
	va_end(args);
}

void
log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_args(LOG_LEVEL_INFO, format, args);
	va_end(args);
}

void
log_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_args(LOG_LEVEL_WARN, format, args);
	va_end(args);
}

void
log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_args(LOG_LEVEL_ERROR, format, args);
	va_end(args);
}

void
log_fatal(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_args(LOG_LEVEL_ERROR, format, args);
	va_end(args);
	_exit(1);
}
