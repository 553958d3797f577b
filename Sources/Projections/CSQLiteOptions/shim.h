// What Swift can't import from sqlite3.h: a function with a variable argument list.
// The declaration is repeated instead of included, so that GRDBSQLite stays the one module
// that brings sqlite3.h in.
#ifndef CELLMAP_CSQLITE_OPTIONS_H
#define CELLMAP_CSQLITE_OPTIONS_H

struct sqlite3;
extern int sqlite3_db_config(struct sqlite3 *, int operation, ...);

/// Sets one on/off option of a connection (`SQLITE_DBCONFIG_…`); returns the result code.
static inline int cellmap_sqlite3_set_option(void *connection, int option, int on) {
  return sqlite3_db_config((struct sqlite3 *)connection, option, on, (int *)0);
}

#endif
