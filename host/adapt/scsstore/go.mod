module github.com/waddle-sessions/waddle/host/adapt/scsstore

go 1.26.0

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/waddle-sessions/waddle v0.1.0
)

require (
	github.com/fxamacker/cbor/v2 v2.10.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/net v0.62.0 // indirect
)

replace github.com/waddle-sessions/waddle => ../../..
