/* password.c: see password.h. */
#include "gateway/cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>

enum { KEY_INTERRUPT = 3, KEY_END = 4, KEY_BACKSPACE = 8, KEY_KILL = 21, KEY_DELETE = 127 };

bool
password_can_ask(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return false;
	(void)close(fd);
	return isatty(STDIN_FILENO) == 1;
}

static void
say(int tty, const char *text)
{
	/* A prompt that cannot be written is no reason to stop: the answer will be asked for twice. */
	ssize_t n = write(tty, text, strlen(text));

	(void)n;
}

/* One line in raw mode: the terminal sends no signals meanwhile, so that it is always put back. */
static int
read_line(int tty, char *line, size_t size, struct vg_error *error)
{
	size_t len = 0;
	char c;

	for (;;) {
		ssize_t n = read(tty, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == KEY_INTERRUPT || c == KEY_END)
			return vg_fail(error, "no password given");
		if (c == '\n' || c == '\r')
			break;
		if (c == KEY_KILL)
			len = 0;
		else if ((c == KEY_BACKSPACE || c == KEY_DELETE) && len > 0)
			len--;
		else if ((unsigned char)c >= 0x20 && c != KEY_DELETE && len + 1 < size)
			line[len++] = c;
		else if (len + 1 >= size)
			return vg_fail(error, "the password is longer than %zu bytes", size - 1);
	}
	line[len] = '\0';
	return 0;
}

int
password_ask(const char *prompt, char *password, size_t size, struct vg_error *error)
{
	char again[PASSWORD_MAX];
	struct termios before, raw;
	sigset_t ends, old;
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int result = -1;

	if (tty < 0 || tcgetattr(tty, &before) < 0) {
		if (tty >= 0)
			(void)close(tty);
		return vg_fail(error, "no terminal to ask for the password");
	}
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &ends, &old);
	if (tcsetattr(tty, TCSAFLUSH, &raw) < 0) {
		vg_fail(error, "cannot switch off the echo of the terminal");
		goto out;
	}
	say(tty, prompt);
	say(tty, ": ");
	result = read_line(tty, password, size, error);
	say(tty, "\n");
	if (result == 0 && password[0] != '\0') {
		say(tty, "The same again: ");
		result = read_line(tty, again, sizeof(again), error);
		say(tty, "\n");
		if (result == 0 && strcmp(password, again) != 0)
			result = vg_fail(error, "the two passwords differ");
	}
	(void)tcsetattr(tty, TCSAFLUSH, &before);
out:
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	(void)close(tty);
	OPENSSL_cleanse(again, sizeof(again));
	return result;
}

int
password_from_file(const char *path, char *password, size_t size, struct vg_error *error)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	size_t len;
	bool got;

	if (in == NULL)
		return vg_fail(error, "%s: cannot read the password: %s", path, strerror(errno));
	(void)setvbuf(in, NULL, _IONBF, 0);
	got = fgets(password, (int)size, in) != NULL;
	if (!is_stdin)
		(void)fclose(in);
	if (!got)
		return vg_fail(error, "%s: no password in it", path);
	len = strcspn(password, "\r\n");
	if (len + 1 == size)
		return vg_fail(error, "%s: the password is longer than %zu bytes", path, size - 2);
	password[len] = '\0';
	return 0;
}
