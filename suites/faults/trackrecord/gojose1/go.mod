module aegis.test/trackrecord/gojose1

go 1.26.4

require (
	aegis.test/trackrecord/service v0.0.0
	github.com/go-jose/go-jose/v4 v4.1.4
	gopkg.in/square/go-jose.v1 v1.0.3
)

replace aegis.test/trackrecord/service => ../service
