module github.com/waddle-sessions/waddle/guest/engines/postgres

go 1.26.0

require github.com/jackc/pgx/v5 v5.13.0

require (
	github.com/stretchr/testify v1.12.1
	github.com/waddle-sessions/waddle v0.1.0
)

require go.yaml.in/yaml/v3 v3.0.6 // indirect

replace github.com/waddle-sessions/waddle => ../../..
