#include "certs/viewers.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum source { CA, CERT, KEY, NUM_SOURCES };

static const char *const names[NUM_SOURCES] = { [CA] = "cacert.pem", [CERT] = "clientcert.pem", [KEY] = "clientkey.pem" };

/* Below HOME/.pki. virt-viewer and remote-viewer: libvirt; virt-manager: libvirt-vnc. */
static const struct { const char *path; enum source source; } places[] = {
	{ "CA/cacert.pem", CA },
	{ "libvirt/clientcert.pem", CERT }, { "libvirt/private/clientkey.pem", KEY },
	{ "libvirt-vnc/clientcert.pem", CERT }, { "libvirt-vnc/private/clientkey.pem", KEY },
	{ "gvncviewer/clientcert.pem", CERT }, { "gvncviewer/private/clientkey.pem", KEY },
	{ "gvnccapture/clientcert.pem", CERT }, { "gvnccapture/private/clientkey.pem", KEY },
	{ "libvirt/cacert.pem", CA }, { "libvirt/clientkey.pem", KEY },	/* of virsh */
};

struct content {
	char *bytes;
	size_t len;
};

/* As root in somebody else's home, his links would decide what is written where. */
static int
check_home(const char *home, struct vg_error *error)
{
	struct stat st;

	if (stat(home, &st) < 0)
		return vg_fail(error, "%s: %s", home, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return vg_fail(error, "%s is no directory", home);
	if (st.st_uid == geteuid())
		return 0;
	vg_fail(error, "%s belongs to somebody else", home);
	return vg_hint(error, "let that person run it");
}

/* 1: it is there with this content; 0: it is not there. */
static int
is_there(const char *path, const struct content *content, struct vg_error *error)
{
	struct vg_error unread;
	char *bytes;
	size_t len;
	bool same;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (file_read(path, &bytes, &len, &unread) < 0)
		return file_must_not_exist(path, error);
	same = len == content->len && memcmp(bytes, content->bytes, len) == 0;
	file_free(bytes, len);
	return same ? 1 : file_must_not_exist(path, error);
}

/* Makes the directory that `path` is in: nobody else's business. */
static int
make_parent(const char *path, struct vg_error *error)
{
	char dir[PKI_PATH_MAX];
	size_t len = (size_t)(strrchr(path, '/') - path);

	memcpy(dir, path, len);
	dir[len] = '\0';
	return make_dir(dir, 0700, error);
}

static int
stage(struct file_set *set, const char *base, const struct content contents[NUM_SOURCES], struct vg_error *error)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct content *content = &contents[places[i].source];
		char path[PKI_PATH_MAX];
		int there;

		if (path_join(path, base, places[i].path, error) < 0 || (there = is_there(path, content, error)) < 0)
			return -1;
		if (there == 1)
			continue;
		if (make_parent(path, error) < 0 ||
		    file_set_add(set, path, content->bytes, content->len, places[i].source == KEY ? 0600 : 0644, false, error) < 0)
			return -1;
	}
	return 0;
}

int
pki_viewers(const char *from, const char *home, struct pki_result *result, struct vg_error *error)
{
	struct content contents[NUM_SOURCES] = { { NULL, 0 } };
	struct file_set set = { .num = 0 };
	char path[PKI_PATH_MAX], base[PKI_PATH_MAX];
	int r = -1;

	memset(result, 0, sizeof(*result));
	if (check_home(home, error) < 0 || path_join(base, home, ".pki", error) < 0)
		goto out;
	for (size_t i = 0; i < NUM_SOURCES; i++)
		if (path_join(path, from, names[i], error) < 0 || file_read(path, &contents[i].bytes, &contents[i].len, error) < 0)
			goto out;
	if (stage(&set, base, contents, error) < 0 || file_set_publish(&set, error) < 0)
		goto out;
	for (size_t i = 0; i < set.num; i++)
		memcpy(result->files[result->num_files++], set.files[i].path, PKI_PATH_MAX);
	r = 0;
out:
	file_set_clear(&set);
	for (size_t i = 0; i < NUM_SOURCES; i++)
		file_free(contents[i].bytes, contents[i].len);
	return r;
}
