// SHA-256 of OpenSSL's libcrypto, by the functions that need no context on the heap: deprecated since
// 3.0 in favour of EVP's, which cost a third more for an entry.
#ifndef CELLMAP_COPENSSL_SHIM_H
#define CELLMAP_COPENSSL_SHIM_H

#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/sha.h>
#include <stddef.h>

// Writes the 32 bytes of SHA-256(bytes) to `digest`.
static inline void cellmap_sha256(const void *bytes, size_t count, void *digest) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes, count);
  SHA256_Final((unsigned char *)digest, &context);
}

// Writes the 32 bytes of SHA-256(prefix || bytes) to `digest`.
static inline void cellmap_sha256_behind(
    unsigned char prefix, const void *bytes, size_t count, void *digest) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, &prefix, 1);
  SHA256_Update(&context, bytes, count);
  SHA256_Final((unsigned char *)digest, &context);
}

#endif
