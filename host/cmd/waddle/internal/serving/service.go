package serving

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/probes"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// Config says what a [Service] serves.
type Config struct {
	Store    store.Store
	Settings session.Settings // its Codec is set to session.JSON
	Limits   Limits
	Version  string       // of the program, for /v1/settings
	Log      *slog.Logger // default slog.Default

	// Clients are the names in certificates of those who may come by TLS; empty for all
	// whose certificates the server's authority has signed. Operators are those who may
	// come by TLS to the operator's address; empty for nobody.
	Clients, Operators []string
}

// Service answers requests for the sessions of one store. It may be used by many
// goroutines.
type Service struct {
	manager  *session.Manager
	settings session.Settings
	version  string
	maxBody  int64
	log      *slog.Logger
	clients  gate
	operator gate
	probes   *probes.Probes
}

// New returns a service. It returns session.ErrSettings for settings that cannot work.
func New(c Config) (*Service, error) {
	c.Settings.Codec = session.JSON
	c.Settings.ReadCodecs = []session.Codec{session.CBOR} // what Go programs wrote before
	s := &Service{version: c.Version, log: cmp.Or(c.Log, slog.Default()), probes: probes.New(c.Store, probes.Config{Now: c.Settings.Now})}
	c.Settings.OnEvent = session.Events(s.onEvent(c.Settings.OnEvent), s.probes.OnEvent)
	var err error
	if s.manager, err = session.New(s.probes.Store(), c.Settings); err != nil {
		return nil, err
	}
	s.settings = c.Settings.WithDefaults()
	limits := c.Limits.withDefaults()
	s.maxBody = cmp.Or(limits.MaxBody, int64(s.settings.MaxSize)+64<<10)
	s.clients = newGate(limits, c.Clients)
	s.operator = newGate(limits, c.Operators)
	s.operator.onlyNamed = true
	return s, nil
}

// onEvent returns the function that is told of events: that of the settings or, by default,
// one that logs warnings, and everything if the log has debug level.
func (s *Service) onEvent(set func(context.Context, session.Event)) func(context.Context, session.Event) {
	if set != nil {
		return set
	}
	log := session.LogEvents(s.log)
	return func(ctx context.Context, e session.Event) {
		if e.Level() >= slog.LevelWarn || s.log.Enabled(ctx, slog.LevelDebug) {
			log(ctx, e)
		}
	}
}

// call is a request whose body was read, or has none.
type call struct {
	*http.Request
	body []byte
}

// route says what is done for a path.
type route struct {
	method string
	do     func(*call) (answer []byte, err error)
}

// Handler answers the programs that use the sessions.
func (s *Service) Handler() http.Handler {
	return s.handler(&s.clients, s.clientRoutes())
}

func (s *Service) clientRoutes() map[string]route {
	return map[string]route{
		"/v1/load":             {http.MethodPost, s.load},
		"/v1/commit":           {http.MethodPost, s.commit},
		"/v1/renew":            {http.MethodPost, s.renew},
		"/v1/destroy":          {http.MethodPost, s.destroy},
		"/v1/touch":            {http.MethodPost, s.touch},
		"/v1/users/sessions":   {http.MethodPost, s.userSessions},
		"/v1/users/revoke":     {http.MethodPost, s.revoke},
		"/v1/users/revoke-all": {http.MethodPost, s.revokeAll},
		"/v1/settings":         {http.MethodGet, s.describe},
		"/v1/openapi.json":     {http.MethodGet, s.openAPI},
	}
}

