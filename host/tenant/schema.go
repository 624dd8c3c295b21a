package tenant

import (
	"bytes"
	_ "embed"
)

//go:embed schema.json
var schema []byte

// SchemaURL is where the schema of manifests is published, for a manifest's "$schema".
const SchemaURL = "https://raw.githubusercontent.com/waddle-sessions/waddle/main/host/tenant/schema.json"

// Schema returns the JSON Schema of manifests, of draft 2020-12, for editors and checks
// elsewhere. It refuses nothing that [ParseManifest] takes. It takes a little that
// ParseManifest refuses: what depends on several fields, or on what is on the host.
func Schema() []byte { return bytes.Clone(schema) }
