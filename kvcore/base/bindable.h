#pragma once

#include "conclave/base/url.h"

namespace conclave {

// Why this machine would not let a server listen there: 0, or the errno (EADDRINUSE, EACCES,
// EADDRNOTAVAIL). For servers whose library does not say.
//
// Caveats: it binds and lets go again, so another process may still come first. Blocks while the
// system resolves a name, if the host is one.
int why_not_bindable(const Url& url);

}  // namespace conclave
