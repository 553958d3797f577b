// SHA-256 and HMAC of OpenSSL's libcrypto, by the functions that need no context on the heap: deprecated since
// 3.0 in favour of EVP's, which cost a third more for an entry.
#ifndef CELLMAP_COPENSSL_SHIM_H
#define CELLMAP_COPENSSL_SHIM_H

#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/crypto.h>
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

// A key of HMAC-SHA-256 (RFC 2104): what SHA-256 has come to behind the inner pad, and the outer one.
typedef struct {
  SHA256_CTX inner, outer;
} cellmap_hmac_key;

// Takes a key of at most 64 bytes in.
static inline void cellmap_hmac_take_key(
    cellmap_hmac_key *hmac, const unsigned char *key, size_t count) {
  unsigned char inner[SHA256_CBLOCK], outer[SHA256_CBLOCK];
  for (size_t place = 0; place < SHA256_CBLOCK; place++) {
    unsigned char byte = place < count ? key[place] : 0;
    inner[place] = byte ^ 0x36;
    outer[place] = byte ^ 0x5c;
  }
  SHA256_Init(&hmac->inner);
  SHA256_Update(&hmac->inner, inner, sizeof inner);
  SHA256_Init(&hmac->outer);
  SHA256_Update(&hmac->outer, outer, sizeof outer);
  OPENSSL_cleanse(inner, sizeof inner);
  OPENSSL_cleanse(outer, sizeof outer);
}

// Writes the 32 bytes of HMAC-SHA-256(key, bytes) to `digest`.
static inline void cellmap_hmac(
    const cellmap_hmac_key *hmac, const void *bytes, size_t count, void *digest) {
  unsigned char inner[SHA256_DIGEST_LENGTH];
  SHA256_CTX context = hmac->inner;
  SHA256_Update(&context, bytes, count);
  SHA256_Final(inner, &context);
  context = hmac->outer;
  SHA256_Update(&context, inner, sizeof inner);
  SHA256_Final((unsigned char *)digest, &context);
  OPENSSL_cleanse(&context, sizeof context);
}

static inline void cellmap_hmac_wipe(cellmap_hmac_key *hmac) { OPENSSL_cleanse(hmac, sizeof *hmac); }

#endif
