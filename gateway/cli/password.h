/*
 * password.h: passwords from people and files; never from the command line, where every local user can read them.
 */
#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "virtgate/result.h"

#define PASSWORD_MAX 256	/* with terminator */

/* Is there a terminal to ask on? */
bool password_can_ask(void);

/* Asks twice, without echo, on the terminal. An empty answer is taken at once. */
int password_ask(const char *prompt, char *password, size_t size, struct vg_error *error);

/* The first line of a file, or of standard input for "-". */
int password_from_file(const char *path, char *password, size_t size, struct vg_error *error);

#endif
