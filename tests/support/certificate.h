#pragma once

namespace conclave::test {

// Made for tests: for localhost and 127.0.0.1, signed by itself, so that it is its own authority,
// and usable by a client too.
inline constexpr char kCertificate[] = R"(-----BEGIN CERTIFICATE-----
MIIBvTCCAWKgAwIBAgIUaR9F322Y0eQGnVJpFlc5nitun3MwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMDEzNDM0MloYDzIxMjYxMDI3
MTM0MzQyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASwDwoaCWaDjRKWslss1SCel4CdgMvz89hqUnLYmWyNA+ZrtrOlLpa/
2OxQ0GKaoh4kDvSCchb2TXLyulWzZq3Ko4GPMIGMMB0GA1UdDgQWBBQn3ztV18/R
LtC0S3yQ/toM/JwFtDAfBgNVHSMEGDAWgBQn3ztV18/RLtC0S3yQ/toM/JwFtDAP
BgNVHRMBAf8EBTADAQH/MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAdBgNV
HSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwCgYIKoZIzj0EAwIDSQAwRgIhAIB6
089Vrvlw1/eUqHXwh7SmXhwawmWkhYK8beaNGO8sAiEA8CSgO5vUso0w8e6ZgPYe
iv80yc1nou/jN3ii+X50QgE=
-----END CERTIFICATE-----
)";
inline constexpr char kPrivateKey[] = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWxAaCNXoZmJAxt9c
P1rMrY7ysVnBjRm26Xsunt83n0ehRANCAASwDwoaCWaDjRKWslss1SCel4CdgMvz
89hqUnLYmWyNA+ZrtrOlLpa/2OxQ0GKaoh4kDvSCchb2TXLyulWzZq3K
-----END PRIVATE KEY-----
)";

}  // namespace conclave::test
