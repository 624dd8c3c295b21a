package serving_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
	"github.com/waddle-sessions/waddle/host/store"
)

// description is as much of OpenAPI as these tests need.
type description struct {
	Paths map[string]map[string]struct {
		RequestBody struct {
			Content map[string]struct{ Schema schema }
		}
		Responses map[string]json.RawMessage
	}
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Ref        string `json:"$ref"`
	Properties map[string]schema
	Enum       []string
}

func (d *description) resolve(s schema) schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.Components.Schemas[name]
	}
	return s
}

// TestDescriptionIsWhatIsServed: each path, its method, and the fields of its requests,
// in both directions. The module openapitest compares real requests and answers.
func TestDescriptionIsWhatIsServed(t *testing.T) {
	text, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	var d description
	require.NoError(t, json.Unmarshal(text, &d))
	service, err := serving.New(serving.Config{Store: store.NewMemory()})
	require.NoError(t, err)
	served := service.Routes()
	for _, probe := range []string{"/healthz", "/readyz", "/metrics"} {
		served[probe] = "GET"
	}
	described := make(map[string]string)
	for path, methods := range d.Paths {
		require.Len(t, methods, 1, path)
		for method := range methods {
			described[path] = strings.ToUpper(method)
		}
	}
	require.Equal(t, served, described)

	s := over(t, store.NewMemory())
	for path, methods := range d.Paths {
		post, ok := methods["post"]
		if !ok {
			continue
		}
		request := d.resolve(post.RequestBody.Content["application/json"].Schema)
		// The server says which fields it takes when it is sent another.
		taken := func(form string) []string {
			says := s.ask(t, 400, path, "%s", form).Error.Message
			_, names, _ := strings.Cut(says, "must have only ")
			return strings.FieldsFunc(strings.TrimPrefix(names, "nothing"), func(r rune) bool { return r == ',' || r == ' ' })
		}
		require.Equal(t, slices.Sorted(maps.Keys(request.Properties)), append([]string(nil), taken(`{"no such field":0}`)...), path)
		for name, field := range request.Properties {
			if field = d.resolve(field); len(field.Properties) > 0 {
				require.Equal(t, slices.Sorted(maps.Keys(field.Properties)), taken(`{"`+name+`":{"no such field":0}}`), "%s of %s", name, path)
			}
		}
	}
	r, err := s.clients.Get("http://waddle/v1/openapi.json")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, int64(len(text)), r.ContentLength)
}
