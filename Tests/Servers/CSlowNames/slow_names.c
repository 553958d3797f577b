// Takes the place of the system's resolver in the tests' process, for the client libraries too, which
// find it there first. There is no other way to a resolver that hangs: glibc reads its name servers
// from files of the system alone.
#define _GNU_SOURCE
#include "slow_names.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static atomic_int resolving;

int cellmap_slow_names(void) { return resolving; }

static int ends(const char *name, const char *suffix) {
  size_t length = strlen(name), end = strlen(suffix);
  return length > end && strcmp(name + length - end, suffix) == 0;
}

typedef int resolver(
    const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(
    const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  if (name && ends(name, CELLMAP_SLOW_NAME_SUFFIX)) {
    resolving++;
    sleep(CELLMAP_SLOW_NAME_SECONDS);
    resolving--;
    return EAI_AGAIN;
  }
  if (name && ends(name, CELLMAP_SLOWER_NAME_SUFFIX)) {
    sleep(CELLMAP_SLOWER_NAME_SECONDS);
    return EAI_AGAIN;
  }
  resolver *real = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
  return real ? real(name, service, hints, found) : EAI_SYSTEM;
}
