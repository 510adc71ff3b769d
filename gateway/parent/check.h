/*
 * check.h: virtgated --check-config.
 */
#ifndef PARENT_CHECK_H
#define PARENT_CHECK_H

/* Does everything that a start would do but listen, prints every problem it finds, and returns the exit code. */
int check_config(const char *file);

#endif
