package main_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The playground answers for the given names and for no others.
func TestRunAnswersItsOwnHosts(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings []string
		args     []string
		own      []string
		others   []string
	}{
		{"none told", nil, nil, nil, []string{"playground.example", "second.example"}},
		{"by the flag", []string{"WADDLE_HOSTS=second.example"}, []string{"--host", "playground.example"}, []string{"playground.example"}, []string{"second.example"}},
		{"by the variable", []string{"WADDLE_HOSTS=playground.example, second.example"}, nil, []string{"playground.example", "second.example"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.settings, append([]string{"--addr", "localhost:0"}, c.args...)...)
			ask := func(host string) (int, string) {
				r, err := http.NewRequest(http.MethodGet, s.address+"/api/session", nil)
				require.NoError(t, err)
				if host != "" {
					r.Host = host
				}
				response, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				return response.StatusCode, string(body)
			}
			for _, host := range append([]string{"", "localhost", "127.0.0.1:1", "[::1]"}, c.own...) {
				status, body := ask(host)
				require.Equal(t, http.StatusOK, status, "%s: %s", host, body)
			}
			for _, host := range append([]string{"evil.example"}, c.others...) {
				status, body := ask(host)
				require.Equal(t, http.StatusMisdirectedRequest, status, "%s: %s", host, body)
				require.Contains(t, body, "waddle run --host NAME")
			}
		})
	}
	for _, r := range []result{
		run(t, nil, "run", "--addr", "127.0.0.1:0", "--host", "http://playground.example"),
		run(t, []string{"WADDLE_HOSTS=*"}, "run", "--addr", "127.0.0.1:0"),
	} {
		require.Equal(t, 2, r.code)
		require.Contains(t, lastLine(r), "without scheme")
	}
}
