module github.com/waddle-sessions/waddle/host/adapt/gorillastore

go 1.26.0

require (
	github.com/gorilla/securecookie v1.1.2
	github.com/gorilla/sessions v1.4.0
	github.com/stretchr/testify v1.12.1
	github.com/waddle-sessions/waddle v0.1.0
)

require (
	github.com/fxamacker/cbor/v2 v2.10.0 // indirect
	github.com/tetratelabs/wazero v1.12.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)

replace github.com/waddle-sessions/waddle => ../../..
