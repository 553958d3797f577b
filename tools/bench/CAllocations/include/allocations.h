// Counts the allocations of the whole process, for `bench`.
#ifndef CELLMAP_ALLOCATIONS_H
#define CELLMAP_ALLOCATIONS_H

/// How often malloc, calloc, realloc and their aligned kin have been called so far.
unsigned long cellmap_allocation_count(void);

#endif
