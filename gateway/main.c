/*
 * virtgated: the daemon. Reads the command line, goes into the background when asked to, and leaves the rest to the
 * parent (gateway/parent).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/parent/check.h"
#include "gateway/parent/parent.h"

static const char usage[] =
    "Usage: virtgated [--config FILE] [--check-config | --foreground]\n"
    "  -f, --config FILE   settings (default " SYSCONFDIR "/virtgate/virtgated.conf)\n"
    "      --check-config  check settings, certificates, policy and directories, and exit\n"
    "      --foreground    stay in the foreground and print READY when every listener is ready\n"
    "      --version       print the version and exit\n"
    "  -h, --help          print this and exit\n";

/* A path that still means the same after chdir("/"). NULL when memory is out. */
static char *
absolute(const char *file)
{
	char *here, *path = NULL;

	if (file[0] == '/')
		return strdup(file);
	here = getcwd(NULL, 0);
	if (here == NULL || asprintf(&path, "%s/%s", here, file) < 0)
		path = NULL;
	free(here);
	return path;
}

/* Waits for what the daemon says: one 'R' when it is ready, else why it is not. Returns the exit code. */
static int
wait_for_daemon(int fd)
{
	char text[1024];
	size_t len = 0;

	while (len < sizeof(text) - 1) {
		ssize_t got = read(fd, text + len, sizeof(text) - 1 - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	text[len] = '\0';
	if (strcmp(text, "R") == 0)
		return EXIT_SUCCESS;
	(void)fprintf(stderr, "virtgated: %s\n", len > 0 ? text : "ended before it was ready; see the log");
	return EXIT_FAILURE;
}

/* Returns in the daemon, with the descriptor to tell on; the process that people started ends in here. */
static int
daemonize(void)
{
	int fds[2], null;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		perror("virtgated: cannot go into the background");
		exit(EXIT_FAILURE);
	}
	if (pid > 0) {
		close(fds[1]);
		exit(wait_for_daemon(fds[0]));
	}
	close(fds[0]);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (setsid() < 0 || chdir("/") < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		exit(EXIT_FAILURE);
	return fds[1];
}

static int
run(const char *file, bool foreground)
{
	char *path = absolute(file);
	struct vg_error error = { .what = "", .hint = "" };
	struct settings *settings;

	if (path == NULL) {
		perror("virtgated");
		return EXIT_FAILURE;
	}
	settings = settings_load(path, &error);
	free(path);
	if (settings == NULL) {
		(void)fprintf(stderr, "virtgated: %s\n", error.what);
		if (error.hint[0] != '\0')
			(void)fprintf(stderr, "  hint: %s\n", error.hint);
		return EXIT_FAILURE;
	}
	return parent_run(settings, foreground, foreground ? -1 : daemonize());
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'f' },
		{ "check-config", no_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'F' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *file = SYSCONFDIR "/virtgate/virtgated.conf";
	bool check = false, foreground = false;

	for (int option; (option = getopt_long(argc, argv, "f:h", options, NULL)) != -1;) {
		switch (option) {
		case 'f':
			file = optarg;
			break;
		case 'c':
			check = true;
			break;
		case 'F':
			foreground = true;
			break;
		case 'V':
			(void)puts("virtgated " VERSION);
			return EXIT_SUCCESS;
		case 'h':
			(void)fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			(void)fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc || (check && foreground)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	return check ? check_config(file) : run(file, foreground);
}
