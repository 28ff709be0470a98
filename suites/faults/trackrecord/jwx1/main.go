// jwx1 verifies with github.com/lestrrat-go/jwx, whose jwt.Parse verifies the signature and
// looks at no date unless it is asked to; since version 2 it does unless it is asked not to.
package main

import "aegis.test/trackrecord/service"

func main() { service.Main(verifier) }
