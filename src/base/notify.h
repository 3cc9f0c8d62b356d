/* Telling the service manager how far this process is, as sd_notify(3). */
#ifndef MD_BASE_NOTIFY_H
#define MD_BASE_NOTIFY_H

typedef struct md_notify {
    int fd; /* -1: nobody wants to know */
} md_notify;

/* Connect to NOTIFY_SOCKET and take it from the environment, so that no child
 * tells anything.  A manager that cannot be reached is one that is not there. */
void md_notify_open(md_notify *n);

/* "READY=1", "STOPPING=1", ...; also from a signal handler. */
void md_notify_tell(const md_notify *n, const char *state);

void md_notify_close(md_notify *n);

#endif
