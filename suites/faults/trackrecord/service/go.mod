module aegis.test/trackrecord/service

go 1.26.4
