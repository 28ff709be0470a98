module aegis.test/trackrecord/jwtgo3

go 1.26.4

require (
	aegis.test/trackrecord/service v0.0.0
	github.com/dgrijalva/jwt-go v3.2.0+incompatible
	github.com/golang-jwt/jwt/v5 v5.3.1
)

replace aegis.test/trackrecord/service => ../service
