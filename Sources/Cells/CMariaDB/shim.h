// MariaDB Connector/C: its own header, and nothing else.
#ifndef CELLMAP_CMARIADB_SHIM_H
#define CELLMAP_CMARIADB_SHIM_H

// mysql.h includes <sys/types.h>, which defines timespec a second time beside Glibc's; here it is only
// declared.
#define _STRUCT_TIMESPEC 1
struct timespec;

#include <mysql.h>

#endif
