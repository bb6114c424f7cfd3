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
// Of another authority, whose key nobody has.
inline constexpr char kOtherCertificate[] = R"(-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUe3omR1J9Db4Ds8MqVVadAOtKo5kwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTE4NTUxN1oYDzIxMjYxMTA1
MTg1NTE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARj2mHhMzW2JfoJVvXBiLkFsvmoQXxbzgpbJuUwqfWz+S9XQTldDoDG
XIVcw9cRVcHUdfal+AEzXQ9havREjMLmo28wbTAdBgNVHQ4EFgQUuOzLPZ1PSdvP
nPAFBZrOOL36QiswHwYDVR0jBBgwFoAUuOzLPZ1PSdvPnPAFBZrOOL36QiswDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAKb1JCmmRc53RdCtUNb5x/HO20oi2Uh95v/otsNlPkf1AiEA
z/ENKqfAbk7zfd32sQPoy9nJtRV9nE31LsjHkAzGZZw=
-----END CERTIFICATE-----
)";

}  // namespace conclave::test
