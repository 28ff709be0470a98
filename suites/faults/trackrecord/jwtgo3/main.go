// jwtgo3 verifies with github.com/dgrijalva/jwt-go 3.2.0, which takes an aud that is an
// array for none (CVE-2020-26160), and an exp that is no number for none too.
package main

import "aegis.test/trackrecord/service"

func main() { service.Main(verifier) }
