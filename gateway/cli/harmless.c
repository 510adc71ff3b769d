#include "gateway/cli/harmless.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/harmless.h"

size_t
harmless_add(struct buf *out, const char *text, bool newlines)
{
	size_t width = 0;

	for (size_t len; *text != '\0'; text += len) {
		char shown[HARMLESS_SHOWN];

		len = newlines && *text == '\n' ? 1 : harmless_plain(text);
		if (len > 0) {
			(void)buf_add(out, text, len);
			width += len;
			continue;
		}
		len = harmless_show(text, shown);
		(void)buf_add(out, shown, strlen(shown));
		width += shown[0] == '\\' ? strlen(shown) : 1;
	}
	return width;
}

void
harmless_text(FILE *out, const char *text, bool newlines)
{
	struct buf buf = { .data = NULL };

	(void)harmless_add(&buf, text, newlines);
	(void)fwrite(buf_head(&buf), 1, buf_len(&buf), out);
	buf_free(&buf);
}

void
harmless_put(FILE *out, const char *text)
{
	harmless_text(out, text, false);
}

void
harmless_line(FILE *out, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	harmless_put(out, text != NULL ? text : "out of memory");
	putc('\n', out);
	free(text);
}

void
harmless_column(struct buf *out, const char *text, size_t width)
{
	static const char blanks[] = "                                        ";
	size_t is = harmless_add(out, *text != '\0' ? text : "-", false), pad = is < width ? width - is + 1 : 1;

	(void)buf_add(out, blanks, pad < sizeof(blanks) ? pad : sizeof(blanks) - 1);
}
