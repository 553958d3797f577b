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

typedef int resolver(
    const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(
    const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  size_t suffix = strlen(CELLMAP_SLOW_NAME_SUFFIX);
  if (name && strlen(name) > suffix &&
      strcmp(name + strlen(name) - suffix, CELLMAP_SLOW_NAME_SUFFIX) == 0) {
    resolving++;
    sleep(CELLMAP_SLOW_NAME_SECONDS);
    resolving--;
    return EAI_AGAIN;
  }
  resolver *real = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
  return real ? real(name, service, hints, found) : EAI_SYSTEM;
}
