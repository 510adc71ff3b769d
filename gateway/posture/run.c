/*
 * run.c: the table of checks, and what becomes of one: asked when what it needs was seen, skipped with the reason when not.
 */
#include <stdarg.h>
#include <string.h>

#include "gateway/posture/checks.h"

/* What the GUEST rows ask for; beside the table of checks, found by the id. */
static const struct guest_row {
	const char *id;
	enum posture_level level;
	const char *xpath, *bad;
} guest_rows[] = {
#define CHECK(id, srg, needs, function, title, hint, fix)
#define GUEST(id, srg, level, xpath, title, bad, hint) { id, level, xpath, bad },
#include "gateway/posture/checks.def"
#undef CHECK
#undef GUEST
};

static void
check_guest_row(const struct posture_host *host, struct posture_result *result)
{
	for (size_t row = 0; row < sizeof(guest_rows) / sizeof(guest_rows[0]); row++) {
		if (strcmp(guest_rows[row].id, result->check->id) != 0)
			continue;
		for (size_t i = 0; i < host->num_guests; i++) {
			if (posture_guest_count(&host->guests[i], guest_rows[row].xpath) == 0)
				continue;
			posture_say(result, guest_rows[row].level, "%s", guest_rows[row].bad);
			posture_name(result, "%s", host->guests[i].name);
		}
	}
}

static const struct posture_check checks[] = {
#define CHECK(id_, srg_, needs_, function_, title_, hint_, fix_) { .id = id_, .srg = srg_, .needs = needs_, .look = function_, .title = title_, \
	.hint = hint_, .fix = fix_ },
#define GUEST(id_, srg_, level_, xpath_, title_, bad_, hint_) { .id = id_, .srg = srg_, .needs = POSTURE_NEEDS_GUESTS, .look = check_guest_row, \
	.title = title_, .hint = hint_, .fix = "" },
#include "gateway/posture/checks.def"
#undef CHECK
#undef GUEST
};

const struct posture_check *
posture_check(size_t index)
{
	return index < sizeof(checks) / sizeof(checks[0]) ? &checks[index] : NULL;
}

const char *
posture_level_name(enum posture_level level)
{
	static const char *const names[POSTURE_NUM_LEVELS] = { "PASS", "SKIP", "WARN", "FAIL" };

	return (unsigned)level < POSTURE_NUM_LEVELS ? names[level] : "?";
}

void
posture_say(struct posture_result *result, enum posture_level level, const char *format, ...)
{
	va_list args;

	if (result->what[0] != '\0' && level <= result->level)
		return;
	result->level = level;
	va_start(args, format);
	(void)vsnprintf(result->what, sizeof(result->what), format, args);
	va_end(args);
}

void
posture_name(struct posture_result *result, const char *format, ...)
{
	size_t index = result->num_names++;
	va_list args;

	if (index >= POSTURE_MAX_NAMES)
		return;
	va_start(args, format);
	(void)vsnprintf(result->names[index], sizeof(result->names[index]), format, args);
	va_end(args);
}

bool
posture_quotable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f || *text == '\'')
			return false;
	return true;
}

void
posture_fix(struct posture_result *result, const char *format, ...)
{
	size_t used = strlen(result->fix), room;
	va_list args;
	int len;

	if (used > 0 && used + 2 < sizeof(result->fix))
		result->fix[used++] = '\n';
	room = sizeof(result->fix) - used;
	va_start(args, format);
	len = vsnprintf(result->fix + used, room, format, args);
	va_end(args);
	/* Half a command is worse than none. */
	if (len < 0 || (size_t)len >= room)
		result->fix[used > 0 ? used - 1 : 0] = '\0';
}

/* NULL, or why the check cannot be asked. */
static const char *
unseen(const struct posture_host *host, unsigned needs)
{
	if ((needs & POSTURE_NEEDS_GATEWAY) != 0 && host->settings == NULL)
		return host->settings_unseen;
	if ((needs & POSTURE_NEEDS_LIBVIRTD) != 0 && host->libvirtd.state == CONF_UNSEEN)
		return host->libvirtd.unseen;
	if ((needs & POSTURE_NEEDS_QEMU) != 0 && host->qemu.state == CONF_UNSEEN)
		return host->qemu.unseen;
	if ((needs & POSTURE_NEEDS_PROC) != 0 && host->proc_unseen[0] != '\0')
		return host->proc_unseen;
	return NULL;
}

void
posture_look(const struct posture_host *host, const struct posture_check *check, struct posture_result *result)
{
	const char *why = unseen(host, check->needs);

	*result = (struct posture_result){ .check = check };
	if (why != NULL) {
		posture_say(result, POSTURE_SKIP, "could not see: %s", why);
		return;
	}
	check->look(host, result);
	/* Of the guests that were seen all may be well. */
	if (result->level == POSTURE_PASS && (check->needs & POSTURE_NEEDS_GUESTS) != 0 && host->guests_unseen[0] != '\0')
		posture_say(result, POSTURE_SKIP, "could not see: %s", host->guests_unseen);
	else if (result->what[0] == '\0' && (check->needs & POSTURE_NEEDS_GUESTS) != 0 && host->num_guests == 0)
		posture_say(result, POSTURE_PASS, "no guest runs");
	if (result->what[0] == '\0')
		posture_say(result, POSTURE_PASS, "%s", check->title);
}
