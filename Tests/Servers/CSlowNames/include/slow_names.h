/// Names that end like this take so long to resolve, as those of a dead name server do.
#define CELLMAP_SLOW_NAME_SUFFIX ".slow.invalid"
#define CELLMAP_SLOW_NAME_SECONDS 8

/// Names that end like this take longer, and aren't counted.
#define CELLMAP_SLOWER_NAME_SUFFIX ".slower.invalid"
#define CELLMAP_SLOWER_NAME_SECONDS 30

/// How many slow names are being resolved now.
int cellmap_slow_names(void);
