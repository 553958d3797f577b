// LMDB's own header, the constants of <fcntl.h> that need _GNU_SOURCE, and <sys/statfs.h>, which
// Swift's Glibc leaves out.
#ifndef CELLMAP_CLMDB_SHIM_H
#define CELLMAP_CLMDB_SHIM_H

// lmdb.h includes <sys/types.h>, which defines timespec a second time beside Glibc's: then it depends
// on which files are compiled together whose member tv_sec is. Here the structure is only declared.
#define _STRUCT_TIMESPEC 1
struct timespec;

#include <lmdb.h>
#include <sys/statfs.h>

// Open-file-description locks (fcntl(2), "Open file description locks").
static const int CLMDB_F_OFD_GETLK = 36;
static const int CLMDB_F_OFD_SETLK = 37;

#endif
