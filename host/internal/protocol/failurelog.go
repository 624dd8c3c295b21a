package protocol

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"
)

// logFailure logs an instance that failed, unless the log has the same often enough,
// and reports whether it did. The record has the trace and the last output. At debug
// level the trace follows with a record for each line, since text handlers put a
// value of several lines into one. The guest's output is already in the log, line by
// line.
func (st *Store) logFailure(f *Failure, failures int, next time.Duration) bool {
	ok, unsaid := st.said.Take("the guest failed: "+f.Op+": "+f.Text(), st.config.Now())
	if !ok {
		return false
	}
	log := st.config.Logger
	args := []any{"plugin", f.Plugin, "shard", f.Shard, "op", f.Op, "error", f.Text(),
		"failures", failures, "next_attempt_in", next, "trace", lines(f.Trace), "output", lines(f.Output)}
	if unsaid > 0 {
		args = append(args, "repeated", unsaid)
	}
	log.Error("the guest failed", args...)
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return true
	}
	for _, line := range lines(f.Trace).split() {
		log.Debug(strings.ReplaceAll(line, "\t", "    "), "plugin", f.Plugin, "shard", f.Shard, "source", "trace")
	}
	return true
}

// lines is text of several lines. In JSON it is a list.
type lines string

// String implements [fmt.Stringer].
func (l lines) String() string { return string(l) }

// MarshalText implements [encoding.TextMarshaler].
func (l lines) MarshalText() ([]byte, error) { return []byte(l), nil }

// MarshalJSON implements [json.Marshaler].
func (l lines) MarshalJSON() ([]byte, error) { return json.Marshal(l.split()) }

func (l lines) split() []string {
	list := []string{}
	for line := range strings.Lines(string(l)) {
		list = append(list, strings.TrimSuffix(line, "\n"))
	}
	return list
}

// Complain logs an error unless the log has it often enough.
func (st *Store) Complain(message string, err error, args ...any) {
	st.say(slog.LevelError, message, err, args)
}

// Warn is Complain for what is no fault of the host's.
func (st *Store) Warn(message string, err error, args ...any) {
	st.say(slog.LevelWarn, message, err, args)
}

func (st *Store) say(level slog.Level, message string, err error, args []any) {
	ok, unsaid := st.said.Take(message+": "+err.Error(), st.config.Now())
	if !ok {
		return
	}
	args = append([]any{"plugin", st.Name()}, args...)
	args = append(args, "error", err)
	if unsaid > 0 {
		args = append(args, "repeated", unsaid)
	}
	st.config.Logger.Log(context.Background(), level, message, args...)
}
