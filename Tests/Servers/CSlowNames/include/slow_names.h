/// Names that end like this take so long to resolve, as those of a dead name server do.
#define CELLMAP_SLOW_NAME_SUFFIX ".slow.invalid"
#define CELLMAP_SLOW_NAME_SECONDS 8

/// How many names like that are being resolved now.
int cellmap_slow_names(void);
