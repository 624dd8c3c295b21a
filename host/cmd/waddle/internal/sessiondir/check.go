package sessiondir

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/internal/dirlock"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
	"github.com/waddle-sessions/waddle/host/store"
)

// Report is what a check has found.
type Report struct {
	Dir       string    `json:"dir"`
	Engine    string    `json:"engine"`
	Layout    int       `json:"layout"`
	Well      bool      `json:"well"`             // nothing is damaged or lost
	InUse     string    `json:"in_use,omitempty"` // by whom, as far as it is known
	Records   int64     `json:"records"`          // that have not expired
	Expired   int64     `json:"expired"`          // that are still there
	Files     int64     `json:"files"`
	Bytes     int64     `json:"bytes"`      // in these files
	FreeBytes int64     `json:"free_bytes"` // of the disk, for this user; -1 if not known
	Shards    []Shard   `json:"shards"`
	Findings  []Finding `json:"findings"`
}

// Shard is the part of a report for one shard.
type Shard struct {
	Shard   int   `json:"shard"`
	Records int64 `json:"records"`
	Expired int64 `json:"expired"`
	Files   int64 `json:"files"`
	Bytes   int64 `json:"bytes"`
	Damage  int   `json:"damage"` // findings of damage or loss
	Lost    int   `json:"lost"`   // sessions that are known to be lost
	Unknown bool  `json:"unknown_losses"`
}

// Finding is something that is not as it should be.
type Finding struct {
	Severity string `json:"severity"` // note, damage or loss
	Shard    int    `json:"shard"`    // -1 for the directory itself
	File     string `json:"file"`
	Offset   *int64 `json:"offset,omitempty"`
	Sessions int    `json:"sessions,omitempty"` // that are lost; -1 if nobody can know how many
	Text     string `json:"text"`
	Remedy   string `json:"remedy"` // none, engine, repair, backup or by hand

	repair bool
}

var remedies = map[survey.Remedy]string{survey.Nothing: "none", survey.Engine: "engine", survey.Repair: "repair", survey.Backup: "backup", survey.Hand: "by hand"}

// Options of a check.
type Options struct {
	// Now decides what has expired.
	Now time.Time

	// Open, if not nil, opens a record's value, and says why it cannot.
	Open func(r store.Record) error

	// Read is called now and then with how many records were read since the last call.
	Read func(n int64)

	// Part is called now and then with how much of what is looked at is done.
	Part func(done, parts int64)

	// Compare is called before what was written is compared.
	Compare func()

	// between, if not nil, is called when a repair has moved a shard away and has not yet put
	// the new one in its place: tests end it there.
	between func() error
}

// Check reads a directory and changes nothing. Unfinished writes of a running server are not
// taken for damage.
func Check(ctx context.Context, l Layout, o Options) (*Report, error) {
	report := &Report{Dir: l.Dir, Engine: l.Engine, Layout: l.Version, Well: true, FreeBytes: freeBytes(l.Dir), Findings: []Finding{}}
	if holder := dirlock.Holder(l.Dir); holder != nil {
		report.InUse = user(holder)
	}
	report.Shards = make([]Shard, max(l.Shards, 1))
	for i := range report.Shards {
		report.Shards[i].Shard = i
	}
	find := func(shard int, f survey.Finding) { report.add(shard, f) }
	top := survey.Visitor{Find: func(f survey.Finding) { find(-1, f) }}
	l.marks(top)
	if err := l.strangers(top); err != nil {
		return nil, err
	}
	now := store.At(o.Now)
	shards, err := l.Survey(ctx, -1, false, Seen{
		Record: func(shard int, r store.Record) error {
			s := &report.Shards[shard]
			if r.Expires != 0 && r.Expires <= now {
				s.Expired++
			} else {
				s.Records++
				if o.Open != nil {
					if err := o.Open(r); err != nil {
						find(shard, survey.Finding{Severity: survey.Loss, Remedy: survey.Hand, File: prefixes[l.Engine] + fmt.Sprint(shard), Offset: -1, Sessions: 1,
							Text: "a record cannot be opened: " + err.Error()})
					}
				}
			}
			if o.Read != nil {
				o.Read(1)
			}
			return nil
		},
		Find: find, Part: o.Part,
	})
	if err != nil {
		return nil, err
	}
	for i, s := range shards {
		to := &report.Shards[i]
		to.Files, to.Bytes = s.Files, s.Bytes
		report.Records += to.Records
		report.Expired += to.Expired
		report.Files += to.Files
		report.Bytes += to.Bytes
	}
	if report.FreeBytes >= 0 && report.FreeBytes < leastFree {
		find(-1, survey.Finding{Severity: survey.Note, Remedy: survey.Hand, File: ".", Offset: -1,
			Text: fmt.Sprintf("the disk has %d bytes left: engines refuse new sessions when it is full", report.FreeBytes)})
	}
	return report, nil
}

