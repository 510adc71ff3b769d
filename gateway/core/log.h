/*
 * log.h: the daemon's diagnostic log (not the audit trail). One line a call, no trailing newline needed; control bytes
 * are escaped, so a peer's text cannot forge a line. errno is preserved.
 * Levels and outputs are libvirtd's: log_level 1 debug .. 4 error; log_outputs "3:stderr", "1:file:/path", "3:syslog:virtgated".
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

enum log_level { LOG_LEVEL_DEBUG = 1, LOG_LEVEL_INFO = 2, LOG_LEVEL_WARN = 3, LOG_LEVEL_ERROR = 4 };

/* `outputs` as the setting has it, NULL for stderr. -1 with errno when an output cannot be opened; the old ones stay. */
int log_setup(int level, const char *const *outputs, unsigned num_outputs);
void log_set_level(int level);
/* 0 when `text` is an output as log_outputs has it: "LEVEL:stderr", ":journald", ":file:/PATH" or ":syslog:NAME". */
int log_check_output(const char *text);
/* The descriptors that a forked process must keep open to go on logging; returns how many. */
#define LOG_MAX_OUTPUTS 8
unsigned log_descriptors(int fds[LOG_MAX_OUTPUTS]);
/* "front/0", "gate": stands in front of each line. Copied. */
void log_set_process(const char *name);

__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warn(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
/* As log_error, then _exit(1): for what cannot go on. */
__attribute__((format(printf, 1, 2), noreturn)) void log_fatal(const char *format, ...);

#endif
