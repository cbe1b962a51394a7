#include "gyre/client/NameResolver.h"

namespace gyre {

NameResolver::~NameResolver() = default;

}  // namespace gyre