// leastFree is the free space below which the report has a note.
const leastFree = 64 << 20

func (r *Report) add(shard int, f survey.Finding) {
	to := Finding{Severity: f.Severity.String(), Shard: shard, File: f.File, Sessions: f.Sessions, Text: f.Text,
		Remedy: remedies[f.Remedy], repair: f.Severity > survey.Note && (f.Remedy == survey.Repair || f.Remedy == survey.Backup)}
	if f.Offset >= 0 {
		at := f.Offset
		to.Offset = &at
	}
	r.Findings = append(r.Findings, to)
	if f.Severity == survey.Note {
		return
	}
	r.Well = false
	if shard < 0 {
		return
	}
	s := &r.Shards[shard]
	s.Damage++
	if f.Sessions > 0 {
		s.Lost += f.Sessions
	}
	s.Unknown = s.Unknown || f.Sessions < 0
}

func user(e *dirlock.InUseError) string {
	text := "another process"
	if e.PID != 0 {
		text = fmt.Sprintf("process %d", e.PID)
	}
	if e.Host != "" {
		text += " on " + e.Host
	}
	if !e.Since.IsZero() {
		text += " since " + e.Since.Format(time.RFC3339)
	}
	return text
}

// Names at the top of a directory that belong there. Engines, and repairs, make those that
// have "new" in them, and trash, for a moment.
var known = map[string]*regexp.Regexp{
	"dynfile":   regexp.MustCompile(`^(format(-new-\d+)?|shard-\d+(-new)?)$`),
	"keyfolder": regexp.MustCompile(`^(format(-new-\d+)?|(sessions|pending)-\d+|pending-\d+-new|trash-\d+-[0-9a-f]+)$`),
	"memory":    regexp.MustCompile(`^` + regexp.QuoteMeta(snapshotfile.Name)),
}

// strangers reports names that do not belong at the top of the directory, and who may read it.
func (l Layout) strangers(v survey.Visitor) error {
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return err
	}
	say := func(severity survey.Severity, remedy survey.Remedy, name, text string) {
		v.Say(survey.Finding{Severity: severity, Remedy: remedy, File: name, Offset: -1, Text: text})
	}
	l.permissions(say)
	for _, e := range entries {
		name := e.Name()
		switch {
		case name == asideName:
			say(survey.Damage, survey.Repair, name, "a repair was interrupted: the engine refuses the directory until another one has ended it")
		case name == restoreName:
			say(survey.Note, survey.Repair, name, "is left from an interrupted restore or repair")
		case name == lostName:
			say(survey.Note, survey.Hand, name, "has files that repairs have taken away: remove it when nobody needs it any more")
		case name[0] == '.' || name == "lost+found":
		case !known[l.Engine].MatchString(name):
			say(survey.Note, survey.Hand, name, "does not belong to the engine, which leaves it alone")
		case name != format.Name && l.beyond(name):
			say(survey.Damage, survey.Hand, name, fmt.Sprintf("is of a shard that is not there: the directory has %s. Nobody finds the sessions in it", shardCount(l.Shards)))
		}
	}
	return nil
}

// beyond reports whether a name is of a shard that the directory does not have.
func (l Layout) beyond(name string) bool {
	if l.Engine == memory.Name {
		return false
	}
	var shard int
	for _, prefix := range []string{"shard-", "sessions-", "pending-", "trash-"} {
		if n, _ := fmt.Sscanf(name, prefix+"%d", &shard); n == 1 {
			return shard >= l.Shards
		}
	}
	return false
}

// permissions reports files that others may read. Values may be sealed; their keys, times
// and sizes are not.
func (l Layout) permissions(say func(survey.Severity, survey.Remedy, string, string)) {
	if runtime.GOOS == "windows" {
		return
	}
	open := func(name string, mode fs.FileMode) {
		if mode.Perm()&0o077 != 0 && mode&fs.ModeSymlink == 0 {
			say(survey.Note, survey.Hand, name, fmt.Sprintf("has the permissions %#o: others than its owner may use it", mode.Perm()))
		}
	}
	info, err := os.Stat(l.Dir)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return // nobody else gets to what is in it
	}
	open(".", info.Mode())
	told := 0
	_ = filepath.WalkDir(l.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == l.Dir {
			return nil
		}
		info, err := d.Info()
		if err != nil || info.Mode().Perm()&0o077 == 0 {
			return nil
		}
		if told++; told > mostPermissions {
			return fs.SkipAll
		}
		name, _ := filepath.Rel(l.Dir, path)
		open(filepath.ToSlash(name), info.Mode())
		return nil
	})
}

// mostPermissions bounds these findings: usually all files are alike.
const mostPermissions = 5
