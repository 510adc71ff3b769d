/*
 * ids.h: operation and session ids: ULIDs (48 bits of milliseconds, 80 random bits, Crockford base 32). They sort by
 * time within one process, do not repeat across restarts, and tell nothing.
 */
#ifndef CORE_IDS_H
#define CORE_IDS_H

#define ID_LEN 26

/* Fills `id` with ID_LEN characters and a terminator. Aborts when the system has no randomness. */
void id_make(char id[ID_LEN + 1]);

#endif
