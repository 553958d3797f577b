// PostgreSQL's client library: its own header, and nothing else.
#ifndef CELLMAP_CPOSTGRESQL_SHIM_H
#define CELLMAP_CPOSTGRESQL_SHIM_H

#include <libpq-fe.h>

#endif
