/*
 * files.h: where the files of a PKI lie (libvirt's names), and writing several of them as one step.
 *
 * Every file is written under a temporary name with its final mode from the first byte, synced, and only then given
 * its name. A file that exists is never overwritten, unless it was added as one that is kept up to date (CRL, index).
 */
#ifndef CERTS_FILES_H
#define CERTS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "virtgate/result.h"

#define PKI_DEFAULT_DIR "/etc/pki"
#define PKI_PATH_MAX 1024
#define PKI_FILE_MAX_BYTES (16 * 1024 * 1024)

enum pki_file {
	PKI_CA_CERT,		/* CA/cacert.pem */
	PKI_CA_KEY,		/* CA/private/cakey.pem */
	PKI_CRL,		/* CA/cacrl.pem: where libvirt looks when no crl_file is set */
	PKI_INDEX,		/* CA/issued.jsonl: what this CA has issued */
	PKI_LOCK,		/* CA/private/.virtgate-pki.lock */
	PKI_SERVER_CERT,	/* libvirt/servercert.pem */
	PKI_SERVER_KEY,		/* libvirt/private/serverkey.pem */
	PKI_CLIENT_CERT,	/* libvirt/clientcert.pem: this host as a client */
	PKI_CLIENT_KEY,		/* libvirt/private/clientkey.pem */
	PKI_CLIENTS,		/* clients/: a directory per client, ready for ?pkipath= */
	PKI_NUM_FILES
};

struct pki_tree {
	char path[PKI_NUM_FILES][PKI_PATH_MAX];
};

/* Fills in the paths below `dir` (NULL: /etc/pki). Touches no file. */
int pki_tree_init(struct pki_tree *tree, const char *dir, struct vg_error *error);

/* Joins `dir`, '/' and `name` into a path of PKI_PATH_MAX bytes. */
int path_join(char path[PKI_PATH_MAX], const char *dir, const char *name, struct vg_error *error);

/* Makes `dir` and what is missing above it (above: 0755). A directory that exists is left as it is. */
int make_dir(const char *dir, mode_t mode, struct vg_error *error);

/* Waits for and takes the lock of the tree; its directories must exist. Answers a descriptor: close() unlocks. */
int pki_lock(const struct pki_tree *tree, struct vg_error *error);

/* Reads a whole regular file into fresh memory with a terminator behind it. Free with file_free. */
int file_read(const char *path, char **bytes, size_t *len, struct vg_error *error);

/* Wipes and frees. */
void file_free(char *bytes, size_t len);

/* Fails when `path` exists, with a hint how to go on. */
int file_must_not_exist(const char *path, struct vg_error *error);

#define FILE_SET_MAX 12

struct file_set {
	struct staged_file {
		char path[PKI_PATH_MAX];
		char temp[PKI_PATH_MAX];
		bool replace, published;
	} files[FILE_SET_MAX];
	size_t num;
};

/* Writes the bytes, synced, under a temporary name beside `path`; its directory must exist. */
int file_set_add(struct file_set *set, const char *path, const void *bytes, size_t len, mode_t mode, bool replace,
    struct vg_error *error);

/* Gives all files their names, in the order in which they were added. On failure new files are taken back. */
int file_set_publish(struct file_set *set, struct vg_error *error);

/* Removes what was not published. */
void file_set_clear(struct file_set *set);

#endif
