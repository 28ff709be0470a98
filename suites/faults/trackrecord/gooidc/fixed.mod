module aegis.test/trackrecord/gooidc

go 1.26.4

require (
	aegis.test/trackrecord/service v0.0.0
	github.com/coreos/go-oidc v2.5.0+incompatible
	gopkg.in/square/go-jose.v2 v2.6.0
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/pquerna/cachecontrol v0.2.0 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
	gopkg.in/go-jose/go-jose.v2 v2.6.3 // indirect
)

replace aegis.test/trackrecord/service => ../service
