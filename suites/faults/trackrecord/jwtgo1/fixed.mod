module aegis.test/trackrecord/jwtgo1

go 1.26.4

require (
	aegis.test/trackrecord/service v0.0.0
	github.com/dgrijalva/jwt-go v3.2.0+incompatible
)

replace aegis.test/trackrecord/service => ../service
