module github.com/waddle-sessions/waddle/host/adapt/echosession

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/labstack/echo/v5 v5.4.6
	github.com/stretchr/testify v1.12.1
	github.com/waddle-sessions/waddle v0.1.0
	github.com/waddle-sessions/waddle/host/adapt/adapttest v0.1.0
	go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.72.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/felixge/httpsnoop v1.1.0 // indirect
	github.com/fxamacker/cbor/v2 v2.10.0 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/tetratelabs/wazero v1.12.0 // indirect
	github.com/waddle-sessions/waddle/host/otel v0.1.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.47.0 // indirect
	go.opentelemetry.io/otel/log v1.47.0 // indirect
	go.opentelemetry.io/otel/metric v1.47.0 // indirect
	go.opentelemetry.io/otel/sdk v1.47.0 // indirect
	go.opentelemetry.io/otel/trace v1.47.0 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace (
	github.com/waddle-sessions/waddle => ../../..
	github.com/waddle-sessions/waddle/host/adapt/adapttest => ../adapttest
	github.com/waddle-sessions/waddle/host/otel => ../../otel
)