// Operator answers whoever runs the service: it shows what is stored, and health and
// metrics.
func (s *Service) Operator() http.Handler {
	api := s.handler(&s.operator, s.operatorRoutes())
	probe := s.gated(&s.operator, "probe", func(w http.ResponseWriter, r *http.Request) error {
		s.probes.Handler().ServeHTTP(w, r)
		return nil
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/readyz", "/metrics":
			probe.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

func (s *Service) operatorRoutes() map[string]route {
	return map[string]route{
		"/v1/admin/count":  {http.MethodPost, s.count},
		"/v1/admin/list":   {http.MethodPost, s.list},
		"/v1/admin/show":   {http.MethodPost, s.show},
		"/v1/admin/end":    {http.MethodPost, s.end},
		"/v1/openapi.json": {http.MethodGet, s.openAPI},
	}
}

// handler answers the requests of those whom a gate lets in, and counts them by route.
func (s *Service) handler(g *gate, routes map[string]route) http.Handler {
	counted := make(map[string]http.Handler, len(routes))
	for path, rt := range routes {
		counted[path] = s.probes.Requests(path, s.gated(g, path, func(w http.ResponseWriter, r *http.Request) error { return s.answer(w, r, rt) }))
	}
	// The log does not have other paths: they may be anything, such as an id.
	unknown := s.probes.Requests("unknown", s.gated(g, "unknown", func(http.ResponseWriter, *http.Request) error {
		return problemf(http.StatusNotFound, codeNotFound, "there is no such path; /v1/openapi.json lists those that there are")
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := counted[r.URL.Path]; ok {
			h.ServeHTTP(w, r)
			return
		}
		unknown.ServeHTTP(w, r)
	})
}

// gated answers a request if a gate lets it in, answers for its error, and writes to the
// log.
func (s *Service) gated(g *gate, path string, do func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		out := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		client := peerOf(r.Context()).name(r)
		leave, err := g.enter(r, client)
		if err == nil {
			defer leave()
			err = do(out, r)
		}
		if err != nil {
			p := problemOf(err)
			if peerOf(r.Context()).over || r.ContentLength > s.maxBody {
				w.Header().Set("Connection", "close")
			}
			p.write(out)
		}
		s.note(r, out.status, client, path, time.Since(began), err)
	})
}

// answer answers a request by its route.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, rt route) error {
	if r.Method != rt.method && (rt.method != http.MethodGet || r.Method != http.MethodHead) {
		w.Header().Set("Allow", rt.method)
		return problemf(http.StatusMethodNotAllowed, codeMethod, "the method is %s: must be %s", excerpt(r.Method), rt.method)
	}
	c := &call{Request: r}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return badRequest("the request has a query: must have none; ids stand in bodies, since addresses end up in logs")
	}
	if rt.method == http.MethodPost {
		var err error
		if c.body, err = s.readAll(w, r); err != nil {
			return err
		}
	}
	answer, err := rt.do(c)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, answer)
	return nil
}

// readAll reads the body of a request.
func (s *Service) readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" ||
		params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, problemf(http.StatusUnsupportedMediaType, codeMediaType, "the body is %s: must be JSON; send Content-Type: application/json", excerpt(r.Header.Get("Content-Type")))
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, problemf(http.StatusUnsupportedMediaType, codeMediaType, "the body is encoded as %s: must be sent as it is", excerpt(r.Header.Get("Content-Encoding")))
	}
	tooLarge := problemf(http.StatusRequestEntityTooLarge, codeBodyTooLarge, "the body is too large: must be at most %d bytes", s.maxBody)
	if r.ContentLength > s.maxBody {
		return nil, tooLarge
	}
	var body []byte
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, badRequest("the body could not be read to its end")
		}
		return body, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.maxBody))
	var most *http.MaxBytesError
	switch {
	case errors.As(err, &most):
		return nil, tooLarge
	case err != nil:
		return nil, badRequest("the body could not be read to its end")
	}
	return body, nil
}

// note writes a request to the log: never an id, a value or a user's name.
func (s *Service) note(r *http.Request, status int, client, path string, took time.Duration, err error) {
	level := slog.LevelDebug
	switch {
	case status >= 500:
		level = slog.LevelWarn
	case status >= 400 && status != http.StatusGone && status != http.StatusConflict:
		level = slog.LevelInfo
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{slog.String("method", methodOf(r)), slog.String("path", path), slog.String("client", client), slog.Int("status", status), slog.Duration("took", took)}
	if err != nil && status >= 500 {
		attrs = append(attrs, slog.Any("error", err))
	}
	s.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", attrs...)
}

// methodOf returns a method that is one of HTTP's own: a client may send any word.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is beneath.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
